/** Messages that a client sends; we are one towards the backend. Each returns the whole message. */
import { Frontend, ObjectKind, Startup } from './types.ts';
import { MessageWriter } from './writer.ts';

/** `parameters` include `user`. */
export function startupMessage(
  minor: number,
  parameters: Iterable<readonly [string, string]>,
): Buffer {
  const writer = new MessageWriter(undefined).int32(Startup.Protocol30 | minor);
  for (const [name, value] of parameters) {
    // An empty name ends the list, and the server would not see what follows.
    if (name === '') throw new RangeError('a startup parameter needs a name');
    writer.string(name).string(value);
  }
  return writer.uint8(0).finish();
}

export function sslRequest(): Buffer {
  return new MessageWriter(undefined).int32(Startup.SSLRequest).finish();
}

export function cancelRequest(pid: number, secret: Uint8Array): Buffer {
  return new MessageWriter(undefined)
    .int32(Startup.CancelRequest)
    .int32(pid)
    .bytes(secret)
    .finish();
}

export function passwordMessage(password: string): Buffer {
  return new MessageWriter(Frontend.Password).string(password).finish();
}

export function saslInitialResponse(mechanism: string, response: Uint8Array): Buffer {
  return new MessageWriter(Frontend.Password).string(mechanism).value(response).finish();
}

export function saslResponse(response: Uint8Array): Buffer {
  return new MessageWriter(Frontend.Password).bytes(response).finish();
}

export function query(text: string): Buffer {
  return new MessageWriter(Frontend.Query).string(text).finish();
}

/** `statement` empty: the unnamed one. `parameterTypes`: OIDs, 0 for "infer it". */
export function parse(
  statement: string,
  text: string,
  parameterTypes: readonly number[] = [],
): Buffer {
  const writer = new MessageWriter(Frontend.Parse).string(statement).string(text);
  writer.uint16(parameterTypes.length);
  for (const oid of parameterTypes) writer.uint32(oid);
  return writer.finish();
}

export interface BindFields {
  readonly portal: string;
  readonly statement: string;
  readonly parameterFormats: readonly (0 | 1)[];
  readonly parameters: readonly (Uint8Array | null)[];
  readonly resultFormats: readonly (0 | 1)[];
}

export function bind(fields: BindFields): Buffer {
  const writer = new MessageWriter(Frontend.Bind).string(fields.portal).string(fields.statement);
  writer.uint16(fields.parameterFormats.length);
  for (const format of fields.parameterFormats) writer.int16(format);
  writer.uint16(fields.parameters.length);
  for (const value of fields.parameters) writer.value(value);
  writer.uint16(fields.resultFormats.length);
  for (const format of fields.resultFormats) writer.int16(format);
  return writer.finish();
}

/** `maxRows` 0: all. */
export function execute(portal: string, maxRows: number): Buffer {
  return new MessageWriter(Frontend.Execute).string(portal).int32(maxRows).finish();
}

export function describe(kind: 'Statement' | 'Portal', name: string): Buffer {
  return new MessageWriter(Frontend.Describe).uint8(ObjectKind[kind]).string(name).finish();
}

export function close(kind: 'Statement' | 'Portal', name: string): Buffer {
  return new MessageWriter(Frontend.Close).uint8(ObjectKind[kind]).string(name).finish();
}

export interface FunctionCallFields {
  readonly functionOid: number;
  readonly argumentFormats: readonly (0 | 1)[];
  readonly arguments: readonly (Uint8Array | null)[];
  readonly resultFormat: 0 | 1;
}

export function functionCall(fields: FunctionCallFields): Buffer {
  const writer = new MessageWriter(Frontend.FunctionCall).uint32(fields.functionOid);
  writer.uint16(fields.argumentFormats.length);
  for (const format of fields.argumentFormats) writer.int16(format);
  writer.uint16(fields.arguments.length);
  for (const value of fields.arguments) writer.value(value);
  return writer.int16(fields.resultFormat).finish();
}

export function copyData(data: Uint8Array): Buffer {
  return new MessageWriter(Frontend.CopyData, data.length + 5).bytes(data).finish();
}

export function copyFail(reason: string): Buffer {
  return new MessageWriter(Frontend.CopyFail).string(reason).finish();
}

function empty(type: number): Buffer {
  return new MessageWriter(type, 5).finish();
}

// Messages without fields: the same bytes each time, to be read only.
export const sync = empty(Frontend.Sync);
export const flush = empty(Frontend.Flush);
export const terminate = empty(Frontend.Terminate);
export const copyDone = empty(Frontend.CopyDone);
