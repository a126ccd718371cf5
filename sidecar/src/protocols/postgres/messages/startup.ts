import { Cursor } from './cursor.ts';
import { ProtocolError } from './protocol-error.ts';
import { CANCEL_KEY_BYTES_30, MAX_CANCEL_KEY_BYTES, PROTOCOL_MAJOR, Startup } from './types.ts';

/** A StartupMessage as the client sent it. */
export interface StartupMessage {
  readonly kind: 'startup';
  /** Minor version asked for, 0–65535. */
  readonly minor: number;
  /** Name → value in the order sent, `user` and `database` included, without `_pq_.` options. */
  readonly parameters: ReadonlyMap<string, string>;
  /** Names that begin with `_pq_.`: protocol extensions, of which there is none that we speak. */
  readonly protocolOptions: readonly string[];
}

/** A CancelRequest. `secret` is a copy. */
export interface CancelMessage {
  readonly kind: 'cancel';
  readonly pid: number;
  readonly secret: Buffer;
}

export type InitialMessage =
  | StartupMessage
  | CancelMessage
  | { readonly kind: 'ssl' }
  | { readonly kind: 'gssenc' }
  | { readonly kind: 'unsupported'; readonly major: number; readonly minor: number };

const PROTOCOL_OPTION_PREFIX = '_pq_.';

/**
 * Parses the first message of a connection: `buffer[start, end)`, the length field included (see
 * `startupLength`). A name given twice is an error: which of the two counts would be guessing.
 *
 * @throws ProtocolError
 */
export function parseInitialMessage(buffer: Buffer, start: number, end: number): InitialMessage {
  const cursor = new Cursor(buffer, start, end);
  if (cursor.int32() !== end - start) {
    throw new ProtocolError('InvalidLength', 'a startup message is not as long as it says');
  }
  const code = cursor.int32();
  if (code === Startup.SSLRequest || code === Startup.GSSENCRequest) {
    cursor.finish();
    return { kind: code === Startup.SSLRequest ? 'ssl' : 'gssenc' };
  }
  if (code === Startup.CancelRequest) return cancelMessage(cursor);
  const major = code >>> 16;
  const minor = code & 0xffff;
  if (major !== PROTOCOL_MAJOR) return { kind: 'unsupported', major, minor };
  return startupMessage(cursor, minor);
}

function cancelMessage(cursor: Cursor): CancelMessage {
  const pid = cursor.int32();
  const length = cursor.remaining;
  if (length < CANCEL_KEY_BYTES_30 || length > MAX_CANCEL_KEY_BYTES) {
    throw new ProtocolError('InvalidLength', 'a cancel key is not of a length that exists');
  }
  return { kind: 'cancel', pid, secret: Buffer.from(cursor.bytes()) };
}

function startupMessage(cursor: Cursor, minor: number): StartupMessage {
  const parameters = new Map<string, string>();
  const protocolOptions: string[] = [];
  for (;;) {
    const name = cursor.string();
    if (name === '') break;
    const value = cursor.string();
    if (name.startsWith(PROTOCOL_OPTION_PREFIX)) {
      protocolOptions.push(name);
    } else if (parameters.has(name)) {
      throw new ProtocolError('InvalidValue', 'a startup parameter is given twice');
    } else {
      parameters.set(name, value);
    }
  }
  cursor.finish();
  return { kind: 'startup', minor, parameters, protocolOptions };
}
