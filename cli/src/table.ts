import { terminalSafe } from '@chaperone/collector/replay/terminal-safe.ts';
import { type Output, writeLine } from './output.ts';

/** A column of a table for people. */
export interface Column {
  readonly heading: string;
  /** Where the terminal is too narrow, its cells may be cut to this many characters; absent: they may not. */
  readonly leastWidth?: number;
}

export interface TableOptions {
  /** Written when there are no rows. */
  readonly empty: string;
  /** Leaves everything whole, though lines be longer than the terminal is wide. */
  readonly wide?: boolean;
}

const gap = '  ';

/**
 * Writes rows under headings, columns as wide as their widest cell. On a terminal lines end at its edge: the
 * widest columns that may be cut are, and then the line. Cells are made safe here.
 */
export async function writeTable(
  output: Output,
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  { empty, wide }: TableOptions,
): Promise<void> {
  if (rows.length === 0) return writeLine(output, empty);
  const lines = [
    columns.map(({ heading }) => heading),
    ...rows.map((row) => row.map(terminalSafe)),
  ];
  const edge = isNarrow(output, wide) ? output.columns : undefined;
  const widths = columns.map((_, at) => Math.max(...lines.map((line) => line[at]!.length)));
  if (edge !== undefined) fit(widths, columns, edge);
  for (const line of lines) {
    const text = line
      .map((cell, at) => cut(cell, widths[at]!).padEnd(widths[at]!))
      .join(gap)
      .trimEnd();
    await writeLine(output, edge === undefined ? text : cut(text, edge));
  }
}

/** Whether lines have to end at the edge of a terminal. */
export function isNarrow(output: Output, wide = false): boolean {
  return output.isTTY === true && output.columns !== undefined && !wide;
}

/** A time like `2026-11-22T06:47:54.247`; where there is little room, `11-22 06:47:54`. */
export function showTime(time: string, narrow: boolean): string {
  return narrow ? time.slice(5, 19).replace('T', ' ') : time;
}

/** Takes from the widest column that may be cut, until the line fits or none is left. */
function fit(widths: number[], columns: readonly Column[], edge: number): void {
  let over = widths.reduce((sum, width) => sum + width + gap.length, -gap.length) - edge;
  for (; over > 0; over -= 1) {
    let widest = -1;
    columns.forEach(({ leastWidth }, at) => {
      if (leastWidth === undefined || widths[at]! <= leastWidth) return;
      if (widest < 0 || widths[at]! > widths[widest]!) widest = at;
    });
    if (widest < 0) return;
    widths[widest]! -= 1;
  }
}

const cut = (text: string, width: number): string =>
  text.length > width ? `${text.slice(0, width - 1)}…` : text;
