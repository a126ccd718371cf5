/** What is read from Secrets and ConfigMaps, and the marks that they must carry to be read. */
import type { Stored } from '../store/resource-store.ts';
import type { Snapshot } from './snapshot.ts';

/** Names the Target that a Secret's credential is for. */
export const targetMark = 'chaperone.dev/target';
/** `MaskingKey` on a Secret that a MaskingRule may use as its key. */
export const useMark = 'chaperone.dev/use';

/** Of a mark that is repeated in a message; an annotation may be as long as it likes. */
const maxNameChars = 253;
const minMaskingKeyBytes = 16;
/** Of a Target's authorities: the bundle of everybody whom it is open to carries them. */
const maxAuthoritiesChars = 256 * 1024;
const certificatePattern = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** A value, or why there is none, as a PascalCase reason and a sentence that holds no secret. */
export type Resolved<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: string; readonly message: string };

export interface Credential {
  /** Of the Secret. */
  readonly name: string;
  /** The Secret's resourceVersion. */
  readonly version: string;
  readonly username: string;
  readonly password: string;
}

/** The credential that a Target's secretRef names. */
export function resolveCredential(
  target: Stored<'Target'>,
  snapshot: Snapshot,
): Resolved<Credential> {
  const { name, usernameKey, passwordKey } = target.spec.credentials.secretRef;
  const secret = snapshot.get('Secret', target.metadata.namespace, name);
  // In a cluster, Secrets without the label are not read, so that neither can be told from the other.
  if (secret === undefined) {
    const label = `${targetMark}: ${target.metadata.name}`;
    return failure('SecretNotFound', `Secret ${name} does not exist, or lacks the label ${label}`);
  }
  const mark = markOf(secret, targetMark);
  if (mark !== target.metadata.name && mark !== undefined && mark !== '') {
    // To mark it anew would take it from the Target that works with it.
    return failure(
      'SecretTaken',
      `Secret ${name} is marked for Target ${mark.slice(0, maxNameChars)}: make a Secret of its own for ${target.metadata.name}, marked ${targetMark}: ${target.metadata.name}`,
    );
  }
  if (mark !== target.metadata.name) {
    return failure(
      'SecretNotMarked',
      `Secret ${name} lacks the label or annotation ${targetMark}: ${target.metadata.name}`,
    );
  }
  const username = textOf(secret, usernameKey);
  const password = textOf(secret, passwordKey);
  if (username === undefined || password === undefined) {
    const missing = username === undefined ? usernameKey : passwordKey;
    return failure('SecretIncomplete', `Secret ${name} has no usable value under ${missing}`);
  }
  return {
    ok: true,
    value: { name, version: secret.metadata.resourceVersion, username, password },
  };
}

/** The authorities of a Target's caRef as PEM, and nothing else that stands there; undefined where it names none. */
export function resolveAuthorities(
  target: Stored<'Target'>,
  snapshot: Snapshot,
): Resolved<string | undefined> {
  const { caRef } = target.spec.tls;
  if (caRef === undefined) return { ok: true, value: undefined };
  const { namespace } = target.metadata;
  const { kind, name, key } = caRef;
  const pem =
    kind === 'ConfigMap'
      ? valueAt(snapshot.get('ConfigMap', namespace, name)?.data, key)
      : textOfOptional(snapshot.get('Secret', namespace, name), key);
  if (pem === undefined) {
    return failure('CANotFound', `${kind} ${name} with the key ${key} does not exist`);
  }
  // What stands beside them, a private key say, is not for those who are told.
  const certificates = pem.match(certificatePattern) ?? [];
  if (certificates.length === 0) {
    return failure('CAInvalid', `${kind} ${name} holds no PEM certificate under ${key}`);
  }
  const value = `${certificates.join('\n')}\n`;
  return value.length <= maxAuthoritiesChars
    ? { ok: true, value }
    : failure('CAInvalid', `${kind} ${name} holds more than 256 KiB of certificates under ${key}`);
}

/** The key of a MaskingRule's keyRef; undefined where it names none. */
export function resolveMaskingKey(
  rule: Stored<'MaskingRule'>,
  snapshot: Snapshot,
): Resolved<Buffer | undefined> {
  const { keyRef } = rule.spec;
  if (keyRef === undefined) return { ok: true, value: undefined };
  const secret = snapshot.get('Secret', rule.metadata.namespace, keyRef.name);
  if (secret === undefined) {
    const message = `Secret ${keyRef.name} does not exist, or lacks the label ${useMark}: MaskingKey`;
    return failure('KeyNotFound', message);
  }
  if (markOf(secret, useMark) !== 'MaskingKey') {
    return failure(
      'KeyNotMarked',
      `Secret ${keyRef.name} lacks the label or annotation ${useMark}: MaskingKey`,
    );
  }
  const encoded = valueAt(secret.data, keyRef.key);
  const key = Buffer.from(encoded ?? '', 'base64');
  return key.length >= minMaskingKeyBytes
    ? { ok: true, value: key }
    : failure(
        'KeyTooShort',
        `Secret ${keyRef.name} has fewer than ${minMaskingKeyBytes} bytes under ${keyRef.key}`,
      );
}

function markOf({ metadata }: Stored<'Secret'>, mark: string): string | undefined {
  return valueAt(metadata.labels, mark) ?? valueAt(metadata.annotations, mark);
}

function textOfOptional(secret: Stored<'Secret'> | undefined, key: string): string | undefined {
  return secret === undefined ? undefined : textOf(secret, key);
}

/** UTF-8 without NUL and not empty, which no protocol can carry as a credential. */
function textOf(secret: Stored<'Secret'>, key: string): string | undefined {
  const encoded = valueAt(secret.data, key);
  if (encoded === undefined) return undefined;
  try {
    const bytes = Buffer.from(encoded, 'base64');
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return text === '' || text.includes('\0') ? undefined : text;
  } catch {
    return undefined;
  }
}

function valueAt(
  values: Readonly<Record<string, string>> | undefined,
  key: string,
): string | undefined {
  return values !== undefined && Object.hasOwn(values, key) ? values[key] : undefined;
}

const failure = (
  reason: string,
  message: string,
): { ok: false; reason: string; message: string } => ({
  ok: false,
  reason,
  message,
});
