import {
  isIn,
  leftToRight,
  mappedToNothing,
  nonAsciiSpaces,
  prohibited,
  rightToLeft,
  unassigned,
} from './stringprep-tables.ts';

/** SASLprep (RFC 4013) of a text; undefined when it holds what the profile prohibits. */
function prepare(text: string): string | undefined {
  let mapped = '';
  for (const character of text) {
    const codePoint = character.codePointAt(0)!;
    if (isIn(nonAsciiSpaces, codePoint)) mapped += ' ';
    else if (!isIn(mappedToNothing, codePoint)) mapped += character;
  }
  const normal = mapped.normalize('NFKC');
  const codePoints = Array.from(normal, (character) => character.codePointAt(0)!);
  if (codePoints.length === 0) return undefined;
  for (const codePoint of codePoints) {
    if (isIn(prohibited, codePoint) || isIn(unassigned, codePoint)) return undefined;
  }
  // RFC 3454 §6: a text with a right-to-left character has none left-to-right, and begins and ends so.
  if (codePoints.some((codePoint) => isIn(rightToLeft, codePoint))) {
    const bounded =
      isIn(rightToLeft, codePoints[0]!) && isIn(rightToLeft, codePoints[codePoints.length - 1]!);
    if (!bounded || codePoints.some((codePoint) => isIn(leftToRight, codePoint))) return undefined;
  }
  return normal;
}

const ASCII = /^[\x00-\x7f]*$/;

/**
 * A password as PostgreSQL puts it into SCRAM: SASLprep, and the password as it is where SASLprep prohibits
 * it. ASCII is left alone, control characters included: PostgreSQL takes that shortcut, and both sides must
 * come to the same bytes.
 */
export function saslprepPassword(password: string): string {
  if (ASCII.test(password)) return password;
  return prepare(password) ?? password;
}
