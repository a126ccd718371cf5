import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { FrameBatch } from './frame.ts';
import { Spool } from './spool.ts';
import { SpoolReader } from './spool-reader.ts';
import type { ShippedEvent } from './transport.ts';

const session = new Uint8Array(16).fill(0xab);

/** One batch of a turn: a line of that many characters for each event. */
const batches = fc.array(
  fc.array(
    fc.oneof(
      fc.nat(300),
      fc.integer({ min: 100_000, max: 140_000 }),
      fc.constant(600_000), // more than is remembered at once
    ),
    { minLength: 1, maxLength: 6 },
  ),
  { minLength: 1, maxLength: 12 },
);

async function readAll(reader: SpoolReader, from: number, to: number): Promise<string[]> {
  const lines: string[] = [];
  let position = from;
  while (position < to) {
    const batch = (await reader.read(position))!;
    expect(batch.unreadable).toBeUndefined();
    for (const text of batch.events.flatMap((events) => events.lines())) {
      const { seq, line } = JSON.parse(text) as ShippedEvent;
      lines.push(`${seq} ${line.length}`);
    }
    position = batch.end;
  }
  return lines;
}

test('what is read is what was written, whether it is still in memory or only in files', async () => {
  await fc.assert(
    fc.asyncProperty(batches, fc.infiniteStream(fc.nat(3)), async (turns, pauses) => {
      const directory = mkdtempSync(join(tmpdir(), 'chaperone-spool-'));
      const options = {
        directory,
        maxBytes: 64 * 1024 * 1024,
        segmentBytes: 1024 * 1024,
        onSealed: () => {},
        onCreated: () => {},
      };
      try {
        const spool = new Spool(options);
        const reader = new SpoolReader(spool);
        const batch = new FrameBatch();
        const written: string[] = [];
        const read: string[] = [];
        let position = 0;
        for (const turn of turns) {
          for (const chars of turn) {
            batch.begin(session, written.length + 1);
            batch.text('x'.repeat(chars));
            batch.end();
            written.push(`${written.length + 1} ${chars}`);
          }
          spool.append(batch.buffer, batch.length);
          batch.clear();
          // Sometimes shipping keeps up, sometimes it falls behind what is remembered.
          if (pauses.next().value !== 0) continue;
          read.push(...(await readAll(reader, position, spool.written)));
          position = spool.written;
        }
        read.push(...(await readAll(reader, position, spool.written)));
        expect(read).toEqual(written);
        await reader.close();
        // Another process has nothing in memory.
        const later = new Spool(options);
        const files = new SpoolReader(later);
        expect(await readAll(files, 0, later.written)).toEqual(written);
        await files.close();
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
    }),
    { numRuns: 25 },
  );
});
