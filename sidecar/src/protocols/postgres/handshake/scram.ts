import { randomBytes, timingSafeEqual } from 'node:crypto';
import { saslprepPassword } from './saslprep.ts';
import { hmac, rememberScramKeys, type ScramKeys, scramKeys } from './scram-keys.ts';

/** SCRAM-SHA-256 from the client's side: RFC 5802, RFC 7677, and PostgreSQL's manual, "SASL Authentication". */

export const SCRAM_SHA_256 = 'SCRAM-SHA-256';
export const SCRAM_SHA_256_PLUS = 'SCRAM-SHA-256-PLUS';

/** What the server sent is not SCRAM, or does not prove that it knows the password. */
export class ScramError extends Error {
  readonly code: 'Malformed' | 'Nonce' | 'Iterations' | 'Signature' | 'Rejected' | 'OutOfOrder';
  constructor(code: ScramError['code'], message: string) {
    super(message);
    this.name = 'ScramError';
    this.code = code;
  }
}

export interface ScramOptions {
  /** As configured; prepared here. */
  readonly password: string;
  /** Left empty towards PostgreSQL, which takes the startup message's. Neither `=` nor `,` may be in it. */
  readonly username?: string;
  /**
   * `{data}`: bind to this channel (SCRAM-SHA-256-PLUS, tls-server-end-point). `NotOffered`: we could, but the
   * server did not offer it; it will notice if somebody took its offer away. `None`: we cannot.
   */
  readonly channelBinding: { readonly data: Uint8Array } | 'NotOffered' | 'None';
  /** Bounds of the server's iteration count: below, a stolen exchange is cheap to guess; above, it costs us. */
  readonly minIterations: number;
  readonly maxIterations: number;
  /** Printable ASCII without a comma; random when absent. */
  readonly nonce?: string;
}

const NONCE_BYTES = 18;
const KEY_BYTES = 32;
/** PostgreSQL's own messages have less than 200 bytes. */
const MAX_MESSAGE_BYTES = 4_096;

// Optional extensions (RFC 5802 §7) are refused: no server sends one, and they are part of what is signed.
const SERVER_FIRST = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/=]+),i=([1-9][0-9]{0,9})$/;
const SERVER_FINAL = /^v=([A-Za-z0-9+/=]+)$/;

/** Base64 as it is written only; undefined for any other spelling of the same bytes. */
function fromBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

function asText(message: Buffer): string {
  if (message.length > MAX_MESSAGE_BYTES) throw new ScramError('Malformed', 'too long');
  return message.toString('latin1');
}

type State = 'New' | 'FirstSent' | 'Deriving' | 'FinalSent' | 'Done';

/** One exchange: `first`, then `final` with the server's answer, then `verify` with its last word. */
export class ScramClient {
  readonly #options: ScramOptions;
  readonly #gs2Header: string;
  readonly #nonce: string;
  readonly #firstBare: string;
  #serverSignature: Buffer | undefined;
  #keys: ScramKeys | undefined;
  #state: State = 'New';

  constructor(options: ScramOptions) {
    const { channelBinding } = options;
    this.#options = options;
    this.#gs2Header =
      channelBinding === 'None'
        ? 'n,,'
        : channelBinding === 'NotOffered'
          ? 'y,,'
          : 'p=tls-server-end-point,,';
    this.#nonce = options.nonce ?? randomBytes(NONCE_BYTES).toString('base64');
    this.#firstBare = `n=${options.username ?? ''},r=${this.#nonce}`;
  }

  /** client-first-message. */
  first(): Buffer {
    this.#expect('New', 'FirstSent');
    return Buffer.from(this.#gs2Header + this.#firstBare);
  }

  /** client-final-message; derives the keys off the event loop. Throws ScramError. */
  async final(serverFirst: Buffer): Promise<Buffer> {
    this.#expect('FirstSent', 'Deriving');
    const text = asText(serverFirst);
    const [, nonce, saltText, count] = SERVER_FIRST.exec(text) ?? [];
    const salt = fromBase64(saltText ?? '');
    if (nonce === undefined || salt === undefined || salt.length === 0) {
      throw new ScramError('Malformed', 'server-first-message');
    }
    if (!nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length) {
      throw new ScramError('Nonce', 'the nonce does not continue ours');
    }
    const iterations = Number(count);
    const { minIterations, maxIterations } = this.#options;
    if (iterations < minIterations || iterations > maxIterations) {
      throw new ScramError('Iterations', `an iteration count of ${iterations}`);
    }
    const password = saslprepPassword(this.#options.password);
    this.#keys = await scramKeys(password, salt, iterations);
    const { clientKey, storedKey, serverKey } = this.#keys;
    const withoutProof = `c=${this.#bindingData().toString('base64')},r=${nonce}`;
    const signed = `${this.#firstBare},${text},${withoutProof}`;
    const proof = hmac(storedKey, signed);
    for (let index = 0; index < KEY_BYTES; index += 1) proof[index]! ^= clientKey[index]!;
    this.#serverSignature = hmac(serverKey, signed);
    this.#expect('Deriving', 'FinalSent');
    return Buffer.from(`${withoutProof},p=${proof.toString('base64')}`);
  }

  /** Checks the server-final-message: without it, anybody could have played the server. Throws ScramError. */
  verify(serverFinal: Buffer): void {
    this.#expect('FinalSent', 'Done');
    const text = asText(serverFinal);
    if (text.startsWith('e=')) throw new ScramError('Rejected', 'the server says that it failed');
    const [, signatureText] = SERVER_FINAL.exec(text) ?? [];
    const signature = signatureText === undefined ? undefined : fromBase64(signatureText);
    if (signature === undefined) throw new ScramError('Malformed', 'server-final-message');
    const expected = this.#serverSignature!;
    if (signature.length !== expected.length || !timingSafeEqual(signature, expected)) {
      throw new ScramError('Signature', 'the server does not know the password');
    }
    rememberScramKeys(this.#keys!);
  }

  /** cbind-input: the header and, under channel binding, the channel's data. */
  #bindingData(): Buffer {
    const { channelBinding } = this.#options;
    const header = Buffer.from(this.#gs2Header);
    return typeof channelBinding === 'object'
      ? Buffer.concat([header, channelBinding.data])
      : header;
  }

  #expect(state: State, next: State): void {
    if (this.#state !== state) throw new ScramError('OutOfOrder', 'not the turn of that message');
    this.#state = next;
  }
}
