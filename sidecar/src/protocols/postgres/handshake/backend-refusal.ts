import { ErrorField } from '../messages/types.ts';
import { BackendError } from './backend-error.ts';

/** What the caller may be told of a refused login, by the backend's SQLSTATE: what it asked for itself. */
const toldToCaller: Readonly<Record<string, string>> = {
  '3D000': 'the database does not exist',
  '42501': 'permission for the database is denied',
  '42704': 'a startup parameter is not known to the target',
  '22023': 'a startup parameter has a value that the target does not take',
  '22P02': 'a startup parameter has a value that the target does not take',
  '55000': 'the database does not accept connections now',
  '55P02': 'a startup parameter cannot be set in a session',
  '53300': 'the target has too many connections',
  '57P03': 'the target does not take connections at the moment',
};

const transient: ReadonlySet<string> = new Set(['53300', '55000', '57P03']);

/** Of those, what the state of the whole server is to blame for. */
const causedByServer: ReadonlySet<string> = new Set(['53300', '57P03']);

/** Whether a login that ended so might be taken if it asked for another database or other settings. */
export const isCausedByCaller = (sqlstate: string): boolean =>
  Object.hasOwn(toldToCaller, sqlstate) && !causedByServer.has(sqlstate);

const SQLSTATE = /^[0-9A-Z]{5}$/;

/**
 * What becomes of an ErrorResponse that the backend sent before the session was ready. Its texts name the
 * backend's user and often its configuration, so none of them is kept; a SQLSTATE is. An ErrorResponse
 * without one (CVE-2026-6666) is an error all the same.
 */
export function loginRefused(fields: ReadonlyMap<string, string>): BackendError {
  const given = fields.get(ErrorField.Code) ?? '';
  const sqlstate = SQLSTATE.test(given) ? given : undefined;
  const logDetail = `the backend refused the login with ${sqlstate ?? 'no SQLSTATE'}`;
  const known = sqlstate === undefined ? undefined : toldToCaller[sqlstate];
  const backendSqlstate = sqlstate === undefined ? {} : { backendSqlstate: sqlstate };
  if (sqlstate !== undefined && known !== undefined) {
    return new BackendError('CHP-5005', {
      message: known,
      sqlstate,
      logDetail,
      hint: transient.has(sqlstate)
        ? 'Try again later.'
        : 'Correct what the connection asks for: the database, or the settings it comes with.',
      ...backendSqlstate,
    });
  }
  if (sqlstate?.startsWith('28')) {
    // Not 28P01: the caller's own proof was accepted, and another ticket would not help.
    return new BackendError('CHP-2011', {
      message: 'the target refused the credential that is kept for it',
      sqlstate: '08006',
      logDetail,
      ...backendSqlstate,
    });
  }
  return new BackendError('CHP-5005', {
    message: 'the target refused the connection',
    sqlstate: '08006',
    logDetail,
    ...backendSqlstate,
  });
}
