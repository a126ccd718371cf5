import type { ASTNode } from '@marcbachmann/cel-js';
import { RE2JS } from 're2js';

/**
 * What an expression may be made of. Everything is listed that may occur, not what may not: a function that
 * can build lists or strings larger than the expression (`map`, `cel.bind`, `split`, `join`, `replace`) lets
 * a short expression take exponential time, and `matches` is a backtracking regular expression.
 */
const functions: ReadonlySet<string> = new Set([
  'has',
  'size',
  'int',
  'double',
  'string',
  'timestamp',
  'duration',
  're2',
]);
const comprehensions: ReadonlySet<string> = new Set(['all', 'exists', 'exists_one', 'filter']);
const methods: ReadonlySet<string> = new Set([
  'size',
  'startsWith',
  'endsWith',
  'contains',
  'lowerAscii',
  'upperAscii',
  'trim',
  'getFullYear',
  'getMonth',
  'getDate',
  'getDayOfMonth',
  'getDayOfWeek',
  'getDayOfYear',
  'getHours',
  'getMinutes',
  'getSeconds',
  'getMilliseconds',
]);

/** Deepest nesting of comprehensions. */
const maxNesting = 2;
const maxRe2Calls = 8;
/** Longest RE2 pattern, in characters, and its largest program. */
const maxRe2Pattern = 256;
const maxRe2Program = 500;

/**
 * What an expression looks at besides the statement. Where that is a part of the request, its result holds
 * for that request alone.
 */
export interface ConditionUses {
  readonly identity: boolean;
  readonly time: boolean;
  readonly sourceIP: boolean;
  readonly ticket: boolean;
}

/** What an evaluation takes, in steps of about a tenth of a microsecond, for lists of a length. */
export interface ExpressionFacts {
  readonly uses: ConditionUses;
  /** Steps by how often they are taken: once, for each element, for each pair of elements. */
  readonly steps: readonly [number, number, number];
  readonly patterns: ReadonlyMap<string, RE2JS>;
}

/** The worst pattern over the longest text takes some 100 microseconds. */
const stepsOfRe2 = 500;

/** Why an expression is not taken; the message is fit for the author of the policy. */
export class ConditionError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ConditionError';
  }
}

/** Walks the tree of an expression; throws ConditionError on anything outside of what is listed above. */
export function inspect(root: ASTNode): ExpressionFacts {
  const found = {
    uses: { identity: false, time: false, sourceIP: false, ticket: false },
    steps: [0, 0, 0] as [number, number, number],
    patterns: new Map<string, RE2JS>(),
    re2Calls: 0,
  };

  const visit = (node: ASTNode, nesting: number): void => {
    found.steps[nesting]! += 1;
    switch (node.op) {
      case 'value':
        return;
      case 'id':
        // `request` not followed by a field: whatever becomes of it, all of it may be looked at.
        if (node.args === 'request') {
          found.uses = { ...found.uses, time: true, sourceIP: true, ticket: true };
        }
        if (node.args === 'identity') found.uses.identity = true;
        return;
      case '.':
        if (node.args[0].op === 'id' && node.args[0].args === 'request') {
          const field = node.args[1];
          if (field === 'time' || field === 'sourceIP' || field === 'ticket')
            found.uses[field] = true;
          return;
        }
        visit(node.args[0], nesting);
        return;
      case '!_':
      case '-_':
        visit(node.args, nesting);
        return;
      case 'list':
        for (const item of node.args) visit(item, nesting);
        return;
      case '||':
      case '&&':
      case '==':
      case '!=':
      case '<':
      case '<=':
      case '>':
      case '>=':
      case 'in':
      case '+':
      case '-':
      case '*':
      case '/':
      case '%':
      case '[]':
        visit(node.args[0], nesting);
        visit(node.args[1], nesting);
        return;
      case '?:':
        for (const part of node.args) visit(part, nesting);
        return;
      case 'call':
        visitCall(node.args[0], node.args[1], nesting);
        return;
      case 'rcall':
        visitMethod(node.args[0], node.args[1], node.args[2], nesting);
        return;
      default:
        throw new ConditionError(`${node.op} cannot be used here`);
    }
  };

  const visitCall = (name: string, args: readonly ASTNode[], nesting: number): void => {
    if (!functions.has(name)) throw new ConditionError(refusalOf(name));
    if (name === 're2') {
      found.re2Calls += 1;
      if (found.re2Calls > maxRe2Calls) throw new ConditionError('too many calls of re2');
      found.steps[nesting]! += stepsOfRe2;
      addPattern(found.patterns, args[1]);
    }
    for (const arg of args) visit(arg, nesting);
  };

  const visitMethod = (
    name: string,
    receiver: ASTNode,
    args: readonly ASTNode[],
    nesting: number,
  ): void => {
    visit(receiver, nesting);
    if (comprehensions.has(name)) {
      if (nesting >= maxNesting) {
        throw new ConditionError(`${name} is nested more than ${maxNesting} deep`);
      }
      if (!isPlainList(receiver)) {
        throw new ConditionError(`${name} works on a field, a list literal or a filter of those`);
      }
      for (const arg of args) visit(arg, nesting + 1);
      return;
    }
    if (!methods.has(name)) throw new ConditionError(refusalOf(name));
    for (const arg of args) visit(arg, nesting);
  };

  visit(root, 0);
  return found;
}

function refusalOf(name: string): string {
  return name === 'matches'
    ? 'matches() is not available, since its time has no bound: use re2(text, "pattern")'
    : `${name}() is not available`;
}

/** A list whose length is that of the input or of the expression's own text. */
function isPlainList(node: ASTNode): boolean {
  if (node.op === 'list' || node.op === 'id') return true;
  if (node.op === '.') return node.args[0].op === 'id';
  if (node.op === 'rcall') return node.args[0] === 'filter' && isPlainList(node.args[1]);
  return false;
}

function addPattern(patterns: Map<string, RE2JS>, node: ASTNode | undefined): void {
  if (node?.op !== 'value' || typeof node.args !== 'string') {
    throw new ConditionError('the second argument of re2 must be a literal string');
  }
  const source = node.args;
  if (source.length > maxRe2Pattern) {
    throw new ConditionError(`a pattern of re2 has more than ${maxRe2Pattern} characters`);
  }
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(source);
  } catch (error) {
    throw new ConditionError(`re2: ${error instanceof Error ? error.message : 'not a pattern'}`);
  }
  if (compiled.programSize() > maxRe2Program) {
    throw new ConditionError('a pattern of re2 repeats too much');
  }
  patterns.set(source, compiled);
}
