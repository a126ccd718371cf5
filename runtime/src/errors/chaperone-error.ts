import { type ErrorCode, errorCatalogue } from './catalogue.ts';

/** The one error class of the programs: a code of the catalogue, what happened, and what to do. */
export class ChaperoneError extends Error {
  readonly code: ErrorCode;
  /** What to do; the catalogue's remedy unless the thrower knows better. */
  readonly hint: string;

  /** `message`: one sentence, without the code, fit for whoever meets it; never a secret. */
  constructor(
    code: ErrorCode,
    message: string,
    options: { readonly hint?: string; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ChaperoneError';
    this.code = code;
    this.hint = options.hint ?? errorCatalogue[code].remedy;
  }
}

/** `CHP-4002: message`, and the hint on a line of its own: for command lines. */
export function formatError(error: unknown): string {
  if (error instanceof ChaperoneError) return `${error.code}: ${error.message}\n  ${error.hint}`;
  return error instanceof Error ? error.message : String(error);
}
