/**
 * Parsers of what a client sends once it is logged in. Each takes the message's body as
 * `buffer[start, end)`: `start` is the first byte behind the length field, `end` the first behind the
 * message. Each throws ProtocolError when the fields do not fill the message exactly.
 */
import { Cursor } from './cursor.ts';
import { ProtocolError } from './protocol-error.ts';
import { ObjectKind } from './types.ts';

function onlyString(buffer: Buffer, start: number, end: number): string {
  const cursor = new Cursor(buffer, start, end);
  const text = cursor.string();
  cursor.finish();
  return text;
}

/** The text of a simple Query. */
export const parseQuery = onlyString;
/** The password of a PasswordMessage. */
export const parsePassword = onlyString;
/** The client's reason for giving up a COPY IN. */
export const parseCopyFail = onlyString;

export interface ParseMessage {
  /** Name of the prepared statement; empty for the unnamed one. */
  readonly statement: string;
  readonly text: string;
  /** OIDs, 0 for "infer it"; may be fewer than the statement's parameters. */
  readonly parameterTypes: readonly number[];
}

export function parseParse(buffer: Buffer, start: number, end: number): ParseMessage {
  const cursor = new Cursor(buffer, start, end);
  const statement = cursor.string();
  const text = cursor.string();
  const count = cursor.count(4);
  const parameterTypes: number[] = [];
  for (let index = 0; index < count; index += 1) parameterTypes.push(cursor.uint32());
  cursor.finish();
  return { statement, text, parameterTypes };
}

export interface BindMessage {
  readonly portal: string;
  readonly statement: string;
  /** None: all text. One: for all. Else one per parameter. */
  readonly parameterFormats: readonly (0 | 1)[];
  /** Offset in the buffer of each parameter's first byte. */
  readonly parameterStarts: readonly number[];
  /** Length in bytes of each parameter; -1 for NULL. */
  readonly parameterLengths: readonly number[];
  /** None: all text. One: for all. Else one per result column. */
  readonly resultFormats: readonly (0 | 1)[];
}

export function parseBind(buffer: Buffer, start: number, end: number): BindMessage {
  const cursor = new Cursor(buffer, start, end);
  const portal = cursor.string();
  const statement = cursor.string();
  const parameterFormats = cursor.formats();
  const count = cursor.count(4);
  if (parameterFormats.length > 1 && parameterFormats.length !== count) {
    throw new ProtocolError(
      'InvalidValue',
      'Bind has another number of formats than of parameters',
    );
  }
  const parameterStarts: number[] = [];
  const parameterLengths: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const value = cursor.value();
    parameterStarts.push(value.start);
    parameterLengths.push(value.length);
  }
  const resultFormats = cursor.formats();
  cursor.finish();
  return {
    portal,
    statement,
    parameterFormats,
    parameterStarts,
    parameterLengths,
    resultFormats,
  };
}

/** Format of the parameter or column at `index` under the protocol's "none, one or each" rule. */
export function formatAt(formats: readonly (0 | 1)[], index: number): 0 | 1 {
  return formats.length === 1 ? formats[0]! : (formats[index] ?? 0);
}

/** Longer ones are no names of anything. */
const maxNameBytes = 1024;

/**
 * The value of `$parameter`, if it is of a type whose text is its bytes in either format: undefined for NULL,
 * for none at all, and for one that is too long for a name.
 */
export function parameterText(
  buffer: Buffer,
  { parameterStarts, parameterLengths }: BindMessage,
  parameter: number,
): string | undefined {
  const start = parameterStarts[parameter - 1];
  const length = parameterLengths[parameter - 1];
  if (start === undefined || length === undefined) return undefined;
  if (length < 0 || length > maxNameBytes) return undefined;
  return buffer.toString('utf8', start, start + length);
}

/** What Describe and Close name. */
export interface ObjectMessage {
  readonly kind: 'Statement' | 'Portal';
  readonly name: string;
}

function parseObject(buffer: Buffer, start: number, end: number): ObjectMessage {
  const cursor = new Cursor(buffer, start, end);
  const kind = cursor.uint8();
  if (kind !== ObjectKind.Statement && kind !== ObjectKind.Portal) {
    throw new ProtocolError('InvalidValue', 'Describe or Close names neither statement nor portal');
  }
  const name = cursor.string();
  cursor.finish();
  return { kind: kind === ObjectKind.Statement ? 'Statement' : 'Portal', name };
}

export const parseDescribe = parseObject;
export const parseClose = parseObject;

export interface ExecuteMessage {
  readonly portal: string;
  /** Rows at most; 0 or less means all. */
  readonly maxRows: number;
}

export function parseExecute(buffer: Buffer, start: number, end: number): ExecuteMessage {
  const cursor = new Cursor(buffer, start, end);
  const portal = cursor.string();
  const maxRows = cursor.int32();
  cursor.finish();
  return { portal, maxRows };
}

export interface FunctionCallMessage {
  readonly functionOid: number;
  readonly argumentFormats: readonly (0 | 1)[];
  readonly argumentStarts: readonly number[];
  /** -1 for NULL. */
  readonly argumentLengths: readonly number[];
  readonly resultFormat: 0 | 1;
}

export function parseFunctionCall(buffer: Buffer, start: number, end: number): FunctionCallMessage {
  const cursor = new Cursor(buffer, start, end);
  const functionOid = cursor.uint32();
  const argumentFormats = cursor.formats();
  const count = cursor.count(4);
  if (argumentFormats.length > 1 && argumentFormats.length !== count) {
    throw new ProtocolError('InvalidValue', 'a call has another number of formats than arguments');
  }
  const argumentStarts: number[] = [];
  const argumentLengths: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const value = cursor.value();
    argumentStarts.push(value.start);
    argumentLengths.push(value.length);
  }
  const resultFormat = cursor.format();
  cursor.finish();
  return { functionOid, argumentFormats, argumentStarts, argumentLengths, resultFormat };
}

/** Sync, Flush, Terminate, CopyDone: nothing may stand inside. */
export function parseEmpty(buffer: Buffer, start: number, end: number): void {
  new Cursor(buffer, start, end).finish();
}
