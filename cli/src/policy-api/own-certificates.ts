/** An authority of its own for a Chaperone without a cluster, and the certificates of its programs. */
import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type CertifiedKey,
  type Issuer,
  issueServing,
  newAuthority,
  readIssuer,
} from '@chaperone/control/certificates/issue.ts';

const dayMs = 24 * 60 * 60 * 1000;
const rootMs = 3650 * dayMs;
const validMs = 90 * dayMs;
/** Of what is left of a certificate when the next one is made. */
const renewMs = 30 * dayMs;

export interface OwnAuthority {
  /** PEM of the root. */
  readonly root: string;
  /** Where the intermediate is: tls.crt and tls.key. */
  readonly issuerDirectory: string;
  /** Keeps tls.crt and tls.key of a server of these names in `directory` in force; 127.0.0.1 is in it. */
  serve(directory: string, commonName: string, names: readonly string[]): Promise<void>;
  /** Renews the intermediate where it is time. */
  renew(): Promise<void>;
}

/** The authority in `directory` (mode 0700), made where there is none. Its root holds for ten years. */
export async function ownAuthority(directory: string, nowMs: () => number): Promise<OwnAuthority> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const [rootFile, keyFile] = [join(directory, 'ca.crt'), join(directory, 'ca.key')];
  if (!existsSync(rootFile)) {
    writePair(
      { certificate: rootFile, key: keyFile },
      await newAuthority({ commonName: 'Chaperone', nowMs: nowMs(), validMs: rootMs }),
    );
  }
  const root = readFileSync(rootFile, 'utf8');
  const parent = await readIssuer(root, readFileSync(keyFile, 'utf8'));
  const issuerDirectory = join(directory, 'issuer');
  const authority: OwnAuthority = {
    root,
    issuerDirectory,
    async renew() {
      await keep(issuerDirectory, nowMs(), () =>
        newAuthority({ commonName: 'Chaperone gateways', nowMs: nowMs(), validMs, parent }),
      );
    },
    async serve(target, commonName, names) {
      await keep(
        target,
        nowMs(),
        () => newServing(parent, commonName, names, nowMs()),
        names.map((name) => `DNS:${name}`),
      );
    },
  };
  await authority.renew();
  return authority;
}

async function newServing(
  issuer: Issuer,
  commonName: string,
  names: readonly string[],
  nowMs: number,
): Promise<CertifiedKey> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { chainPem } = await issueServing(issuer, {
    publicKey: createPublicKey(privateKey),
    commonName,
    names,
    addresses: ['127.0.0.1'],
    nowMs,
    validMs,
  });
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { certificate: chainPem, privateKey: key };
}

/** Makes tls.crt and tls.key where there are none, they end soon, or lack one of `names`. */
async function keep(
  directory: string,
  nowMs: number,
  make: () => Promise<CertifiedKey>,
  names: readonly string[] = [],
): Promise<void> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const files = { certificate: join(directory, 'tls.crt'), key: join(directory, 'tls.key') };
  if (existsSync(files.certificate) && existsSync(files.key)) {
    const present = new X509Certificate(readFileSync(files.certificate));
    const held = new Set(present.subjectAltName?.split(', '));
    const lasts = present.validToDate.getTime() - nowMs > renewMs;
    if (lasts && names.every((name) => held.has(name))) return;
  }
  writePair(files, await make());
}

function writePair(
  files: { readonly certificate: string; readonly key: string },
  { certificate, privateKey }: CertifiedKey,
): void {
  replaceFile(files.key, privateKey, 0o600);
  replaceFile(files.certificate, certificate, 0o644);
}

/** Readers see the old text or the new one. */
export function replaceFile(path: string, text: string, mode: number): void {
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, text, { mode });
  renameSync(draft, path);
}
