import { ApiException } from '@kubernetes/client-node';

/** What the API server says about a failure: the fields of its Status object that are read. */
interface StatusBody {
  readonly kind?: unknown;
  readonly reason?: unknown;
  readonly message?: unknown;
  readonly code?: unknown;
  readonly details?: {
    readonly causes?: readonly { readonly field?: string; readonly message?: string }[];
    readonly retryAfterSeconds?: number;
  };
}

/** Reasons of ours for failures without a Status. */
export const networkReason = 'NetworkError';
export const timeoutReason = 'RequestTimeout';
export const protocolReason = 'ProtocolError';

const reasonByStatus: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  409: 'Conflict',
  410: 'Gone',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

/** A request that the API server did not fulfil, or that did not reach it. */
export class ApiError extends Error {
  /** HTTP status; 0 if there was no answer. */
  readonly code: number;
  /** Kubernetes' own word where it gives one: 409 is both `Conflict` and `AlreadyExists`. */
  readonly reason: string;
  /** What is wrong with which field of a rejected object. */
  readonly causes: readonly { readonly field: string; readonly message: string }[];
  /** How long the server asks to wait. */
  readonly retryAfterMs: number | undefined;

  constructor(
    message: string,
    details: {
      readonly code: number;
      readonly reason: string;
      readonly causes?: ApiError['causes'];
      readonly retryAfterMs?: number | undefined;
      readonly cause?: unknown;
    },
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'ApiError';
    this.code = details.code;
    this.reason = details.reason;
    this.causes = details.causes ?? [];
    this.retryAfterMs = details.retryAfterMs;
  }

  get isNotFound(): boolean {
    return this.code === 404;
  }

  /** A precondition does not hold: the object was changed or made anew. */
  get isConflict(): boolean {
    return this.code === 409 && this.reason !== 'AlreadyExists';
  }

  get isAlreadyExists(): boolean {
    return this.reason === 'AlreadyExists';
  }

  /** A resourceVersion or a continue token is too old: list anew. */
  get isExpired(): boolean {
    return this.code === 410;
  }

  get isInvalid(): boolean {
    return this.reason === 'Invalid';
  }

  /** There was no answer, so whether a write happened is not known. */
  get isNetwork(): boolean {
    return this.code === 0;
  }
}

const maxMessageChars = 2048;

/** From an answer that is not 2xx, or an ERROR event of a watch. `body`: as text or parsed. */
export function errorOfStatus(
  request: string,
  code: number,
  body: unknown,
  retryAfter?: string,
): ApiError {
  const status = statusOf(body);
  const reason =
    typeof status?.reason === 'string' && status.reason !== ''
      ? status.reason
      : (reasonByStatus[code] ?? `HTTP${code}`);
  const text =
    typeof status?.message === 'string'
      ? status.message
      : typeof body === 'string' && body.trim() !== ''
        ? body.trim()
        : 'no explanation given';
  const causes = (status?.details?.causes ?? []).map(({ field, message }) => ({
    field: String(field ?? ''),
    message: String(message ?? ''),
  }));
  const headerSeconds = Number.parseInt(retryAfter ?? '', 10);
  const seconds = Number.isNaN(headerSeconds) ? status?.details?.retryAfterSeconds : headerSeconds;
  return new ApiError(`${request}: ${code} ${reason}: ${text}`.slice(0, maxMessageChars), {
    code,
    reason,
    causes,
    retryAfterMs: typeof seconds === 'number' && seconds >= 0 ? seconds * 1000 : undefined,
  });
}

function statusOf(body: unknown): StatusBody | undefined {
  let value = body;
  if (typeof value === 'string') {
    try {
      value = JSON.parse(value);
    } catch {
      return undefined;
    }
  }
  const isStatus = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isStatus ? (value as StatusBody) : undefined;
}

/** An error as far as it is read; not all of them are of this program's own class Error. */
interface Failure {
  readonly message?: unknown;
  readonly cause?: { readonly message?: unknown; readonly code?: unknown };
}

/**
 * From whatever a call threw, those of client-node's own clients included: their ApiException carries the
 * body as a text, and a network failure is a TypeError whose cause has the code.
 */
export function toApiError(error: unknown, request = 'request'): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof ApiException) {
    const headers = error.headers as Record<string, string>;
    return errorOfStatus(request, error.code, error.body, headers['retry-after']);
  }
  const { message = String(error), cause } = (error ?? {}) as Failure;
  const parts = [message, cause?.message, cause?.code];
  const text = parts.filter((part) => typeof part === 'string' && part !== '').join(': ');
  return new ApiError(`${request}: ${text}`.slice(0, maxMessageChars), {
    code: 0,
    reason: networkReason,
    cause: error,
  });
}
