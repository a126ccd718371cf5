/** Makes certificates: roots, the intermediate for workloads, and leaves of services. ECDSA on P-256. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { x509 } from '@chaperone/control/certificates/x509.ts';
import { excludedNames } from './name-constraints.ts';

/** PEM texts. */
export interface KeyedCertificate {
  readonly cert: string;
  /** PKCS #8. */
  readonly key: string;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const signing = { name: 'ECDSA', hash: 'SHA-256' } as const;
/** Before this, so that a node whose clock is slow takes it at once. */
const backdateMs = 60 * 60 * 1000;

export interface Validity {
  readonly nowMs: number;
  readonly lifetimeMs: number;
}

/** A root that signs itself. Two of one name are told apart by their key identifiers. */
export async function issueRoot(validity: Validity): Promise<KeyedCertificate> {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...validityOf(validity),
    name: 'CN=Chaperone root',
    keys,
    signingAlgorithm: signing,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(certificateSigning, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { cert: pemOf(certificate), key: await pemOfKey(keys.privateKey) };
}

/**
 * An intermediate that signs leaves, none of them for what `excluded` names (DNS names, with everything below
 * them): who holds it cannot stand for the programs of the control plane.
 */
export async function issueIntermediate(
  root: KeyedCertificate,
  options: Validity & { readonly excluded: readonly string[] },
): Promise<KeyedCertificate> {
  return issue(root, options, 'CN=Chaperone workload issuer', [
    new x509.BasicConstraintsExtension(true, 0, true),
    new x509.KeyUsagesExtension(certificateSigning, true),
    excludedNames(options.excluded),
  ]);
}

/** A leaf of a server with these DNS names. */
export async function issueLeaf(
  root: KeyedCertificate,
  options: Validity & { readonly names: readonly string[] },
): Promise<KeyedCertificate> {
  const { names } = options;
  return issue(root, options, `CN=${names[0]!.slice(0, 64)}`, [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
    new x509.SubjectAlternativeNameExtension(
      names.map((value) => ({ type: 'dns', value }) as const),
    ),
  ]);
}

type Extensions = NonNullable<
  Parameters<typeof x509.X509CertificateGenerator.create>[0]['extensions']
>;

async function issue(
  root: KeyedCertificate,
  validity: Validity,
  subject: string,
  extensions: Extensions,
): Promise<KeyedCertificate> {
  const issuer = new x509.X509Certificate(root.cert);
  const keys = await newKeys();
  const period = validityOf(validity);
  const certificate = await x509.X509CertificateGenerator.create({
    ...period,
    // What outlives its issuer would stop being accepted before its own date.
    notAfter: new Date(Math.min(period.notAfter.getTime(), issuer.notAfter.getTime())),
    subject,
    issuer: issuer.subject,
    publicKey: keys.publicKey,
    signingKey: await privateKeyOf(root.key),
    signingAlgorithm: signing,
    extensions: [
      ...extensions,
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return { cert: pemOf(certificate), key: await pemOfKey(keys.privateKey) };
}

const certificateSigning =
  x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign | x509.KeyUsageFlags.digitalSignature;

function validityOf({ nowMs, lifetimeMs }: Validity): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(nowMs - backdateMs), notAfter: new Date(nowMs + lifetimeMs) };
}

async function newKeys() {
  return crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

async function privateKeyOf(pem: string) {
  const der = x509.PemConverter.decodeFirst(pem);
  return crypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']);
}

async function pemOfKey(key: Awaited<ReturnType<typeof newKeys>>['privateKey']): Promise<string> {
  const der = await crypto.subtle.exportKey('pkcs8', key);
  return `${x509.PemConverter.encode(der, 'PRIVATE KEY')}\n`;
}

const pemOf = (certificate: { toString(format: 'pem'): string }): string =>
  `${certificate.toString('pem')}\n`;

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
