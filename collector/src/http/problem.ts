import type { ErrorCode } from '@chaperone/runtime/errors/catalogue.ts';
import { errorCatalogue } from '@chaperone/runtime/errors/catalogue.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import type { FastifyError, FastifyReply } from 'fastify';
import { ForeignSessionError } from '../store/types.ts';

/** A refusal with its HTTP status; answered as `application/problem+json` (RFC 9457). */
export class Problem extends ChaperoneError {
  readonly status: number;
  /** Seconds after which trying again makes sense. */
  readonly retryAfterSeconds: number | undefined;

  constructor(
    status: number,
    code: ErrorCode,
    message: string,
    options: { readonly cause?: unknown; readonly retryAfterSeconds?: number } = {},
  ) {
    super(code, message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'Problem';
    this.status = status;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

/** The body of a problem; `code` is one of the catalogue. */
export interface ProblemBody {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ErrorCode;
  readonly remedy: string;
}

function problemBody(problem: Problem): ProblemBody {
  return {
    type: `urn:chaperone:error:${problem.code}`,
    title: errorCatalogue[problem.code].title,
    status: problem.status,
    detail: problem.message,
    code: problem.code,
    remedy: problem.hint,
  };
}

function isStorageError(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === 'ERR_SQLITE_ERROR' || code === 'ENOSPC' || code === 'EIO' || code === 'EROFS';
}

/** What an error is to whoever asked. An error that nobody foresaw shows nothing of itself. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof ForeignSessionError) {
    return new Problem(403, 'CHP-6004', 'the session belongs to another source', { cause: error });
  }
  if (isStorageError(error)) {
    return new Problem(503, 'CHP-6006', 'the record cannot be written or read now', {
      cause: error,
      retryAfterSeconds: 5,
    });
  }
  const { statusCode, message } = error as Partial<FastifyError>;
  if (statusCode === 415)
    return new Problem(415, 'CHP-6001', 'this content type is not taken here');
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new Problem(statusCode, 'CHP-6007', message ?? 'the request is not valid');
  }
  return new Problem(500, 'CHP-6009', 'the collector failed; its log says why', { cause: error });
}

/** Answers with the problem. A refusal with an unread body ends the connection: the rest is not waited for. */
export function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  if (problem.retryAfterSeconds !== undefined) {
    reply.header('retry-after', String(problem.retryAfterSeconds));
  }
  if (!reply.request.raw.complete) reply.header('connection', 'close');
  return reply
    .code(problem.status)
    .header('content-type', 'application/problem+json')
    .serializer((body) => JSON.stringify(body))
    .send(problemBody(problem));
}
