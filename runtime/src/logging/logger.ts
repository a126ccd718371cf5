import { type DestinationStream, type Logger as PinoLogger, pino } from 'pino';
import type { Clock } from '../clock.ts';
import { ChaperoneError } from '../errors/chaperone-error.ts';

export type Logger = PinoLogger;

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/** Fields whose values never reach a log, at the top and one level down. A net: nothing should log them. */
const secretFields = [
  'password',
  'secret',
  'token',
  'ticket',
  'key',
  'privateKey',
  'installationKey',
  'authorization',
  'cookie',
];

const maxMessageChars = 4096;
const maxCauses = 5;

/** An error as it is logged: `code` and `hint` where it has them, its causes' messages, a stack at debug. */
export function describeError(error: unknown, withStack: boolean): object {
  if (!(error instanceof Error)) return { message: String(error).slice(0, maxMessageChars) };
  const { code } = error as { readonly code?: unknown };
  const causes: string[] = [];
  for (let { cause } = error; cause instanceof Error && causes.length < maxCauses; ) {
    causes.push(cause.message.slice(0, maxMessageChars));
    cause = cause.cause;
  }
  return {
    type: error.name,
    message: error.message.slice(0, maxMessageChars),
    ...(typeof code === 'string' ? { code } : {}),
    ...(error instanceof ChaperoneError ? { hint: error.hint } : {}),
    ...(causes.length > 0 ? { causes } : {}),
    ...(withStack ? { stack: error.stack } : {}),
  };
}

export interface LoggerOptions {
  /** Stands on every line. */
  readonly program: string;
  readonly level: LogLevel;
  readonly clock: Clock;
  /** Default: standard error, synchronously, so that the last lines of a dying program are there. */
  readonly destination?: DestinationStream;
}

/** One JSON object a line: `level`, `time` (RFC 3339), `program`, fields, `msg`. Errors go in the field `err`. */
export function createLogger(options: LoggerOptions): Logger {
  const { program, level, clock } = options;
  return pino(
    {
      level,
      base: { program },
      timestamp: () => `,"time":"${new Date(clock.nowMs()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: (error: unknown) => describeError(error, level === 'debug') },
      redact: {
        paths: secretFields.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]),
        censor: '[redacted]',
      },
    },
    options.destination ?? pino.destination({ fd: 2, sync: true }),
  );
}

/** Every line of a session carries its id. */
export function sessionLogger(logger: Logger, session: string): Logger {
  return logger.child({ session });
}
