import type { BackendOutcome } from '@chaperone/core/control/types.ts';
import type { BackendError } from './backend-error.ts';
import { isCausedByCaller } from './backend-refusal.ts';

const outcomes: Readonly<Record<string, BackendOutcome>> = {
  'CHP-2011': 'CredentialsRejected',
  'CHP-2013': 'CertificateNotTrusted',
  'CHP-5001': 'ServerNotSupported',
  'CHP-5003': 'ServerNotSupported',
  'CHP-5004': 'Unreachable',
  'CHP-5005': 'SessionsRefused',
  'CHP-5008': 'Unreachable',
};

/** What a failure says of the target; undefined where it says more of what the caller asked for. */
export function outcomeOf({ code, backendSqlstate }: BackendError): BackendOutcome | undefined {
  if (backendSqlstate !== undefined && isCausedByCaller(backendSqlstate)) return undefined;
  return outcomes[code];
}
