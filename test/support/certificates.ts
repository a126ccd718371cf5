/** Certificates for tests, made by the machine's openssl in a directory that is gone afterwards. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** PEM texts. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateAuthority {
  readonly ca: Certificate;
  /** A leaf for these names (`DNS:orders.test`, `IP:127.0.0.1`), signed by the CA as `signature` says. */
  issue(names: readonly string[], signature?: SignatureKind): Certificate;
}

/** The kinds of CA key and hash: what a leaf's signature is made with. */
export type SignatureKind =
  | 'rsa-sha256'
  | 'rsa-sha512'
  | 'rsa-pss-sha384'
  | 'ecdsa-sha384'
  | 'ed25519';

const keyArguments: Record<SignatureKind, readonly string[]> = {
  'rsa-sha256': ['-newkey', 'rsa:2048'],
  'rsa-sha512': ['-newkey', 'rsa:2048'],
  'rsa-pss-sha384': ['-newkey', 'rsa:2048'],
  'ecdsa-sha384': ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384'],
  ed25519: ['-newkey', 'ed25519'],
};
const signArguments: Record<SignatureKind, readonly string[]> = {
  'rsa-sha256': ['-sha256'],
  'rsa-sha512': ['-sha512'],
  'rsa-pss-sha384': ['-sha384', '-sigopt', 'rsa_padding_mode:pss'],
  'ecdsa-sha384': ['-sha384'],
  ed25519: [],
};

/** A new CA whose key is of the given kind; its leaves have EC keys unless they sign themselves. */
export function certificateAuthority(kind: SignatureKind = 'rsa-sha256'): CertificateAuthority {
  const directory = mkdtempSync(join(tmpdir(), 'chaperone-certificates-'));
  const at = (name: string) => join(directory, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
  const read = (name: string): Certificate => ({
    cert: readFileSync(at(`${name}.crt`), 'utf8'),
    key: readFileSync(at(`${name}.key`), 'utf8'),
  });
  const files = (name: string) => ['-keyout', at(`${name}.key`), '-out', at(`${name}.crt`)];
  try {
    openssl(
      ...['req', '-x509', '-nodes', '-days', '2', '-subj', '/CN=Test CA'],
      ...keyArguments[kind],
      ...files('ca'),
      ...['-addext', 'keyUsage=critical,keyCertSign'],
    );
    const ca = read('ca');
    return {
      ca,
      issue(names, signature = kind) {
        const work = mkdtempSync(join(tmpdir(), 'chaperone-certificates-'));
        const file = (name: string) => join(work, name);
        try {
          writeFileSync(file('ca.crt'), ca.cert);
          writeFileSync(file('ca.key'), ca.key, { mode: 0o600 });
          openssl(
            ...['req', '-nodes', '-subj', '/CN=test', '-newkey', 'ec'],
            ...['-pkeyopt', 'ec_paramgen_curve:P-256'],
            ...['-keyout', file('leaf.key'), '-out', file('leaf.csr')],
          );
          writeFileSync(file('extensions'), `subjectAltName=${names.join(',')}\n`);
          openssl(
            ...['x509', '-req', '-days', '2', '-in', file('leaf.csr'), '-out', file('leaf.crt')],
            ...['-CA', file('ca.crt'), '-CAkey', file('ca.key'), '-CAcreateserial'],
            ...['-extfile', file('extensions')],
            ...signArguments[signature],
          );
          return {
            cert: readFileSync(file('leaf.crt'), 'utf8'),
            key: readFileSync(file('leaf.key'), 'utf8'),
          };
        } finally {
          rmSync(work, { recursive: true, force: true });
        }
      },
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
