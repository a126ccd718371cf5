import { pureFunctions } from './functions.ts';
import { Lexer, TokenKind } from './lexer.ts';

const words = (list: string): ReadonlySet<string> => new Set(list.trim().split(/\s+/));

/** Statements of other kinds keep all their literals. */
const plainStatements = words('select insert update delete with values table');

/** Words before a parenthesis that call nothing. */
const notFunctions = words(`
  all and any array as between by case conflict cube distinct do else except exists filter from grouping
  group having ilike in intersect into is join lateral like limit materialized not offset on only or over
  recursive returning rollup row select set sets similar some then union using values when where with
  coalesce nullif greatest least`);

/** Words before a parenthesis that holds a length or precision, some of which the tree has as a number. */
const types = words(`
  bit bpchar char character varying varchar nchar national dec decimal numeric float time timestamp
  timestamptz timetz interval second current_time current_timestamp localtime localtimestamp`);

/** Words after which a string is a value, not the text of a constant of the type that the word names. */
const beforeValues = words(`
  all and any as between both by case default distinct else escape for from having ilike in is leading like
  limit not offset on or over placing returning row select set similar some symmetric then to trailing
  union using values when where zone path date time timestamp timestamptz`);

/** Types that mean the same whatever the string: no name is looked up by it. */
const plainCasts = words(`
  bigint bool boolean bytea char character cidr date decimal double float4 float8 inet int int2 int4 int8
  integer interval json jsonb numeric real smallint text time timestamp timestamptz timetz uuid varchar`);

/** A type's name after ::, with nothing after it that could make it the schema of another. */
const castType =
  /[ \t\n\r\f\v]*(?:pg_catalog\.)?([a-z_][a-z0-9_]*)(?![\w$\u0080-\uffff])(?!\s*(?:\.|\/\*|--))/iy;
/** Of pg_dump's `set_config(name, …) FROM pg_settings WHERE name = '…'` a literal far from the call counts. */
const readsElsewhere = 'set_config';
const keepNumbers = 1;
const keepAll = 2;

/**
 * Follows the tokens of a text and tells of each literal whether its value may decide how the statement is
 * analyzed, and so has to stay in the normal form. In doubt it has to.
 */
export class LiteralContext {
  readonly #text: string;
  /** What is kept in each open parenthesis or bracket, outermost first. */
  readonly #outer: number[] = [];
  #keeps = 0;
  #atStart = true;
  #plain = true;
  /** Since the last cast there were names and dots only: perhaps its type, and another cast follows. */
  #afterCast = false;
  // The last token, and where the one before began.
  #kind: TokenKind = TokenKind.End;
  #start = 0;
  #end = 0;
  #beforeStart = 0;
  #beforeEnd = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** False once the text has shown that only its exact form may be a key. */
  get isPlain(): boolean {
    return this.#plain;
  }

