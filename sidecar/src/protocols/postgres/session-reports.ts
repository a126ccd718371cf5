/** What a session tells its client when it ends, or when one of its statements cannot be finished: ErrorResponses. */
import type { BundleIdentity, RuleRef } from '@chaperone/core/policy/types.ts';
import { errorReport, refusalResponse } from './errors/refusal.ts';

export const shutdownReport = refusalResponse('NoPolicy', 'End', {
  message: 'the proxy is shutting down',
  hint: 'Connect again.',
});

/** The caller no longer counts as the identity. */
export const identityGone = ({ namespace, name }: BundleIdentity): Buffer =>
  refusalResponse('NoPolicy', 'End', {
    message: `the caller is not known as MachineIdentity ${namespace}/${name} any more (CHP-2004)`,
    hint: 'If the MachineIdentity or its subject was removed, have its owner restore it; then connect again.',
  });

/** No policy opens the target to the identity. */
export const policyWithdrawn = ({ namespace, name }: BundleIdentity): Buffer =>
  refusalResponse('NoPolicy', 'End', {
    message: `no policy opens this target to ${namespace}/${name} any more (CHP-3011)`,
    hint: 'Connect again once an AccessPolicy names the identity and the target.',
  });

/** `code`: of the recorder's failure. */
export const statementNotRecorded = (code: string): Buffer =>
  refusalResponse('Recorder', 'End', {
    message: `the statement could not be recorded, so it was not forwarded (${code})`,
    hint: 'Connect again once the record can be written; the operator of the proxy can tell why it cannot.',
  });

export const resultNotRecorded = (code: string): Buffer =>
  errorReport({
    severity: 'ERROR',
    sqlstate: '53000',
    message: `the result could not be recorded, so it was cut (${code})`,
    hint: 'Try again once the record can be written.',
  });

/** `rule`: of the mask that cannot be kept, where it is known. */
export const undeliverable = (rule: RuleRef | undefined, why: string): Buffer =>
  refusalResponse('Masking', 'Statement', {
    message: `the result was not delivered: ${why}${rule === undefined ? '' : ` (MaskingRule ${rule.namespace}/${rule.object})`} (CHP-3006)`,
    hint: 'Select the protected column by itself, or leave it out.',
  });

/** `rule`: of a mask that was not there, or not the same, when the statement was decided. */
export const masksChanged = ({ namespace, object }: RuleRef): Buffer =>
  refusalResponse('Masking', 'Statement', {
    message: `the result was cut: MaskingRule ${namespace}/${object} came into force while it was delivered (CHP-3006)`,
    hint: 'Send the statement again: its result is masked then.',
  });

export const targetClosed = errorReport({
  severity: 'FATAL',
  sqlstate: '08006',
  message: 'the target closed the session (CHP-5005)',
});

/** `side`: who does not keep to the protocol. */
export const protocolViolation = (side: 'Client' | 'Backend', message: string): Buffer =>
  side === 'Client'
    ? errorReport({ severity: 'FATAL', sqlstate: '08P01', message })
    : errorReport({
        severity: 'FATAL',
        sqlstate: '08006',
        message: 'the target does not keep to the protocol (CHP-5001)',
      });

/** What only the operator of the proxy can mend. */
export const internalError = (message: string, severity: 'ERROR' | 'FATAL' = 'ERROR'): Buffer =>
  errorReport({
    severity,
    sqlstate: 'XX000',
    message,
    hint: 'Tell the operator of the proxy; the log has more.',
  });

export const catalogNotReadable = 'what names resolve by could not be read (CHP-3013)';
