import { parseErrorFields } from '../messages/backend-reader.ts';
import { errorResponse, noticeResponse } from '../messages/backend-writer.ts';
import { Backend, ErrorField } from '../messages/types.ts';
import { sqlstateMessages } from './sqlstate-messages.ts';

export interface RebuildOptions {
  /**
   * User code may have run (a function, a trigger, a DO block). RAISE sets object names and SQLSTATE to what
   * it likes, data included: names then go too, and a SQLSTATE that is not PostgreSQL's becomes P0001.
   */
  readonly userCode: boolean;
}

/** Untranslated severities, and the field's word for each: nothing else is passed on as one. */
const ERROR_SEVERITIES = ['ERROR', 'FATAL', 'PANIC'];
const NOTICE_SEVERITIES = ['WARNING', 'NOTICE', 'DEBUG', 'INFO', 'LOG'];

const NAME_FIELDS = [
  ErrorField.Schema,
  ErrorField.Table,
  ErrorField.Column,
  ErrorField.DataType,
  ErrorField.Constraint,
];
/** PostgreSQL's identifiers have at most 63 bytes; what is longer is no name. */
const MAX_NAME_BYTES = 63;

const SQLSTATE = /^[0-9A-Z]{5}$/;
const POSITION = /^[1-9][0-9]{0,9}$/;

/**
 * Routines that drivers look for. pgjdbc re-prepares a statement whose plan no longer fits only if it finds
 * this name in the error. A constant says nothing about data.
 */
const KEPT_ROUTINES: ReadonlySet<string> = new Set(['RevalidateCachedQuery']);

/**
 * Rebuilds an ErrorResponse or NoticeResponse so that no data of the database is left in it (decisions 8):
 * severity, SQLSTATE, position and object names stay; the message becomes ours; detail, hint, context,
 * internal query and source location go. The severity's translation goes as well: it is said untranslated.
 *
 * @param message the whole message, type byte included
 * @returns the whole new message of the same type
 * @throws ProtocolError
 */
export function rebuildReport(message: Buffer, options: RebuildOptions): Buffer {
  const isError = message[0] === Backend.ErrorResponse;
  const fields = rebuildFields(parseErrorFields(message, 5, message.length), isError, options);
  return isError ? errorResponse(fields) : noticeResponse(fields);
}

/** As `rebuildReport`, on fields by their one-letter code. */
export function rebuildFields(
  original: ReadonlyMap<string, string>,
  isError: boolean,
  { userCode }: RebuildOptions,
): ReadonlyMap<string, string> {
  const known = isError ? ERROR_SEVERITIES : NOTICE_SEVERITIES;
  const given = original.get(ErrorField.SeverityV) ?? '';
  const severity = known.includes(given) ? given : isError ? 'ERROR' : 'NOTICE';
  const sqlstate = rebuildSqlstate(original.get(ErrorField.Code) ?? '', isError, userCode);
  const names = new Map<string, string>();
  for (const code of userCode ? [] : NAME_FIELDS) {
    const name = original.get(code);
    if (name !== undefined && Buffer.byteLength(name) <= MAX_NAME_BYTES) names.set(code, name);
  }
  const fields = new Map<string, string>([
    [ErrorField.Severity, severity],
    [ErrorField.SeverityV, severity],
    [ErrorField.Code, sqlstate],
    [ErrorField.Message, messageFor(sqlstate, names)],
  ]);
  const position = original.get(ErrorField.Position);
  if (position !== undefined && POSITION.test(position)) fields.set(ErrorField.Position, position);
  for (const [code, name] of names) fields.set(code, name);
  const routine = original.get(ErrorField.Routine);
  if (routine !== undefined && KEPT_ROUTINES.has(routine)) fields.set(ErrorField.Routine, routine);
  return fields;
}

function rebuildSqlstate(given: string, isError: boolean, userCode: boolean): string {
  const known = Object.hasOwn(sqlstateMessages, given);
  if (known) return given;
  if (userCode) return isError ? 'P0001' : '01000';
  if (SQLSTATE.test(given)) return given;
  return isError ? 'XX000' : '01000';
}

/** The sentence for a SQLSTATE, with the names of the objects concerned where there are any. */
export function messageFor(sqlstate: string, names: ReadonlyMap<string, string>): string {
  const quoted = (code: string) => {
    const name = names.get(code);
    return name === undefined ? undefined : `"${name}"`;
  };
  const table = quoted(ErrorField.Table);
  const column = quoted(ErrorField.Column);
  const constraint = quoted(ErrorField.Constraint);
  const domain = quoted(ErrorField.DataType);
  switch (sqlstate) {
    case '23502':
      if (column !== undefined && table !== undefined) {
        return `null value in column ${column} of relation ${table} violates not-null constraint`;
      }
      if (domain !== undefined) return `domain ${domain} does not allow null values`;
      break;
    case '23001':
    case '23503':
      if (constraint !== undefined && table !== undefined) {
        return `the statement violates foreign key constraint ${constraint} on table ${table}`;
      }
      break;
    case '23505':
      if (constraint !== undefined) {
        return `duplicate key value violates unique constraint ${constraint}`;
      }
      break;
    case '23514':
      if (constraint === undefined) break;
      return domain === undefined
        ? `a row of relation ${table ?? 'unknown'} violates check constraint ${constraint}`
        : `a value for domain ${domain} violates check constraint ${constraint}`;
    case '23P01':
      if (constraint !== undefined) {
        return `conflicting key value violates exclusion constraint ${constraint}`;
      }
      break;
  }
  return (
    sqlstateMessages[sqlstate] ??
    sqlstateMessages[`${sqlstate.slice(0, 2)}000`] ??
    'the statement failed'
  );
}
