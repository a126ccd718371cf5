/** Certificates as the Secrets hold them: roots, the intermediate for workloads, and leaves of services. */
import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import {
  type CertifiedKey,
  issueServing,
  newAuthority,
  readIssuer,
} from '@chaperone/control/certificates/issue.ts';
import { excludedNames } from './name-constraints.ts';

/** PEM texts. */
export interface KeyedCertificate {
  readonly cert: string;
  /** PKCS #8. */
  readonly key: string;
}

export interface Validity {
  readonly nowMs: number;
  readonly lifetimeMs: number;
}

/** A root that signs itself. Two of one name are told apart by their key identifiers. */
export async function issueRoot({ nowMs, lifetimeMs }: Validity): Promise<KeyedCertificate> {
  return keyed(await newAuthority({ commonName: 'Chaperone root', nowMs, validMs: lifetimeMs }));
}

/**
 * An intermediate that signs leaves, none of them for what `excluded` names (DNS names, with everything below
 * them): who holds it cannot stand for the programs of the control plane.
 */
export async function issueIntermediate(
  root: KeyedCertificate,
  { nowMs, lifetimeMs, excluded }: Validity & { readonly excluded: readonly string[] },
): Promise<KeyedCertificate> {
  return keyed(
    await newAuthority({
      commonName: 'Chaperone workload issuer',
      nowMs,
      validMs: lifetimeMs,
      parent: await readIssuer(root.cert, root.key),
      extensions: [excludedNames(excluded)],
    }),
  );
}

/** A leaf of a server with these DNS names. */
export async function issueLeaf(
  root: KeyedCertificate,
  { nowMs, lifetimeMs, names }: Validity & { readonly names: readonly string[] },
): Promise<KeyedCertificate> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { chainPem } = await issueServing(await readIssuer(root.cert, root.key), {
    publicKey,
    commonName: names[0]!.slice(0, maxCommonNameChars),
    names,
    nowMs,
    validMs: lifetimeMs,
  });
  return { cert: chainPem, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

/** RFC 5280, appendix A.1: ub-common-name. */
const maxCommonNameChars = 64;

const keyed = ({ certificate, privateKey }: CertifiedKey): KeyedCertificate => ({
  cert: certificate,
  key: privateKey,
});

/** What the plan reads of a certificate; undefined for what is none. */
export interface CertificateFacts {
  readonly pem: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Sorted. */
  readonly names: readonly string[];
  /** SHA-256, as node:crypto writes it. */
  readonly fingerprint: string;
}

export function readCertificate(pem: string | undefined): CertificateFacts | undefined {
  const certificate = parse(pem);
  if (certificate === undefined) return undefined;
  const names = (certificate.subjectAltName ?? '')
    .split(', ')
    .flatMap((name) => (name.startsWith('DNS:') ? [name.slice('DNS:'.length)] : []));
  return {
    pem: pem!,
    notBeforeMs: Date.parse(certificate.validFrom),
    notAfterMs: Date.parse(certificate.validTo),
    names: names.sort(),
    fingerprint: certificate.fingerprint256,
  };
}

/** Whether the certificate was signed by that issuer's key. */
export function isSignedBy(cert: string, issuer: string): boolean {
  const certificate = parse(cert);
  const by = parse(issuer);
  if (certificate === undefined || by === undefined) return false;
  return certificate.checkIssued(by) && certificate.verify(by.publicKey);
}

/** Whether the private key is the certificate's. */
export function keyFits({ cert, key }: KeyedCertificate): boolean {
  try {
    return parse(cert)?.checkPrivateKey(createPrivateKey(key)) ?? false;
  } catch {
    return false;
  }
}

function parse(pem: string | undefined): X509Certificate | undefined {
  try {
    return pem === undefined ? undefined : new X509Certificate(pem);
  } catch {
    return undefined;
  }
}
