/**
 * The spool's files, changed as a failing disk or a hand would: what is read back was written, what stands before
 * the damage is read, and reading comes to an end.
 */
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseBatch, parseFrames } from '@chaperone/collector/ingest/batch.ts';
import { defaultIngestLimits } from '@chaperone/collector/ingest/limits.ts';
import { bodies, uuid } from '@chaperone/collector/testing/events.ts';
import type { EventBody, EventParts } from '@chaperone/core/events/types.ts';
import { systemClock } from '@chaperone/runtime/clock.ts';
import { EventBatch } from '@chaperone/runtime/recorder/event-batch.ts';
import { EventWriter } from '@chaperone/runtime/recorder/event-writer.ts';
import { FrameBatch, segmentHeader } from '@chaperone/runtime/recorder/frame.ts';
import { SessionName } from '@chaperone/runtime/recorder/session-name.ts';
import { Spool } from '@chaperone/runtime/recorder/spool.ts';
import { SpoolReader } from '@chaperone/runtime/recorder/spool-reader.ts';
import { expect } from '@jest/globals';
import fc from 'fast-check';
import { fuzz } from './support/fuzz.ts';

const session = uuid(1);
const name = new SessionName(session);
const writer = new EventWriter(systemClock(), (bytes) => bytes.fill(0xcd));

type Damage =
  | { readonly kind: 'flip'; readonly at: number; readonly bit: number }
  | { readonly kind: 'cut'; readonly at: number }
  | {
      readonly kind: 'zero' | 'insert' | 'remove' | 'copy';
      readonly at: number;
      readonly bytes: number;
    };

const place = fc.nat(100_000);
const damage: fc.Arbitrary<Damage> = fc.oneof(
  fc.record({ kind: fc.constant('flip'), at: place, bit: fc.nat(7) }),
  fc.record({ kind: fc.constant('cut'), at: place }),
  fc.record({
    kind: fc.constantFrom('zero', 'insert', 'remove', 'copy'),
    at: place,
    bytes: fc.integer({ min: 1, max: 300 }),
  }),
);
interface Written {
  readonly body: EventBody;
  readonly parts: EventParts;
}

const bytes = fc.oneof(fc.nat(60), fc.integer({ min: 200, max: 900 }));
const text = bytes.map((size) => 'ü'.repeat(size / 2) + 'x'.repeat(size % 2));
/** With every part that an event may have: a statement, its parameters, and a result that is small enough. */
const events: fc.Arbitrary<readonly Written[]> = fc.array(
  fc.oneof(
    fc.record({ body: fc.constant(bodies.opened()), parts: fc.constant({}) }),
    fc.record({ body: fc.constant(bodies.decided()), parts: fc.record({ statement: text }) }),
    fc.record({
      body: fc.constant(bodies.decided()),
      parts: fc.record({ statement: text, parameters: fc.tuple(text, fc.constant(null)) }),
    }),
    fc.record({
      body: fc.nat(99).map((decision) => bodies.completed(decision)),
      parts: bytes.map((size) => ({ result: new Uint8Array(size).fill(size % 251) })),
    }),
  ),
  { minLength: 1, maxLength: 25 },
);

/** Allowed statements of so many bytes. */
const statements = (...sizes: readonly number[]): readonly Written[] =>
  sizes.map((size) => ({ body: bodies.decided(), parts: { statement: 'x'.repeat(size) } }));

/** Changes a file of frames; returns the first offset at which it differs from before. */
function harm(path: string, change: Damage): number {
  const bytes = readFileSync(path);
  const at = change.at % bytes.length;
  let after: Buffer;
  switch (change.kind) {
    case 'flip':
      after = Buffer.from(bytes);
      after[at]! ^= 1 << change.bit;
      break;
    case 'cut':
      truncateSync(path, at);
      return at;
    case 'zero':
      after = Buffer.from(bytes).fill(0, at, Math.min(at + change.bytes, bytes.length));
      break;
    case 'insert':
      after = Buffer.concat([
        bytes.subarray(0, at),
        Buffer.alloc(change.bytes, 7),
        bytes.subarray(at),
      ]);
      break;
    case 'remove':
      after = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + change.bytes)]);
      break;
    default: {
      // A piece from elsewhere in the file, whole frames perhaps among it.
      const from = (at * 7) % bytes.length;
      after = Buffer.from(bytes);
      bytes.copy(after, at, from, Math.min(from + change.bytes, bytes.length));
    }
  }
  writeFileSync(path, after);
  for (let same = 0; same < Math.min(bytes.length, after.length); same += 1) {
    if (bytes[same] !== after[same]) return same;
  }
  return Math.min(bytes.length, after.length);
}

