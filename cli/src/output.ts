import { once } from 'node:events';
import type { Writable } from 'node:stream';

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

/** All of what comes one by one. */
export async function collect<Item>(items: AsyncIterable<Item>): Promise<readonly Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** On one line, with what a terminal could act on escaped. */
export function safeJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
