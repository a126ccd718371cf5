/** Lines for a terminal of a hundred columns. Everything is made safe to print here. */
import { terminalSafe } from '@chaperone/collector/replay/terminal-safe.ts';

export const width = 100;
const gap = '  ';
/** No column is cut below that. */
const minColumn = 10;

/** Rows under headings, no line wider than `width`: the widest columns are cut first. */
export function table(
  headings: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): string[] {
  const lines = [headings, ...rows].map((line) => line.map((cell) => terminalSafe(String(cell))));
  const widths = headings.map((_, at) => Math.max(...lines.map((line) => line[at]!.length)));
  const total = (): number => widths.reduce((sum, one) => sum + one + gap.length, -gap.length);
  while (total() > width) {
    const widest = Math.max(...widths);
    if (widest <= minColumn) break;
    widths[widths.indexOf(widest)] = widest - 1;
  }
  return lines.map((line) =>
    line
      .map((cell, at) => cut(cell, widths[at]!).padEnd(widths[at]!))
      .join(gap)
      .trimEnd(),
  );
}

function cut(text: string, columns: number): string {
  return text.length <= columns ? text : `${text.slice(0, columns - 1)}…`;
}

/** Words over several lines, each behind `indent`; the first behind `head` instead. A word is never parted. */
export function wrap(text: string, indent: string, head = indent): string[] {
  const lines: string[] = [];
  let line = head;
  let empty = true;
  for (const word of terminalSafe(text).split(' ')) {
    if (!empty && line.length + 1 + word.length > width) {
      lines.push(line);
      line = indent;
      empty = true;
    }
    line += empty ? word : ` ${word}`;
    empty = false;
  }
  return [...lines, line.trimEnd()];
}

/** A name and what is said of it, below one another where they are aligned. */
export function field(name: string, text: string, indent = ''): string[] {
  const column = 13;
  return wrap(text, indent + ' '.repeat(column), indent + name.padEnd(column));
}