  /** Whether the literal that the lexer stands on has to stay. */
  keeps(lexer: Lexer): boolean {
    const { kind, start, end } = lexer;
    if (this.#keeps === keepAll || this.#castKeeps(end)) return true;
    if (kind === TokenKind.Integer) {
      // Longer ones, and those with a base, may be of another type.
      return this.#keeps === keepNumbers || !isShort(this.#text, start, end) || this.#afterLimit();
    }
    if (kind === TokenKind.Float) return this.#keeps === keepNumbers || this.#afterLimit();
    if (kind !== TokenKind.String && kind !== TokenKind.EscapeString) return true;
    return this.#afterType();
  }

  /** Takes the token that the lexer stands on, literals included and comments left out. */
  after(lexer: Lexer): void {
    const { kind, start, end } = lexer;
    if (kind === TokenKind.Punctuation) this.#punctuation(start, end);
    else {
      if (kind !== TokenKind.Word && kind !== TokenKind.QuotedIdentifier) this.#afterCast = false;
      if (this.#atStart) this.#begin(kind, start, end);
      else if (kind === TokenKind.Word) this.#word(start, end);
      if (isReadsElsewhere(kind, this.#text, start, end)) this.#plain = false;
    }
    this.#remember(kind, start, end);
  }

  #remember(kind: TokenKind, start: number, end: number): void {
    this.#beforeStart = this.#start;
    this.#beforeEnd = this.#end;
    this.#kind = kind;
    this.#start = start;
    this.#end = end;
  }

  #begin(kind: TokenKind, start: number, end: number): void {
    this.#atStart = false;
    if (kind !== TokenKind.Word || !plainStatements.has(lower(this.#text, start, end))) {
      this.#plain = false;
    }
  }

  #word(start: number, end: number): void {
    const length = end - start;
    const first = this.#text.charCodeAt(start) | 0x20;
    // ORDER BY 1, GROUP BY 2: a number is a column's place, until the clauses' parentheses end.
    if (length === 2 && first === 0x62 && lower(this.#text, start, end) === 'by') {
      if (this.#keeps === 0) this.#keeps = keepNumbers;
    } else if (length === 5 && first === 0x6d && lower(this.#text, start, end) === 'merge') {
      this.#plain = false;
    }
  }

  #punctuation(start: number, end: number): void {
    const first = this.#text.charAt(start);
    if (first === '(' || first === '[') {
      this.#outer.push(this.#keeps);
      this.#keeps = Math.max(this.#keeps, first === '(' ? this.#parenthesis() : this.#bracket());
    } else if (first === ')' || first === ']') this.#keeps = this.#outer.pop() ?? 0;
    else if (first === ';') {
      if (this.#outer.length === 0) this.#keeps = 0;
      this.#atStart = true;
    }
    if (first === ':' && end - start === 2) this.#cast(end);
    else if (first !== '.') this.#afterCast = false;
  }

  /** What an opening parenthesis after the last token keeps. */
  #parenthesis(): number {
    if (this.#kind === TokenKind.QuotedIdentifier || this.#kind === TokenKind.Unicode) {
      return keepAll;
    }
    if (this.#kind !== TokenKind.Word) return 0;
    const word = this.#last();
    const before = lower(this.#text, this.#beforeStart, this.#beforeEnd);
    if (word === 'on' && before === 'distinct') return keepNumbers;
    if (types.has(word) || before === '::') return keepNumbers;
    return notFunctions.has(word) || pureFunctions.has(word) ? 0 : keepAll;
  }

  /** ARRAY[…] and what is nested in it hold values; all else are subscripts and bounds. */
  #bracket(): number {
    if (this.#kind === TokenKind.Word) return this.#last() === 'array' ? 0 : keepNumbers;
    const symbol = this.#last();
    return symbol === '[' || symbol === ',' ? 0 : keepNumbers;
  }

  /**
   * A cast to a type that looks names up. Directly after a literal the literal was kept; after what may be
   * a literal in parentheses, or one cast before, it is too late.
   */
  #cast(end: number): void {
    const last = this.#last();
    if ((this.#afterCast || last === ')' || last === ']') && !isPlainCast(this.#text, end)) {
      this.#plain = false;
    }
    this.#afterCast = true;
  }

  /** The literal that ends there is cast to a type that looks names up. */
  #castKeeps(end: number): boolean {
    let at = end;
    while (isSpace(this.#text.charCodeAt(at))) at += 1;
    const next = this.#text.charAt(at);
    if (next !== ':' && next !== '/' && next !== '-') return false;
    const ahead = new Lexer(this.#text, at);
    while (ahead.next() && ahead.kind === TokenKind.Comment);
    return this.#text.startsWith('::', ahead.start) && !isPlainCast(this.#text, ahead.end);
  }

  #afterLimit(): boolean {
    if (this.#kind !== TokenKind.Word) return false;
    const word = this.#last();
    return word === 'limit' || word === 'offset' || word === 'first' || word === 'next';
  }

  /** A type stands before the string, or may. */
  #afterType(): boolean {
    if (this.#kind === TokenKind.Word) return !beforeValues.has(this.#last());
    if (this.#kind === TokenKind.Operator || this.#kind === TokenKind.End) return false;
    if (this.#kind !== TokenKind.Punctuation) return true;
    const symbol = this.#last();
    return symbol !== '(' && symbol !== ',' && symbol !== '[';
  }

  #last(): string {
    return lower(this.#text, this.#start, this.#end);
  }
}

/** In any letter case, as a word or in double quotes: a name that only looks alike costs no more than a key. */
function isReadsElsewhere(kind: TokenKind, text: string, start: number, end: number): boolean {
  const quotes = kind === TokenKind.QuotedIdentifier ? 1 : 0;
  return (
    end - start === readsElsewhere.length + 2 * quotes &&
    lower(text, start + quotes, end - quotes) === readsElsewhere
  );
}

/** At most nine decimal digits and nothing else: an int4. */
function isShort(text: string, start: number, end: number): boolean {
  if (end - start > 9) return false;
  for (let at = start; at < end; at += 1) {
    const next = text.charCodeAt(at);
    if (next < 0x30 || next > 0x39) return false;
  }
  return true;
}

function isSpace(next: number): boolean {
  return next === 0x20 || (next >= 0x09 && next <= 0x0d);
}

function lower(text: string, start: number, end: number): string {
  return text.slice(start, end).toLowerCase();
}

function isPlainCast(text: string, at: number): boolean {
  castType.lastIndex = at;
  const name = castType.exec(text)?.[1];
  return name !== undefined && plainCasts.has(name.toLowerCase());
}
