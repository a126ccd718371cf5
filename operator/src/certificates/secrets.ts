/** The Secrets that hold certificates, and what their fields mean. */
import { isSignedBy, type KeyedCertificate, readCertificate } from './issue.ts';
import type { Existing, Issued, Root } from './plan.ts';

export const rootSecret = 'chaperone-root-ca';
export const webhookSecret = 'chaperone-webhook-tls';
export const policyApiSecret = 'chaperone-policy-api-tls';
export const collectorSecret = 'chaperone-collector-tls';
/** The intermediate that signs sidecars' certificates. */
export const workloadIssuerSecret = 'chaperone-workload-issuer';
export const signingKeysSecret = 'chaperone-signing-keys';
export const installationKeySecret = 'chaperone-installation-key';

/** A Secret's values as texts. */
export type SecretTexts = Readonly<Record<string, string>>;

type RootState = NonNullable<Existing['root']>;

export function readRoot(texts: SecretTexts | undefined): RootState | undefined {
  if (texts === undefined) return undefined;
  const current = readPair(texts['tls.crt'], texts['tls.key']);
  const next = readPair(texts['next.crt'], texts['next.key']);
  const previous = readCertificate(texts['previous.crt']);
  const promotedMs = readTime(texts['promoted-at']);
  const nextPublishedMs = readTime(texts['next-published-at']);
  return {
    ...(current !== undefined && { current }),
    ...(next !== undefined && { next }),
    ...(previous !== undefined && { previous }),
    ...(promotedMs !== undefined && { promotedMs }),
    ...(nextPublishedMs !== undefined && { nextPublishedMs }),
  };
}

export function writeRoot(state: RootState): SecretTexts {
  const { current, next, previous, promotedMs, nextPublishedMs } = state;
  return {
    ...(current !== undefined && { 'tls.crt': current.facts.pem, 'tls.key': current.key }),
    ...(next !== undefined && { 'next.crt': next.facts.pem, 'next.key': next.key }),
    ...(previous !== undefined && { 'previous.crt': previous.pem }),
    ...(promotedMs !== undefined && { 'promoted-at': writeTime(promotedMs) }),
    ...(nextPublishedMs !== undefined && { 'next-published-at': writeTime(nextPublishedMs) }),
  };
}

export function readIssued(texts: SecretTexts | undefined): Issued {
  const facts = readCertificate(texts?.['tls.crt']);
  const key = texts?.['tls.key'];
  const ca = texts?.['ca.crt'];
  return {
    ...(facts !== undefined && { facts }),
    ...(key !== undefined && { key }),
    ...(ca !== undefined && { ca }),
  };
}

/** `ca`: the bundle of roots. */
export function writeIssued({ cert, key }: KeyedCertificate, ca: string): SecretTexts {
  return { 'tls.crt': cert, 'tls.key': key, 'ca.crt': ca };
}

export function rootOf({ cert, key }: KeyedCertificate): Root {
  const facts = readCertificate(cert);
  if (facts === undefined) throw new Error('a certificate was made that cannot be read');
  return { facts, key };
}

function readPair(cert: string | undefined, key: string | undefined): Root | undefined {
  const facts = readCertificate(cert);
  // Only what signed itself is a root: a Secret that somebody filled otherwise is as good as lost.
  if (facts === undefined || key === undefined || !isSignedBy(facts.pem, facts.pem))
    return undefined;
  return { facts, key };
}

function readTime(text: string | undefined): number | undefined {
  const ms = Date.parse(text ?? '');
  return Number.isNaN(ms) ? undefined : ms;
}

const writeTime = (ms: number): string => new Date(ms).toISOString();
