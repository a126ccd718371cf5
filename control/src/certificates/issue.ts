/** Roots, intermediates and serving certificates of our own. */

import {
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  randomBytes,
  type webcrypto,
} from 'node:crypto';
import type { Extension, PublicKey as SubjectKey, X509Certificate } from '@peculiar/x509';
import { x509 } from './x509.ts';

const {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PublicKey,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} = x509;

/** A certificate that signs others, with its key. */
export interface Issuer {
  readonly certificate: X509Certificate;
  /** PEM: the certificate, then those between it and its root. */
  readonly chainPem: string;
  readonly signingKey: webcrypto.CryptoKey;
  readonly signingAlgorithm: { readonly name: string; readonly hash: string };
}

/** PEM. */
export interface CertifiedKey {
  readonly certificate: string;
  readonly privateKey: string;
}

/** Clocks of two machines may differ by this without a new certificate being refused. */
const backdateMs = 60 * 60 * 1000;
const curves: Readonly<Record<string, { readonly name: string; readonly hash: string }>> = {
  prime256v1: { name: 'P-256', hash: 'SHA-256' },
  secp384r1: { name: 'P-384', hash: 'SHA-384' },
};
const minRsaBits = 2048;

/** Why a public key is not to be certified; undefined where it may be. */
export function publicKeyRefusal(key: KeyObject): string | undefined {
  const { namedCurve = '', modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'ec':
      return Object.hasOwn(curves, namedCurve) ? undefined : 'its curve is not P-256 or P-384';
    case 'rsa':
      return modulusLength >= minRsaBits ? undefined : `it has fewer than ${minRsaBits} bits`;
    default:
      return 'it is neither EC nor RSA';
  }
}

/** From PEM: the issuer's certificate with what stands between it and its root, and its key. Throws where they do not fit. */
export async function readIssuer(chainPem: string, privateKeyPem: string): Promise<Issuer> {
  const certificate = new x509.X509Certificate(firstPem(chainPem));
  const key = createPrivateKey(privateKeyPem);
  const publicDer = createPublicKey(key).export({ type: 'spki', format: 'der' });
  if (!publicDer.equals(Buffer.from(certificate.publicKey.rawData))) {
    throw new Error('the key is not that of the certificate');
  }
  if (certificate.getExtension(BasicConstraintsExtension)?.ca !== true) {
    throw new Error('the certificate may not sign others');
  }
  return { certificate, chainPem, ...(await signerOf(key)) };
}

async function signerOf(key: KeyObject): Promise<Pick<Issuer, 'signingKey' | 'signingAlgorithm'>> {
  const refusal = publicKeyRefusal(key);
  if (refusal !== undefined) throw new Error(`the key cannot be used: ${refusal}`);
  const der = key.export({ type: 'pkcs8', format: 'der' });
  const curve = curves[key.asymmetricKeyDetails?.namedCurve ?? ''];
  if (curve === undefined) {
    const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
    const signingKey = await crypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']);
    return { signingKey, signingAlgorithm: algorithm };
  }
  const algorithm = { name: 'ECDSA', namedCurve: curve.name };
  const signingKey = await crypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']);
  return { signingKey, signingAlgorithm: { name: 'ECDSA', hash: curve.hash } };
}

export interface ServingCertificate {
  /** PEM: the leaf, then the issuer and what stands above it, without the root. */
  readonly chainPem: string;
  readonly expiresMs: number;
}

/**
 * A certificate for a server of these DNS names and IP addresses. It ends with its issuer's at the latest.
 * `publicKey`: one that publicKeyRefusal has nothing against.
 */
export async function issueServing(
  issuer: Issuer,
  options: {
    readonly publicKey: KeyObject;
    readonly commonName: string;
    readonly names: readonly string[];
    readonly addresses?: readonly string[];
    readonly nowMs: number;
    readonly validMs: number;
  },
): Promise<ServingCertificate> {
  const { publicKey, commonName, names, addresses = [], nowMs, validMs } = options;
  const expiresMs = Math.min(nowMs + validMs, issuer.certificate.notAfter.getTime());
  const key = new PublicKey(publicKey.export({ type: 'spki', format: 'der' }));
  const encipherment = publicKey.asymmetricKeyType === 'rsa' ? KeyUsageFlags.keyEncipherment : 0;
  const leaf = await sign(issuer, key, `CN=${commonName}`, nowMs, expiresMs, [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature | encipherment, true),
    new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
    new SubjectAlternativeNameExtension([
      ...names.map((value) => ({ type: 'dns' as const, value })),
      ...addresses.map((value) => ({ type: 'ip' as const, value })),
    ]),
    await AuthorityKeyIdentifierExtension.create(issuer.certificate.publicKey),
    await SubjectKeyIdentifierExtension.create(key),
  ]);
  const above = isSelfSigned(issuer.certificate) ? '' : `${issuer.chainPem.trim()}\n`;
  return { chainPem: `${leaf.toString('pem').trim()}\n${above}`, expiresMs };
}

/**
 * A new authority: a root without `parent`, else one that signs servers alone, and ends with its parent at the
 * latest. `commonName` holds no comma; `extensions`: beside those that each has.
 */
export async function newAuthority(options: {
  readonly commonName: string;
  readonly nowMs: number;
  readonly validMs: number;
  readonly parent?: Issuer;
  readonly extensions?: readonly Extension[];
}): Promise<CertifiedKey> {
  const { commonName, nowMs, validMs, parent, extensions = [] } = options;
  const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ]);
  const key = await PublicKey.create(pair.publicKey);
  const self = {
    signingKey: pair.privateKey,
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
  };
  const subject = `CN=${commonName}`;
  const end = parent?.certificate.notAfter.getTime() ?? Number.POSITIVE_INFINITY;
  const certificate = await sign(
    parent ?? { ...self, subject },
    key,
    subject,
    nowMs,
    Math.min(nowMs + validMs, end),
    [
      new BasicConstraintsExtension(true, parent === undefined ? 1 : 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      ...extensions,
      await AuthorityKeyIdentifierExtension.create(parent?.certificate.publicKey ?? key),
      await SubjectKeyIdentifierExtension.create(key),
    ],
  );
  const der = Buffer.from(await crypto.subtle.exportKey('pkcs8', pair.privateKey));
  const privateKey = createPrivateKey({ key: der, type: 'pkcs8', format: 'der' });
  return {
    certificate: `${certificate.toString('pem').trim()}\n`,
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

type Signer = Pick<Issuer, 'signingKey' | 'signingAlgorithm'> &
  ({ readonly certificate: X509Certificate } | { readonly subject: string });

function sign(
  issuer: Signer,
  publicKey: SubjectKey,
  subject: string,
  nowMs: number,
  expiresMs: number,
  extensions: Extension[],
): Promise<X509Certificate> {
  const { signingKey, signingAlgorithm } = issuer;
  return X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject,
    issuer: 'certificate' in issuer ? issuer.certificate.subjectName : issuer.subject,
    notBefore: new Date(nowMs - backdateMs),
    notAfter: new Date(expiresMs),
    publicKey,
    signingKey,
    signingAlgorithm,
    extensions,
  });
}

/** 127 random bits, positive and of one length (RFC 5280, 4.1.2.2). */
function newSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return bytes.toString('hex');
}

function isSelfSigned({ subject, issuer }: X509Certificate): boolean {
  return subject === issuer;
}

function firstPem(chain: string): string {
  const found = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(chain)?.[0];
  if (found === undefined) throw new Error('there is no PEM certificate');
  return found;
}
