import { formatProblem, hasErrors, type Problem } from '@chaperone/core/resources/problem.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { ApiError } from './api-error.ts';

/** `name`: see objectName. */
export function invalidError(name: string, problems: readonly Problem[]): ChaperoneError {
  const errors = problems.filter((problem) => hasErrors([problem]));
  const text = errors.map((problem) => formatProblem(problem, name)).join('; ');
  return new ChaperoneError('CHP-1010', text === '' ? `${name} is not valid.` : text);
}

export const changedError = (name: string, cause?: unknown): ChaperoneError =>
  new ChaperoneError('CHP-1013', `${name} was changed meanwhile.`, { cause });

/** What the API server refused, in the words of ResourceStore's contract; all else as it is. */
export function storeError(name: string, error: unknown): unknown {
  if (!(error instanceof ApiError)) return error;
  const options = { cause: error };
  if (error.isNotFound) return new ChaperoneError('CHP-1014', `${name} does not exist.`, options);
  if (error.isAlreadyExists) {
    return new ChaperoneError('CHP-1012', `${name} exists already.`, options);
  }
  if (error.isConflict) return changedError(name, error);
  // 400: a field that the schema does not know.
  if (error.isInvalid || error.reason === 'BadRequest') {
    const causes = error.causes.map(({ field, message }) => `${name}: ${field}: ${message}`);
    return new ChaperoneError('CHP-1010', causes.join('; ') || error.message, options);
  }
  return error;
}
