/**
 * Parsers of what a server sends. Each takes the message's body as `buffer[start, end)`: `start` is the
 * first byte behind the length field, `end` the first behind the message. Each throws ProtocolError when
 * the fields do not fill the message exactly: a hostile server is as little believed as a hostile client.
 */
import { Cursor } from './cursor.ts';
import { ProtocolError } from './protocol-error.ts';
import {
  CANCEL_KEY_BYTES_30,
  MAX_CANCEL_KEY_BYTES,
  PROTOCOL_MAJOR,
  TransactionStatus,
} from './types.ts';

export interface AuthenticationMessage {
  /** One of `Auth`, or a number that nobody knows. */
  readonly kind: number;
  /** What follows: salt, mechanisms, SASL data. A view, not a copy. */
  readonly data: Buffer;
}

export function parseAuthentication(
  buffer: Buffer,
  start: number,
  end: number,
): AuthenticationMessage {
  const cursor = new Cursor(buffer, start, end);
  const kind = cursor.int32();
  return { kind, data: cursor.bytes() };
}

/** Names of the mechanisms that an AuthenticationSASL offers, from its `data`. */
export function parseSaslMechanisms(data: Buffer): string[] {
  const cursor = new Cursor(data, 0, data.length);
  const mechanisms: string[] = [];
  for (let name = cursor.string(); name !== ''; name = cursor.string()) mechanisms.push(name);
  cursor.finish();
  return mechanisms;
}

export interface ParameterStatus {
  readonly name: string;
  readonly value: string;
}

export function parseParameterStatus(buffer: Buffer, start: number, end: number): ParameterStatus {
  const cursor = new Cursor(buffer, start, end);
  const name = cursor.string();
  const value = cursor.string();
  cursor.finish();
  return { name, value };
}

/** `secret` is a copy: 4 bytes in 3.0, up to 256 in 3.2. */
export interface CancelKey {
  readonly pid: number;
  readonly secret: Buffer;
}

export function parseBackendKeyData(buffer: Buffer, start: number, end: number): CancelKey {
  const cursor = new Cursor(buffer, start, end);
  const pid = cursor.int32();
  const length = cursor.remaining;
  if (length < CANCEL_KEY_BYTES_30 || length > MAX_CANCEL_KEY_BYTES) {
    throw new ProtocolError('InvalidLength', 'a cancel key is not of a length that exists');
  }
  return { pid, secret: Buffer.from(cursor.bytes()) };
}

export interface NegotiatedVersion {
  readonly minor: number;
  readonly unsupportedOptions: readonly string[];
}

export function parseNegotiateProtocolVersion(
  buffer: Buffer,
  start: number,
  end: number,
): NegotiatedVersion {
  const cursor = new Cursor(buffer, start, end);
  const version = cursor.int32();
  const count = cursor.int32();
  // Every name takes at least its zero byte; the server had no more to refuse than we asked.
  if (count < 0 || count > cursor.remaining) {
    throw new ProtocolError('InvalidLength', 'a count is larger than its message');
  }
  const unsupportedOptions: string[] = [];
  for (let index = 0; index < count; index += 1) unsupportedOptions.push(cursor.string());
  cursor.finish();
  // PostgreSQL sends the whole number; the manual can be read as asking for the minor alone.
  const major = version >>> 16;
  if (major !== PROTOCOL_MAJOR && major !== 0) {
    throw new ProtocolError('UnsupportedVersion', 'the server negotiates another major version');
  }
  return { minor: version & 0xffff, unsupportedOptions };
}

/** One of `TransactionStatus`. */
export function parseReadyForQuery(buffer: Buffer, start: number, end: number): number {
  const cursor = new Cursor(buffer, start, end);
  const status = cursor.uint8();
  cursor.finish();
  if (
    status !== TransactionStatus.Idle &&
    status !== TransactionStatus.InBlock &&
    status !== TransactionStatus.Failed
  ) {
    throw new ProtocolError('InvalidValue', 'an unknown transaction status');
  }
  return status;
}

