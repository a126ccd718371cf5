import { Buffer } from 'node:buffer';
import type { AnalysisFailure } from '../operation.ts';
import { Lexer, TokenKind } from './lexer.ts';

export interface StatementCaps {
  readonly maxBytes: number;
  readonly maxTokens: number;
  /** Of the nesting that the parser and the analyzer must follow, as `Depth` estimates it. */
  readonly maxDepth: number;
}

/**
 * The parser overflows its stack from some 1,400 nested sub-selects, 1,900 CASEs, 3,300 calls or 9,600
 * operators in a row, and is broken after some such failures; the analyzer recurses over the same tree. An
 * INSERT with all 65,535 parameters has 130,000 tokens or a little more.
 */
export const defaultCaps: StatementCaps = { maxBytes: 1 << 20, maxTokens: 200_000, maxDepth: 500 };

/** Whether a text may be given to the parser. Linear in the text; a text that has no tokens passes. */
export function checkCaps(
  text: string,
  caps: StatementCaps = defaultCaps,
): AnalysisFailure | undefined {
  if (text.length > caps.maxBytes || Buffer.byteLength(text) > caps.maxBytes) {
    return failure(`the statement is longer than ${caps.maxBytes} bytes`);
  }
  const lexer = new Lexer(text);
  const depth = new Depth();
  let tokens = 0;
  while (lexer.next()) {
    if (lexer.kind === TokenKind.Comment) continue;
    if (depth.after(lexer) > caps.maxDepth) {
      return failure(`the statement is nested deeper than ${caps.maxDepth} levels`, lexer.start);
    }
    // A list nests nothing.
    tokens += 1 + 2 * lexer.skipAlike();
    if (tokens > caps.maxTokens) {
      return failure(`the statement has more than ${caps.maxTokens} tokens`, lexer.start);
    }
  }
  return undefined;
}

function failure(message: string, start?: number): AnalysisFailure {
  return { kind: 'Cap', message, ...(start === undefined ? undefined : { position: start + 1 }) };
}

/** Each one nests what stands before it, in the clauses of one group. */
const clauseWords: ReadonlySet<string> = new Set(['join', 'union', 'intersect', 'except']);
/** Operators that are words. */
const operatorWords: ReadonlySet<string> = new Set(
  'not is isnull notnull like ilike similar between in collate at overlaps escape operator'.split(
    ' ',
  ),
);
/** Words that bind less than any operator, or stand between expressions: their operands are siblings. */
const separators: ReadonlySet<string> = new Set(
  'or select where having on set values returning by when then else'.split(' '),
);
const longestWord = 9;

/** What is known of a pair of parentheses or brackets, or of CASE … END, up to some token in it. */
interface Group {
  readonly isCase: boolean;
  clauses: number;
  /** Operators since the last separator. */
  operators: number;
  /** The height of the tallest closed group among their operands. */
  operandHeight: number;
  /** The tallest of what stood before the last separator. */
  height: number;
  /** BETWEENs whose AND is still to come: that one is no separator. */
  betweens: number;
}

/**
 * An upper bound of the tree's height in groups and operators: a run of operators may nest each in the next,
 * with the tallest operand at the bottom; what separators part stands side by side.
 */
class Depth {
  readonly #outer: Group[] = [];
  #group = newGroup(false);
  /** Levels above the current group. */
  #above = 0;
  /** The token before was AS or a dot: a name follows, whatever its letters. */
  #nameFollows = false;

  /** Takes the lexer's token; the bound for the text up to there. */
  after(lexer: Lexer): number {
    const { text, start, end, kind } = lexer;
    const isName = this.#nameFollows;
    this.#nameFollows = false;
    if (kind === TokenKind.Operator) this.#group.operators += 1;
    else if (kind === TokenKind.Punctuation) this.#punctuation(text.slice(start, end));
    else if (kind === TokenKind.Word && end - start <= longestWord && !isName) {
      this.#word(text.slice(start, end).toLowerCase());
    }
    return this.#above + heightOf(this.#group);
  }

  #punctuation(token: string): void {
    if (token === '(' || token === '[') this.#open(false);
    else if (token === ')' || token === ']') {
      while (this.#group.isCase) this.#close();
      this.#close();
    } else if (token === ',') this.#separate();
    else if (token === '.') this.#nameFollows = true;
    else if (token !== ';') this.#group.operators += 1;
    else if (this.#outer.length === 0) this.#group = newGroup(false);
  }

  #word(word: string): void {
    const group = this.#group;
    if (operatorWords.has(word)) {
      group.operators += 1;
      if (word === 'between') group.betweens += 1;
    } else if (clauseWords.has(word)) {
      group.clauses += 1;
      this.#separate();
    } else if (separators.has(word)) this.#separate();
    else if (word === 'and') {
      if (group.betweens > 0) group.betweens -= 1;
      else this.#separate();
    } else if (word === 'case') this.#open(true);
    else if (word === 'end' && group.isCase) this.#close();
    else if (word === 'as') this.#nameFollows = true;
  }

  #separate(): void {
    const group = this.#group;
    group.height = Math.max(group.height, group.operators + group.operandHeight);
    group.operators = 0;
    group.operandHeight = 0;
  }

  #open(isCase: boolean): void {
    const { clauses, operators } = this.#group;
    this.#above += clauses + operators + 1;
    this.#outer.push(this.#group);
    this.#group = newGroup(isCase);
  }

  #close(): void {
    const outer = this.#outer.pop();
    if (outer === undefined) return;
    outer.operandHeight = Math.max(outer.operandHeight, heightOf(this.#group) + 1);
    this.#above -= outer.clauses + outer.operators + 1;
    this.#group = outer;
  }
}

function newGroup(isCase: boolean): Group {
  return { isCase, clauses: 0, operators: 0, operandHeight: 0, height: 0, betweens: 0 };
}

function heightOf(group: Group): number {
  return group.clauses + Math.max(group.height, group.operators + group.operandHeight);
}
