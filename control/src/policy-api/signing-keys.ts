/** The keys that tokens are signed with: private JWKs in a directory, read again when they change. */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose';
import { readOptional, WatchedFiles } from './watched-files.ts';

/** Signs; the others only verify: `previous.json` what it signed before, `next.json` is announced ahead. */
const currentFile = 'current.json';
const otherFiles = ['previous.json', 'next.json'];

export interface SigningKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
}

export interface KeySet {
  readonly current: SigningKey;
  /** By kid: all whose tokens are taken. */
  readonly verifying: ReadonlyMap<string, KeyObject>;
  /** Public keys alone. */
  readonly jwks: { readonly keys: readonly JWK[] };
}

export class SigningKeys {
  readonly #files: WatchedFiles<KeySet>;

  /** Throws ChaperoneError CHP-1004 when `directory` holds no usable current key. */
  constructor(directory: string, onProblem: (error: unknown) => void) {
    this.#files = new WatchedFiles({
      paths: [currentFile, ...otherFiles].map((file) => join(directory, file)),
      load: () => loadKeys(directory),
      onProblem,
    });
  }

  /** The same object as long as the files do not change. */
  keys(): KeySet {
    return this.#files.current();
  }
}

/** Makes `current.json` (mode 0600) where there is none. */
export async function ensureSigningKey(directory: string): Promise<void> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, currentFile);
  if (readOptional(path) !== undefined) return;
  writeFileSync(path, `${JSON.stringify(await newSigningKey())}\n`, { mode: 0o600, flag: 'wx' });
}

/** A private ES256 key as JWK, with its thumbprint as kid. */
export async function newSigningKey(): Promise<JWK> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = await exportJWK(privateKey);
  return { ...jwk, kid: await calculateJwkThumbprint(jwk), alg: 'ES256', use: 'sig' };
}

function loadKeys(directory: string): KeySet {
  const current = loadKey(join(directory, currentFile));
  if (current === undefined) {
    throw new ChaperoneError('CHP-1004', `${join(directory, currentFile)} does not exist`);
  }
  const others = otherFiles.flatMap((file) => loadKey(join(directory, file)) ?? []);
  const verifying = new Map<string, KeyObject>();
  for (const { kid, privateKey } of [current, ...others]) {
    if (!verifying.has(kid)) verifying.set(kid, createPublicKey(privateKey));
  }
  const keys = [...verifying].map(([kid, key]): JWK => {
    const { kty, crv, x, y } = key.export({ format: 'jwk' });
    return { kty, crv, x, y, kid, alg: 'ES256', use: 'sig' } as JWK;
  });
  return { current, verifying, jwks: { keys } };
}

function loadKey(path: string): SigningKey | undefined {
  const text = readOptional(path);
  if (text === undefined) return undefined;
  const refuse = (reason: string): ChaperoneError =>
    new ChaperoneError('CHP-1004', `${path} is no private ES256 key as JWK: ${reason}`);
  let jwk: JWK;
  let privateKey: KeyObject;
  try {
    jwk = JSON.parse(text);
    privateKey = createPrivateKey({ key: jwk as never, format: 'jwk' });
  } catch {
    // Not repeated: messages of the parsers may quote the key.
    throw refuse('it cannot be read');
  }
  const { kid } = jwk;
  if (typeof kid !== 'string' || kid === '' || kid.length > 256) throw refuse('it has no kid');
  if (privateKey.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw refuse('it is not on the curve P-256');
  }
  return { kid, privateKey };
}
