import { bodyOf, type Node } from './ast.ts';
import type { Run } from './run.ts';

/** Whether a text has only characters that every encoding of a server has, each as one byte. */
export function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) if (text.charCodeAt(at) > 127) return false;
  return true;
}

/**
 * Whether it is certain which name the server makes of one. In an encoding other than UTF8 it cuts a long one at
 * another place than the parser, and may fold letters beyond ASCII that the parser leaves.
 */
export function isCertainName(run: Run, name: string): boolean {
  return run.context.catalog.isUtf8 || isAscii(name);
}

/**
 * Reports a statement with a name that is not certain. The tree does not tell names from other texts, so all texts
 * count but constants, which are values, and comments. SET has names among its constants.
 */
export function checkNames(run: Run, statement: Node | undefined): void {
  if (statement === undefined || run.context.catalog.isUtf8) return;
  const withConstants = bodyOf(statement, 'VariableSetStmt') !== undefined;
  const waiting: unknown[] = [statement];
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    run.budget.spend(1);
    if (typeof value === 'string' && !isAscii(value)) {
      run.unknown('a name beyond ASCII in a database whose encoding is not UTF8');
      return;
    }
    if (typeof value !== 'object' || value === null) continue;
    for (const [key, child] of Object.entries(value)) {
      if (key === 'A_Const' && !withConstants) continue;
      if (key === 'comment') continue;
      if (child !== undefined) waiting.push(child);
    }
  }
}
