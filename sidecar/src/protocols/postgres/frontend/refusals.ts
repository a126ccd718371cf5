import type { Refusal, RuleRef } from '@chaperone/core/policy/types.ts';
import type { AnalysisFailure } from '@chaperone/core/sql/operation.ts';
import { errorReport } from '../errors/refusal.ts';

/** Prepared statements of our own have names that begin so; a client's must not. */
export const reservedPrefix = '_chaperone_';

/** A name that is ours (42939, reserved_name). */
export function reservedName(name: string): Buffer {
  return errorReport({
    severity: 'ERROR',
    sqlstate: '42939',
    message: `prepared statement name "${name}" is reserved`,
    hint: `Use a name that does not begin with ${reservedPrefix}.`,
  });
}

/** What PostgreSQL says of a name that it does not know (26000). */
export function missingStatement(name: string): Buffer {
  return errorReport({
    severity: 'ERROR',
    sqlstate: '26000',
    message:
      name === ''
        ? 'unnamed prepared statement does not exist'
        : `prepared statement "${name}" does not exist`,
  });
}

/** What PostgreSQL says of a portal or cursor that is not open (34000). */
export function missingPortal(name: string, what: 'portal' | 'cursor' = 'portal'): Buffer {
  return errorReport({
    severity: 'ERROR',
    sqlstate: '34000',
    message: `${what} "${name}" does not exist`,
  });
}

/** What PostgreSQL says of everything but the end of a failed transaction (25P02). */
export const failedTransaction: Buffer = errorReport({
  severity: 'ERROR',
  sqlstate: '25P02',
  message: 'current transaction is aborted, commands ignored until end of transaction block',
});

/** EXECUTE or FETCH of something whose meaning cannot be told when it is carried out. */
export function notResolvable(what: 'EXECUTE' | 'FETCH', name: string): Buffer {
  return errorReport({
    severity: 'ERROR',
    sqlstate: '42501',
    message: `${what} "${name}" is not understood, so it was not forwarded: it stands for a statement whose effects cannot be told then`,
    hint: 'Send the statement itself.',
  });
}

/** The backend may hold a meaning of the statement that cannot be decided together with today's. */
export const prepareAgain: Buffer = errorReport({
  severity: 'ERROR',
  sqlstate: '0A000',
  message: 'what the prepared statement refers to has changed since it was prepared',
  hint: 'Prepare it again.',
});

/** A simple query or function call before the Sync of a pipeline. */
export const unsyncedQuery: Buffer = errorReport({
  severity: 'ERROR',
  sqlstate: '0A000',
  message: 'a simple query in the middle of a pipeline of the extended protocol is not forwarded',
  hint: 'Send a Sync first.',
});

/** More names, or longer texts behind them, than one session may keep. */
export const tooManyNames: Buffer = errorReport({
  severity: 'ERROR',
  sqlstate: '54000',
  message: 'the session keeps too many prepared statements or cursors, or too much text of them',
  hint: 'Close those that are not needed any more (DEALLOCATE, CLOSE, or the driver’s statement cache).',
});

/** A statement longer than the analyzer takes is not understood, so not forwarded. */
export function tooLong(maxBytes: number): Buffer {
  return errorReport({
    severity: 'ERROR',
    sqlstate: '54000',
    message: `a statement of more than ${maxBytes} bytes is not analyzed, so it was not forwarded`,
    hint: 'Send the values as parameters, or by COPY, or in several statements.',
  });
}

/** The answer to a text that yielded no analysis: a syntax error in the parser's own words, or why not. */
export function refusalOfFailure(failure: AnalysisFailure): Buffer {
  if (failure.kind === 'Syntax') {
    return errorReport({
      severity: 'ERROR',
      sqlstate: '42601',
      message: failure.message,
      position: failure.position,
    });
  }
  return errorReport({
    severity: 'ERROR',
    sqlstate: failure.kind === 'Cap' ? '54001' : '42501',
    message: `the statement cannot be analyzed, so it was not forwarded: ${failure.message}`,
    hint:
      failure.kind === 'Cap'
        ? 'Write it shorter, send values as parameters, or split it.'
        : 'Write it in another way; the message says what was not understood.',
    position: failure.position,
  });
}

/** A result with a protected column of a type that the rule's transform cannot keep, or that is not known. */
export function cannotMask(rule: RuleRef): Refusal {
  return {
    verdict: 'Deny',
    rule,
    reason: 'Masking',
    message: `the result has a protected column of a type that MaskingRule ${rule.namespace}/${rule.object} cannot mask, or of one that is not known beforehand`,
    hint: 'Cast what stands beside the column (as in coalesce(column, 0::bigint)) to its type, leave the column out, or give the rule a transform that fits its type.',
    wouldDeny: [],
  };
}
