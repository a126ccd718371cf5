/**
 * Everything in a text that a terminal, a pager or a log reader may act on or hide: control characters (so
 * escape sequences, newlines, tabs), format characters (so direction marks and zero-width ones), line and
 * paragraph separators, lone surrogates, and code points that mean nothing.
 */
const unsafe = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Cn}]/gu;

const named: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** The text on one line, with what could mislead shown as an escape: `\n`, `\x1b`, `\u{202e}`. */
export function terminalSafe(text: string): string {
  return text.replace(unsafe, (character) => {
    const known = named[character];
    if (known !== undefined) return known;
    const code = character.codePointAt(0)!;
    const hex = code.toString(16);
    return code < 0x100 ? `\\x${hex.padStart(2, '0')}` : `\\u{${hex}}`;
  });
}