export interface ColumnDescription {
  readonly name: string;
  /** OID of the table it comes from; 0 for none. */
  readonly tableOid: number;
  /** Attribute number within the table; 0 for none, negative for system columns. */
  readonly attribute: number;
  readonly typeOid: number;
  /** pg_type.typlen; negative for variable width. */
  readonly typeLength: number;
  readonly typeModifier: number;
  /** Always 0 when it answers the Describe of a statement. */
  readonly format: 0 | 1;
}

const MIN_COLUMN_BYTES = 19;

export function parseRowDescription(
  buffer: Buffer,
  start: number,
  end: number,
): ColumnDescription[] {
  const cursor = new Cursor(buffer, start, end);
  const count = cursor.count(MIN_COLUMN_BYTES);
  const columns: ColumnDescription[] = [];
  for (let index = 0; index < count; index += 1) {
    columns.push({
      name: cursor.string(),
      tableOid: cursor.uint32(),
      attribute: cursor.int16(),
      typeOid: cursor.uint32(),
      typeLength: cursor.int16(),
      typeModifier: cursor.int32(),
      format: cursor.format(),
    });
  }
  cursor.finish();
  return columns;
}

/** OIDs of a statement's parameters. */
export function parseParameterDescription(buffer: Buffer, start: number, end: number): number[] {
  const cursor = new Cursor(buffer, start, end);
  const count = cursor.count(4);
  const types: number[] = [];
  for (let index = 0; index < count; index += 1) types.push(cursor.uint32());
  cursor.finish();
  return types;
}

/** CopyInResponse, CopyOutResponse, CopyBothResponse. */
export interface CopyResponse {
  /** 0 textual (rows are lines), 1 binary. */
  readonly format: 0 | 1;
  readonly columnFormats: readonly (0 | 1)[];
}

export function parseCopyResponse(buffer: Buffer, start: number, end: number): CopyResponse {
  const cursor = new Cursor(buffer, start, end);
  const format = cursor.uint8();
  if (format !== 0 && format !== 1) {
    throw new ProtocolError('InvalidValue', 'a copy is neither textual nor binary');
  }
  const columnFormats = cursor.formats();
  cursor.finish();
  return { format, columnFormats };
}

export interface Notification {
  readonly pid: number;
  readonly channel: string;
  readonly payload: string;
}

export function parseNotification(buffer: Buffer, start: number, end: number): Notification {
  const cursor = new Cursor(buffer, start, end);
  const pid = cursor.int32();
  const channel = cursor.string();
  const payload = cursor.string();
  cursor.finish();
  return { pid, channel, payload };
}

/** The tag of a CommandComplete, such as `INSERT 0 3`. */
export function parseCommandComplete(buffer: Buffer, start: number, end: number): string {
  const cursor = new Cursor(buffer, start, end);
  const tag = cursor.string();
  cursor.finish();
  return tag;
}

/**
 * Fields of an ErrorResponse or NoticeResponse by their one-letter code (`ErrorField`). Codes that we do not
 * know are kept; one that comes twice is an error.
 *
 * Texts are decoded lossily: before a session's encoding is settled, and in SQL_ASCII databases, servers
 * send them in whatever encoding they have, and a failed login must still be told from a broken protocol.
 */
export function parseErrorFields(
  buffer: Buffer,
  start: number,
  end: number,
): ReadonlyMap<string, string> {
  const cursor = new Cursor(buffer, start, end);
  const fields = new Map<string, string>();
  for (let code = cursor.uint8(); code !== 0; code = cursor.uint8()) {
    const letter = String.fromCharCode(code);
    if (fields.has(letter)) {
      throw new ProtocolError('InvalidValue', 'an error field is given twice');
    }
    fields.set(letter, cursor.string(true));
  }
  cursor.finish();
  return fields;
}
