import { ControlRefusal } from '@chaperone/core/control/types.ts';
import type { ControlProblem } from '@chaperone/core/control/wire.ts';
import { type ErrorCode, errorCatalogue } from '@chaperone/runtime/errors/catalogue.ts';
import type { FastifyError, FastifyReply } from 'fastify';

/** A request that cannot be answered, with its status. */
export class RequestProblem extends Error {
  readonly status: number;
  readonly code: ErrorCode;
  /** Seconds after which trying again makes sense. */
  readonly retryAfterSeconds: number | undefined;
  /** Nothing is wrong with us: no error in the log, whatever the status. */
  readonly expected: boolean;

  constructor(
    status: number,
    code: ErrorCode,
    message: string,
    options: {
      readonly cause?: unknown;
      readonly retryAfterSeconds?: number;
      readonly expected?: boolean;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'RequestProblem';
    this.status = status;
    this.code = code;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.expected = options.expected ?? false;
  }
}

export interface Answer {
  readonly status: number;
  readonly problem: ControlProblem;
  readonly retryAfterSeconds?: number;
  /** For the log alone. */
  readonly detail?: unknown;
  /** See RequestProblem. */
  readonly expected?: boolean;
}

/** Of refusals; the others are 403. */
const statuses: Readonly<Record<string, number>> = {
  'CHP-2001': 401,
  'CHP-2007': 401,
  'CHP-2008': 409,
  'CHP-2010': 409,
  'CHP-2013': 409,
  'CHP-2014': 409,
  'CHP-7004': 409,
};

/** What an error is to whoever asked. An error that nobody foresaw shows nothing of itself. */
export function answerOf(error: unknown): Answer {
  if (error instanceof ControlRefusal) {
    const { code, message, hint, logDetail } = error;
    return {
      status: statuses[code] ?? 403,
      problem: { code, message, hint },
      ...(logDetail !== undefined && { detail: logDetail }),
    };
  }
  if (error instanceof RequestProblem) {
    const { status, code, message, retryAfterSeconds, expected, cause } = error;
    return {
      status,
      problem: { code, message, hint: errorCatalogue[code].remedy },
      ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
      ...(cause !== undefined && { detail: cause }),
      expected,
    };
  }
  const { statusCode, message } = error as Partial<FastifyError>;
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return answerOf(new RequestProblem(statusCode, 'CHP-7001', message ?? 'It is not valid.'));
  }
  const fault = new RequestProblem(500, 'CHP-7005', 'The policy API failed; its log says why.', {
    cause: error,
  });
  return answerOf(fault);
}

/** Answers with the problem. A refusal with an unread body ends the connection: the rest is not waited for. */
export function sendAnswer(reply: FastifyReply, answer: Answer): FastifyReply {
  const { status, problem, retryAfterSeconds } = answer;
  if (retryAfterSeconds !== undefined) reply.header('retry-after', String(retryAfterSeconds));
  if (status === 401) reply.header('www-authenticate', 'Bearer');
  if (!reply.request.raw.complete) reply.header('connection', 'close');
  return reply
    .code(status)
    .header('content-type', 'application/json; charset=utf-8')
    .header('cache-control', 'no-store')
    .serializer((body) => JSON.stringify(body))
    .send(problem);
}
