/**
 * Splits a statement text into tokens by PostgreSQL 18's rules (src/backend/parser/scan.l) with
 * standard_conforming_strings on. A cursor over the text: nothing is copied, nothing is allocated per token.
 */

export const TokenKind = {
  End: 0,
  /** Keyword or unquoted identifier. */
  Word: 1,
  QuotedIdentifier: 2,
  /** '…', also continued over lines, and $…$. */
  String: 3,
  /** E'…'. */
  EscapeString: 4,
  /** B'…' and X'…'. */
  BitString: 5,
  /** U&'…' and U&"…"; what they mean depends on a UESCAPE that may follow. */
  Unicode: 6,
  Integer: 7,
  Float: 8,
  /** $1 */
  Parameter: 9,
  /** An operator, also of one character. */
  Operator: 10,
  /** One of , ; : . ( ) [ ] or :: .. := => */
  Punctuation: 11,
  Comment: 12,
  /** A text that PostgreSQL's scanner refuses from here on, or a character that begins no token. */
  Invalid: 13,
} as const;

export type TokenKind = (typeof TokenKind)[keyof typeof TokenKind];

// Classes of ASCII characters; all others are letters to PostgreSQL.
const space = 1;
const letter = 2;
const digit = 4;
const operator = 8;
const punctuation = 16;

const classes = new Uint8Array(128);
const mark = (characters: string, value: number): void => {
  for (const character of characters) classes[character.charCodeAt(0)]! |= value;
};
mark(' \t\n\r\f\v', space);
mark('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_', letter);
mark('0123456789', digit);
mark('~!@#^&|`?+-*/%<>=', operator);
mark(',()[].;:', punctuation);

const classOf = (code: number): number => (code < 128 ? classes[code]! : letter);

const code = (character: string): number => character.charCodeAt(0);
const newline = code('\n');
const carriageReturn = code('\r');
const quote = code("'");
const doubleQuote = code('"');
const dollar = code('$');
const comma = code(',');
const dot = code('.');
const colon = code(':');
const equals = code('=');
const greater = code('>');
const minus = code('-');
const plus = code('+');
const slash = code('/');
const star = code('*');
const backslash = code('\\');
const underscore = code('_');
const ampersand = code('&');

/** Those whose presence lets an operator end in + or -. */
const keepsSign = new Uint8Array(128);
for (const character of '~!@#^&|`?%') keepsSign[code(character)] = 1;

export class Lexer {
  readonly text: string;
  kind: TokenKind = TokenKind.End;
  /** Of the current token, in UTF-16 units. */
  start = 0;
  end = 0;

  /** The end of the run of operator characters that was measured last. */
  #run = 0;
  /** Where the signs at its end begin. */
  #runSigns = 0;
  /** Its last character that lets an operator end in a sign, or -1. */
  #runKeeper = -1;

  /** `from`: where to begin, between two tokens. */
  constructor(text: string, from = 0) {
    this.text = text;
    this.end = from;
  }

  /** Moves to the next token; false at the end of the text and at an invalid one (see `kind`). */
  next(): boolean {
    const { text } = this;
    const at = this.#pastSpaces(this.end);
    this.start = at;
    if (at >= text.length) return this.#stop(TokenKind.End, at);
    const first = text.charCodeAt(at);
    const kind = classOf(first);
    if (kind === letter) return this.#word(at, first);
    if (kind === digit) return this.#number(at);
    if (kind === punctuation) return this.#punctuation(at, first);
    if (kind === operator) return this.#operator(at, first);
    if (first === quote) return this.#quoted(TokenKind.String, at, false);
    if (first === doubleQuote) return this.#identifier(TokenKind.QuotedIdentifier, at);
    if (first === dollar) return this.#dollar(at);
    return this.#stop(TokenKind.Invalid, at);
  }

  /**
   * Goes on along a list: past literals of the current one's kind, integers of up to nine digits or strings in
   * single quotes, as long as commas and spaces alone part them and a comma follows. The last of them is then
   * the current token.
   * @returns how many it went past, besides as many commas
   */
  skipAlike(): number {
    const { text, kind } = this;
    if (kind !== TokenKind.Integer && kind !== TokenKind.String) return 0;
    let passed = 0;
    let at = this.#pastSpaces(this.end);
    while (text.charCodeAt(at) === comma) {
      const start = this.#pastSpaces(at + 1);
      const end = kind === TokenKind.Integer ? this.#shortEnd(start) : this.#plainEnd(start);
      if (end === start) break;
      at = this.#pastSpaces(end);
      if (text.charCodeAt(at) !== comma) break;
      this.start = start;
      this.end = end;
      passed += 1;
    }
    return passed;
  }

