import type { ErrorCode } from '@chaperone/runtime/errors/catalogue.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { errorReport } from '../errors/refusal.ts';

export interface BackendErrorFields {
  /** One sentence for the caller: no host, no backend user. */
  readonly message: string;
  /** SQLSTATE for the caller. */
  readonly sqlstate: string;
  /** For our log: may name the host, never the user or the credential. */
  readonly logDetail: string;
  /** SQLSTATE of the backend's own ErrorResponse, where it sent one. */
  readonly backendSqlstate?: string;
  readonly hint?: string;
  readonly cause?: unknown;
}

/**
 * The backend could not be reached, trusted or logged in to. `message`, `hint` and `sqlstate` are fit for
 * the caller, `logDetail` and `cause` for the log alone. `code`: CHP-2011 credential refused, CHP-2013
 * certificate not trusted, CHP-5001 it broke the protocol, CHP-5003 it asks for what we do not speak,
 * CHP-5004 not reachable, CHP-5005 closed or refused the session, CHP-5008 too slow.
 */
export class BackendError extends ChaperoneError {
  readonly sqlstate: string;
  readonly logDetail: string;
  readonly backendSqlstate: string | undefined;

  constructor(code: ErrorCode, fields: BackendErrorFields) {
    super(code, fields.message, {
      ...(fields.hint !== undefined && { hint: fields.hint }),
      ...(fields.cause !== undefined && { cause: fields.cause }),
    });
    this.name = 'BackendError';
    this.sqlstate = fields.sqlstate;
    this.logDetail = fields.logDetail;
    this.backendSqlstate = fields.backendSqlstate;
  }

  /** The FATAL for the caller; see `refuseSession`. */
  report(): Buffer {
    return errorReport({
      severity: 'FATAL',
      sqlstate: this.sqlstate,
      message: `${this.message} (${this.code})`,
      hint: this.hint,
    });
  }
}
