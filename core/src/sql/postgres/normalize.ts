import { Lexer, TokenKind } from './lexer.ts';
import { LiteralContext } from './literal-context.ts';

export interface NormalizedStatement {
  /**
   * The text without comments, and with placeholders (NUL, which no text contains, and a letter for the
   * kind) for the literals on whose values the analysis does not depend. Of those that follow each other in a
   * list, their number stands before the letter, without what parts them. Texts with one normal form have the
   * same analysis, provided that they parse: the outcome of one that does not must not be kept for others.
   */
  readonly normalForm: string;
  /** How many literals the placeholders stand for. */
  readonly literals: number;
  /** As shown in records: every literal is `?`, comments are left out, names stay. */
  readonly redacted: string;
  /** False when only the exact text may serve as a key; `normalForm` is then the text. */
  readonly safe: boolean;
}

/** Of the kinds that are literals. Whether a U& constant is a string or a name, its quote tells. */
const letters: Readonly<Partial<Record<TokenKind, string>>> = {
  [TokenKind.String]: 's',
  [TokenKind.EscapeString]: 's',
  [TokenKind.BitString]: 'b',
  [TokenKind.Integer]: 'i',
  [TokenKind.Float]: 'f',
};

/** Linear in the text; never throws. */
export function normalize(text: string): NormalizedStatement {
  const lexer = new Lexer(text);
  const context = new LiteralContext(text);
  // A lone surrogate reaches the parser as another character.
  let safe = text.isWellFormed();
  let normalForm = '';
  let redacted = '';
  let literals = 0;
  let copied = 0;
  while (lexer.next()) {
    const { kind, start, end } = lexer;
    const letter = letters[kind];
    if (kind === TokenKind.Unicode) {
      // What it means hangs on a UESCAPE that may follow.
      safe = false;
      if (text.charAt(end - 1) === "'") {
        redacted += `${text.slice(copied, start)}?`;
        copied = end;
      }
    } else if (letter !== undefined || kind === TokenKind.Comment) {
      const before = text.slice(copied, start);
      copied = end;
      if (letter === undefined) {
        normalForm += `${before} `;
        redacted += `${before} `;
        continue;
      }
      redacted += `${before}?`;
      if (context.keeps(lexer)) normalForm += before + text.slice(start, end);
      else {
        const more = lexer.skipAlike();
        normalForm += `${before}\0${more === 0 ? '' : more + 1}${letter}`;
        literals += 1 + more;
        if (more > 0) {
          redacted += ', ?'.repeat(more);
          copied = lexer.end;
        }
      }
    }
    context.after(lexer);
  }
  if (lexer.kind === TokenKind.Invalid) {
    // What follows is not understood, so none of it is shown.
    redacted += `${text.slice(copied, lexer.start)}…`;
    return { normalForm: text, literals: 0, redacted, safe: false };
  }
  const rest = text.slice(copied);
  redacted += rest;
  if (!safe || !context.isPlain) return { normalForm: text, literals: 0, redacted, safe: false };
  return { normalForm: normalForm + rest, literals, redacted, safe };
}
