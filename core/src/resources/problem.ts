/** Something wrong with an object, or worth a warning, told by the path of the field. */
export interface Problem {
  readonly severity: 'Error' | 'Warning';
  /** As `spec.rules[0].when`; empty for the object as a whole. */
  readonly path: string;
  readonly message: string;
}

export const error = (path: string, message: string): Problem => ({
  severity: 'Error',
  path,
  message,
});

export const warning = (path: string, message: string): Problem => ({
  severity: 'Warning',
  path,
  message,
});

export const hasErrors = (problems: readonly Problem[]): boolean =>
  problems.some(({ severity }) => severity === 'Error');

/** One line: file, object, field, message; what is not known is left out. */
export function formatProblem(problem: Problem, object?: string, file?: string): string {
  return [file, object, problem.path, problem.message]
    .filter((part) => part !== undefined && part !== '')
    .join(': ');
}
