import type { RefusalReason } from '@chaperone/core/policy/types.ts';
import { errorResponse, noticeResponse } from '../messages/backend-writer.ts';
import { ErrorField } from '../messages/types.ts';

/** An error of ours as PostgreSQL's protocol says it. */
export interface ErrorReport {
  /** FATAL ends the connection; ERROR leaves it usable. */
  readonly severity: 'ERROR' | 'FATAL' | 'WARNING' | 'NOTICE';
  /** Five characters. */
  readonly sqlstate: string;
  /** One sentence: what was refused, and by which policy and rule. */
  readonly message: string;
  readonly detail?: string | undefined;
  /** What to do about it. */
  readonly hint?: string | undefined;
  /** Character offset into the statement, from 1. */
  readonly position?: number | undefined;
}

// Names of objects come from statements, and may hold anything but what ends a protocol string.
function clean(text: string): string {
  return text.replaceAll('\0', '\u{fffd}');
}

/** The whole message: ErrorResponse for ERROR and FATAL, NoticeResponse for the rest. */
export function errorReport(report: ErrorReport): Buffer {
  const fields = new Map<string, string>([
    [ErrorField.Severity, report.severity],
    [ErrorField.SeverityV, report.severity],
    [ErrorField.Code, report.sqlstate],
    [ErrorField.Message, clean(report.message)],
  ]);
  if (report.detail) fields.set(ErrorField.Detail, clean(report.detail));
  if (report.hint) fields.set(ErrorField.Hint, clean(report.hint));
  if (report.position !== undefined) fields.set(ErrorField.Position, String(report.position));
  const isError = report.severity === 'ERROR' || report.severity === 'FATAL';
  return isError ? errorResponse(fields) : noticeResponse(fields);
}

/** Where in a session's life a refusal falls; it decides whether the connection survives it. */
export type RefusalPhase =
  /** Before ReadyForQuery: always FATAL. */
  | 'Login'
  /** A statement; the connection goes on. */
  | 'Statement'
  /** An open session is ended: always FATAL. */
  | 'End';

/**
 * SQLSTATE of a refusal. What a policy says is 42501, as for a missing GRANT: drivers neither retry it nor
 * throw the connection away. Classes 08 and 57P0x make pools drop a connection, so they stand only where it
 * really ends:
 *
 * - Login: 28000 when the identity is not (or no longer) welcome; 57P03, which clients retry, when it is we
 *   who cannot serve it yet (no fresh policy, no room in the record).
 * - Statement: 54000 for limits, 53000 for a temporary lack on our side, 08P01 and XX000 for what is broken.
 * - End: 57P01, as when an administrator ends a session.
 */
export function refusalSqlstate(reason: RefusalReason, phase: RefusalPhase): string {
  switch (reason) {
    case 'Protocol':
      return '08P01';
    case 'Internal':
      return 'XX000';
    case 'StalePolicy':
    case 'Recorder':
      return phase === 'Login' ? '57P03' : phase === 'End' ? '57P01' : '53000';
    case 'Limit':
      // A pool that opens too many sessions is told what PostgreSQL tells it, and backs off.
      return phase === 'Login' ? '53300' : phase === 'End' ? '57P01' : '54000';
    case 'Suspended':
    case 'Expired':
    case 'NoPolicy':
    case 'DefaultDeny':
    case 'DeniedByRule':
    case 'Unknown':
    case 'ColumnNotAllowed':
    case 'Masking':
    case 'Usage':
    case 'ApprovalRequired':
      return phase === 'Login' ? '28000' : phase === 'End' ? '57P01' : '42501';
  }
}

/** What is told to the caller: a Refusal or a Hold has both. */
export interface RefusalText {
  readonly message: string;
  readonly hint: string;
  readonly position?: number | undefined;
}

/** The ErrorResponse for a refusal by policy. A Hold is refused with reason `ApprovalRequired`. */
export function refusalResponse(
  reason: RefusalReason,
  phase: RefusalPhase,
  text: RefusalText,
): Buffer {
  return errorReport({
    severity: phase === 'Statement' ? 'ERROR' : 'FATAL',
    sqlstate: refusalSqlstate(reason, phase),
    message: text.message,
    hint: text.hint,
    position: text.position,
  });
}
