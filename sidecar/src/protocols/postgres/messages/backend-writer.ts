/** Messages that a server sends; we are one towards the client. Each returns the whole message. */
import type { ColumnDescription } from './backend-reader.ts';
import { Auth, Backend, ErrorField, PROTOCOL_MAJOR } from './types.ts';
import { MessageWriter } from './writer.ts';

export function authenticationOk(): Buffer {
  return new MessageWriter(Backend.Authentication).int32(Auth.Ok).finish();
}

export function authenticationCleartextPassword(): Buffer {
  return new MessageWriter(Backend.Authentication).int32(Auth.CleartextPassword).finish();
}

/** `salt`: four bytes. */
export function authenticationMD5Password(salt: Uint8Array): Buffer {
  return new MessageWriter(Backend.Authentication).int32(Auth.MD5Password).bytes(salt).finish();
}

export function authenticationSasl(mechanisms: readonly string[]): Buffer {
  const writer = new MessageWriter(Backend.Authentication).int32(Auth.SASL);
  for (const mechanism of mechanisms) writer.string(mechanism);
  return writer.uint8(0).finish();
}

export function authenticationSaslContinue(data: Uint8Array): Buffer {
  return new MessageWriter(Backend.Authentication).int32(Auth.SASLContinue).bytes(data).finish();
}

export function authenticationSaslFinal(data: Uint8Array): Buffer {
  return new MessageWriter(Backend.Authentication).int32(Auth.SASLFinal).bytes(data).finish();
}

export function parameterStatus(name: string, value: string): Buffer {
  return new MessageWriter(Backend.ParameterStatus).string(name).string(value).finish();
}

export function backendKeyData(pid: number, secret: Uint8Array): Buffer {
  return new MessageWriter(Backend.BackendKeyData).int32(pid).bytes(secret).finish();
}

/** `status`: one of `TransactionStatus`. */
export function readyForQuery(status: number): Buffer {
  return new MessageWriter(Backend.ReadyForQuery, 6).uint8(status).finish();
}

/** Newest minor version spoken, and the `_pq_.` options that are not. */
export function negotiateProtocolVersion(
  minor: number,
  unsupportedOptions: readonly string[],
): Buffer {
  const writer = new MessageWriter(Backend.NegotiateProtocolVersion);
  writer.int32((PROTOCOL_MAJOR << 16) | minor).int32(unsupportedOptions.length);
  for (const option of unsupportedOptions) writer.string(option);
  return writer.finish();
}

export function rowDescription(columns: readonly ColumnDescription[]): Buffer {
  const writer = new MessageWriter(Backend.RowDescription).uint16(columns.length);
  for (const column of columns) {
    writer.string(column.name).uint32(column.tableOid).int16(column.attribute);
    writer.uint32(column.typeOid).int16(column.typeLength).int32(column.typeModifier);
    writer.int16(column.format);
  }
  return writer.finish();
}

export function parameterDescription(types: readonly number[]): Buffer {
  const writer = new MessageWriter(Backend.ParameterDescription).uint16(types.length);
  for (const oid of types) writer.uint32(oid);
  return writer.finish();
}

export function dataRow(values: readonly (Uint8Array | null)[]): Buffer {
  const writer = new MessageWriter(Backend.DataRow).uint16(values.length);
  for (const value of values) writer.value(value);
  return writer.finish();
}

export function commandComplete(tag: string): Buffer {
  return new MessageWriter(Backend.CommandComplete).string(tag).finish();
}

export function notificationResponse(pid: number, channel: string, payload: string): Buffer {
  return new MessageWriter(Backend.NotificationResponse)
    .int32(pid)
    .string(channel)
    .string(payload)
    .finish();
}

function copyResponse(type: number, format: 0 | 1, columnFormats: readonly (0 | 1)[]): Buffer {
  const writer = new MessageWriter(type).uint8(format).uint16(columnFormats.length);
  for (const column of columnFormats) writer.int16(column);
  return writer.finish();
}

export function copyInResponse(format: 0 | 1, columnFormats: readonly (0 | 1)[]): Buffer {
  return copyResponse(Backend.CopyInResponse, format, columnFormats);
}

export function copyOutResponse(format: 0 | 1, columnFormats: readonly (0 | 1)[]): Buffer {
  return copyResponse(Backend.CopyOutResponse, format, columnFormats);
}

/** Order in which PostgreSQL itself sends the fields; others follow as given. */
const FIELD_ORDER: readonly string[] = Object.values(ErrorField);

function fieldsMessage(type: number, fields: ReadonlyMap<string, string>): Buffer {
  const writer = new MessageWriter(type, 256);
  const rank = (code: string) => {
    const index = FIELD_ORDER.indexOf(code);
    return index === -1 ? FIELD_ORDER.length : index;
  };
  const ordered = [...fields].sort(([left], [right]) => rank(left) - rank(right));
  for (const [code, text] of ordered) writer.uint8(code.charCodeAt(0)).string(text);
  return writer.uint8(0).finish();
}

/** `fields` by their one-letter code (`ErrorField`); S, V, C and M are expected by every client. */
export function errorResponse(fields: ReadonlyMap<string, string>): Buffer {
  return fieldsMessage(Backend.ErrorResponse, fields);
}

export function noticeResponse(fields: ReadonlyMap<string, string>): Buffer {
  return fieldsMessage(Backend.NoticeResponse, fields);
}

function empty(type: number): Buffer {
  return new MessageWriter(type, 5).finish();
}

// Messages without fields: the same bytes each time, to be read only.
export const bindComplete = empty(Backend.BindComplete);
export const closeComplete = empty(Backend.CloseComplete);
export const parseComplete = empty(Backend.ParseComplete);
export const noData = empty(Backend.NoData);
export const portalSuspended = empty(Backend.PortalSuspended);
export const emptyQueryResponse = empty(Backend.EmptyQueryResponse);
export const copyDone = empty(Backend.CopyDone);
