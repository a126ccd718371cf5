import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { terminalSafe } from '@chaperone/collector/replay/terminal-safe.ts';

/** Where a command writes: a stream, and how wide it is when it is a terminal. */
export type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/** Writes one line and waits while the reader is slower. */
export async function writeLine(output: Output, line: string): Promise<void> {
  if (!output.write(`${line}\n`)) await once(output, 'drain');
}

/** One JSON object a line. Control characters in it stay escaped, so it is safe on a terminal. */
export async function writeJsonLines(output: Output, items: AsyncIterable<unknown>): Promise<void> {
  for await (const item of items) await writeLine(output, safeJson(item));
}

/** On one line, with what a terminal could act on escaped. */
export function safeJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/**
 * Writes rows under headings, columns as wide as their widest cell. On a terminal the last column is cut at
 * the edge. Cells are made safe here; `empty` is written when there are no rows.
 */
export async function writeTable(
  output: Output,
  headings: readonly string[],
  rows: AsyncIterable<readonly string[]>,
  empty: string,
): Promise<void> {
  const lines: string[][] = [[...headings]];
  for await (const row of rows) lines.push(row.map(terminalSafe));
  if (lines.length === 1) return writeLine(output, empty);
  const widths = headings.map((_, at) => Math.max(...lines.map((line) => line[at]!.length)));
  for (const line of lines) {
    const text = line
      .map((cell, at) => (at === line.length - 1 ? cell : cell.padEnd(widths[at]!)))
      .join('  ')
      .trimEnd();
    const edge = output.isTTY ? output.columns : undefined;
    await writeLine(output, edge && text.length > edge ? `${text.slice(0, edge - 1)}…` : text);
  }
}