  #pastSpaces(from: number): number {
    const { text } = this;
    let at = from;
    while (at < text.length && classOf(text.charCodeAt(at)) === space) at += 1;
    return at;
  }

  /** Behind up to nine decimal digits. */
  #shortEnd(from: number): number {
    const { text } = this;
    let at = from;
    while (at - from < 9 && isDigit(text.charCodeAt(at), 10)) at += 1;
    return at;
  }

  /** Behind the next quote, if one stands here. */
  #plainEnd(from: number): number {
    const { text } = this;
    return text.charCodeAt(from) === quote ? text.indexOf("'", from + 1) + 1 || from : from;
  }

  #take(kind: TokenKind, end: number): true {
    this.kind = kind;
    this.end = end;
    return true;
  }

  #stop(kind: TokenKind, at: number): false {
    this.kind = kind;
    this.end = at;
    return false;
  }

  #word(at: number, first: number): boolean {
    const { text } = this;
    const second = text.charCodeAt(at + 1); // NaN at the end
    const lower = first | 0x20;
    if (second === quote) {
      if (lower === 0x65) return this.#quoted(TokenKind.EscapeString, at + 1, true);
      if (lower === 0x62 || lower === 0x78) return this.#quoted(TokenKind.BitString, at + 1, false);
    } else if (second === ampersand && lower === 0x75) {
      const third = text.charCodeAt(at + 2);
      if (third === quote) return this.#quoted(TokenKind.Unicode, at + 2, false);
      if (third === doubleQuote) return this.#identifier(TokenKind.Unicode, at + 2);
    }
    let end = at + 1;
    for (; end < text.length; end += 1) {
      const next = text.charCodeAt(end);
      if ((classOf(next) & (letter | digit)) === 0 && next !== dollar) break;
    }
    return this.#take(TokenKind.Word, end);
  }

  /** A string constant from its opening quote on; goes on where only white space with a newline parts two. */
  #quoted(kind: TokenKind, open: number, escapes: boolean): boolean {
    const { text } = this;
    let at = open + 1;
    for (;;) {
      const close = escapes ? this.#escapedEnd(at) : text.indexOf("'", at);
      if (close < 0) return this.#stop(TokenKind.Invalid, text.length);
      at = close + 1;
      // A doubled quote, which bit strings do not have.
      if (text.charCodeAt(at) === quote && kind !== TokenKind.BitString) {
        at += 1;
        continue;
      }
      const again = this.#continuation(at);
      if (again < 0) return this.#take(kind, at);
      at = again + 1;
    }
  }

  #escapedEnd(from: number): number {
    const { text } = this;
    for (let at = from; at < text.length; at += 1) {
      const next = text.charCodeAt(at);
      if (next === quote) return at;
      if (next === backslash) at += 1;
    }
    return -1;
  }

  /** Where a string goes on after its closing quote, or -1. */
  #continuation(from: number): number {
    const { text } = this;
    let sawNewline = false;
    for (let at = from; at < text.length; at += 1) {
      const next = text.charCodeAt(at);
      if (next === newline || next === carriageReturn) sawNewline = true;
      else if (next === minus && text.charCodeAt(at + 1) === minus) at = this.#lineEnd(at) - 1;
      else if (classOf(next) !== space) return sawNewline && next === quote ? at : -1;
    }
    return -1;
  }

  #lineEnd(from: number): number {
    const { text } = this;
    let at = from;
    for (; at < text.length; at += 1) {
      const next = text.charCodeAt(at);
      if (next === newline || next === carriageReturn) break;
    }
    return at;
  }

  #identifier(kind: TokenKind, open: number): boolean {
    const { text } = this;
    for (let at = open + 1; ; at += 2) {
      at = text.indexOf('"', at);
      if (at < 0 || at === open + 1) {
        // Unterminated, or of length zero unless the quote is doubled.
        if (at < 0 || text.charCodeAt(at + 1) !== doubleQuote) {
          return this.#stop(TokenKind.Invalid, text.length);
        }
      } else if (text.charCodeAt(at + 1) !== doubleQuote) return this.#take(kind, at + 1);
    }
  }

  /** $1, or $tag$ … $tag$. */
  #dollar(at: number): boolean {
    const { text } = this;
    let end = at + 1;
    if (classOf(text.charCodeAt(end)) === digit) {
      while (classOf(text.charCodeAt(end)) === digit) end += 1;
      return this.#numberEnd(TokenKind.Parameter, end);
    }
    if (end < text.length && classOf(text.charCodeAt(end)) === letter) {
      while (end < text.length && (classOf(text.charCodeAt(end)) & (letter | digit)) !== 0)
        end += 1;
    }
    if (text.charCodeAt(end) !== dollar) return this.#stop(TokenKind.Invalid, at);
    const tag = text.slice(at, end + 1);
    const close = text.indexOf(tag, end + 1);
    if (close < 0) return this.#stop(TokenKind.Invalid, text.length);
    return this.#take(TokenKind.String, close + tag.length);
  }

  /** A number or parameter must not run into a word. */
  #numberEnd(kind: TokenKind, end: number): boolean {
    const { text } = this;
    const next = text.charCodeAt(end);
    if (end < text.length && classOf(next) === letter) {
      return this.#stop(TokenKind.Invalid, this.start);
    }
    // A dollar goes on with a word only: the letters of 1e5, 0x1F and 1_0 would begin one.
    if (next === dollar && kind !== TokenKind.Parameter) {
      for (let at = end - 1; at > this.start; at -= 1) {
        const one = classOf(text.charCodeAt(at));
        if (one === letter) return this.#stop(TokenKind.Invalid, this.start);
        if (one !== digit) break;
      }
    }
    return this.#take(kind, end);
  }

  /** Past digits of that base with single underscores between them; `from` itself when there is none. */
  #digits(from: number, base: number): number {
    const { text } = this;
    let at = from;
    while (isDigit(text.charCodeAt(at), base)) {
      at += 1;
      if (text.charCodeAt(at) === underscore && isDigit(text.charCodeAt(at + 1), base)) at += 1;
    }
    return at;
  }

  #number(at: number): boolean {
    const { text } = this;
    if (text.charCodeAt(at) === 0x30) {
      const base = bases[text.charCodeAt(at + 1) | 0x20];
      if (base !== undefined) {
        const from = text.charCodeAt(at + 2) === underscore ? at + 3 : at + 2;
        const end = this.#digits(from, base);
        if (end === from) return this.#stop(TokenKind.Invalid, at);
        return this.#numberEnd(TokenKind.Integer, end);
      }
    }
    const end = this.#digits(at, 10);
    // 1..10 is a range.
    if (text.charCodeAt(end) === dot && text.charCodeAt(end + 1) !== dot) {
      return this.#exponent(TokenKind.Float, this.#digits(end + 1, 10));
    }
    return this.#exponent(TokenKind.Integer, end);
  }

  #exponent(kind: TokenKind, end: number): boolean {
    const { text } = this;
    if ((text.charCodeAt(end) | 0x20) === 0x65) {
      const sign = text.charCodeAt(end + 1);
      const from = sign === plus || sign === minus ? end + 2 : end + 1;
      const past = this.#digits(from, 10);
      if (past === from) return this.#stop(TokenKind.Invalid, this.start);
      return this.#numberEnd(TokenKind.Float, past);
    }
    return this.#numberEnd(kind, end);
  }

  #punctuation(at: number, first: number): boolean {
    const { text } = this;
    const second = text.charCodeAt(at + 1);
    if (first === dot) {
      if (classOf(second) === digit) {
        return this.#exponent(TokenKind.Float, this.#digits(at + 1, 10));
      }
      return this.#take(TokenKind.Punctuation, second === dot ? at + 2 : at + 1);
    }
    const two = first === colon && (second === colon || second === equals);
    return this.#take(TokenKind.Punctuation, two ? at + 2 : at + 1);
  }

  #operator(at: number, first: number): boolean {
    const { text } = this;
    const second = text.charCodeAt(at + 1);
    if (first === minus && second === minus) {
      return this.#take(TokenKind.Comment, this.#lineEnd(at));
    }
    if (first === slash && second === star) return this.#blockComment(at);
    if (at >= this.#run) this.#measureRun(at);
    const end = this.#operatorEnd(at);
    if (end - at === 2 && first === equals && second === greater) {
      return this.#take(TokenKind.Punctuation, end);
    }
    // NAMEDATALEN
    if (end - at >= 64) return this.#stop(TokenKind.Invalid, at);
    return this.#take(TokenKind.Operator, end);
  }

  /** Measures a run of operator characters once, however many operators it turns out to be. */
  #measureRun(from: number): void {
    const { text } = this;
    let at = from;
    this.#runSigns = from;
    this.#runKeeper = -1;
    for (; at < text.length; at += 1) {
      const next = text.charCodeAt(at);
      if ((classOf(next) & operator) === 0) break;
      const after = text.charCodeAt(at + 1);
      if ((next === slash && after === star) || (next === minus && after === minus)) break;
      if (next !== plus && next !== minus) {
        this.#runSigns = at + 1;
        if (keepsSign[next] === 1) this.#runKeeper = at;
      }
    }
    this.#run = at;
  }

  /** An operator of several characters ends in + or - only if it has one of ~ ! @ # ^ & | ` ? %. */
  #operatorEnd(at: number): number {
    if (this.#runSigns === this.#run || this.#runKeeper >= at) return this.#run;
    return Math.max(at + 1, this.#runSigns);
  }

  #blockComment(at: number): boolean {
    const { text } = this;
    let depth = 1;
    for (let i = at + 2; i < text.length; i += 1) {
      const next = text.charCodeAt(i);
      const after = text.charCodeAt(i + 1);
      if (next === slash && after === star) {
        depth += 1;
        i += 1;
      } else if (next === star && after === slash) {
        depth -= 1;
        i += 1;
        if (depth === 0) return this.#take(TokenKind.Comment, i + 1);
      }
    }
    return this.#stop(TokenKind.Invalid, text.length);
  }
}

/** By the second letter of 0x, 0o, 0b. */
const bases: Readonly<Record<number, number>> = { 120: 16, 111: 8, 98: 2 };

function isDigit(next: number, base: number): boolean {
  if (next >= 0x30 && next <= 0x39) return next - 0x30 < base;
  const lower = next | 0x20;
  return base === 16 && lower >= 0x61 && lower <= 0x66;
}