/** The contents of the parts that the collector takes, whichever way they are sent. */
function taken(events: EventBatch): readonly string[] {
  const fromFrames = parseFrames(events.frames(), session, defaultIngestLimits);
  const [fromJson] = parseBatch(events.lines()[0]!, session, defaultIngestLimits);
  expect(JSON.stringify(fromFrames)).toBe(JSON.stringify([fromJson]));
  return fromJson!.parts.map(({ content }) => content);
}

const sent = ({ statement, parameters, result }: EventParts): readonly string[] => [
  ...(statement === undefined ? [] : [statement]),
  ...(parameters === undefined ? [] : [JSON.stringify(parameters)]),
  ...(result === undefined ? [] : [Buffer.from(result).toString('base64')]),
];

fuzz(
  'spool: damage loses nothing that stands before it, and invents nothing',
  fc.asyncProperty(
    events,
    fc.array(damage, { minLength: 1, maxLength: 3 }),
    fc.nat(10),
    fc.boolean(),
    fc.boolean(),
    // One event at a time, and several of those in a file: what stands before damage within one read counts, too.
    fc.constantFrom(700, 4000),
    async (list, changes, pick, running, swap, batchBytes) => {
      const directory = mkdtempSync(join(tmpdir(), 'chaperone-fuzz-spool-'));
      const options = {
        directory,
        maxBytes: 1 << 20,
        segmentBytes: 5000,
        onSealed: () => {},
        onCreated: () => {},
      };
      try {
        const writing = new Spool(options);
        const batch = new FrameBatch();
        const written: { readonly text: string; readonly segment: number; readonly end: number }[] =
          [];
        for (const [index, { body, parts }] of list.entries()) {
          writer.write(batch, name, index + 1, body, parts);
          const event = new EventBatch(session, batch.buffer);
          event.add(0, batch.length);
          expect(taken(event)).toEqual(sent(parts));
          const text = event.lines()[0]!;
          writing.append(batch.buffer, batch.length);
          batch.clear();
          const segment = writing.segments.length - 1;
          written.push({
            text,
            segment,
            end: segmentHeader.length + writing.segments.at(-1)!.bytes,
          });
        }
        // Either the next process finds the damage as it starts, or it comes while that one runs.
        const files = readdirSync(directory)
          .filter((name) => name.endsWith('.seg'))
          .sort();
        const sound = files.map(() => Number.POSITIVE_INFINITY);
        const spoil = (): void => {
          for (const change of changes) {
            const at = (pick + change.at) % files.length;
            const path = join(directory, files[at]!);
            if (readFileSync(path).length === 0) continue;
            sound[at] = Math.min(sound[at]!, harm(path, change));
          }
          if (swap && files.length > 1) {
            const [a, b] = [join(directory, files[0]!), join(directory, files[1]!)];
            renameSync(a, `${a}.x`);
            renameSync(b, a);
            renameSync(`${a}.x`, b);
            if (running) sound.fill(0, 0, 2); // their frames no longer are where they are looked for
          }
        };
        if (!running) spoil();
        const spool = new Spool(options);
        if (running) spoil();
        const reader = new SpoolReader(spool, batchBytes);
        const read: string[] = [];
        let unreadable = 0;
        for (let position = 0; position < spool.written; ) {
          const next = await reader.read(position);
          expect(next!.end).toBeGreaterThan(position);
          read.push(...next!.events.flatMap((events) => events.lines()));
          if (next!.unreadable !== undefined) unreadable += 1;
          position = next!.end;
        }
        await reader.close();
        const known = new Set(written.map(({ text }) => text));
        expect(read.filter((one) => !known.has(one))).toEqual([]);
        const found = new Set(read);
        const before = written.filter(({ segment, end }) => end <= sound[segment]!);
        expect(before.filter(({ text }) => !found.has(text))).toEqual([]);
        // What is missing is told of, unless a file ends cleanly between two events: the numbers tell that.
        const cutCleanly = changes.some(({ kind }) => kind === 'cut' || kind === 'remove');
        if (found.size < written.length && !cutCleanly && !swap) {
          expect(spool.damages.length + unreadable).toBeGreaterThan(0);
        }
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
    },
  ),
  {
    briefly: 2,
    past: [
      {
        values: [statements(20, 20, 20), [{ kind: 'cut', at: 1500 }], 0, true, false, 4000],
        was: 'a file that was cut while the program ran lost what stood before the cut',
      },
    ],
  },
);
