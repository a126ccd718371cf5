import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { FrameBatch, readFrame, scanFrame, segmentHeader } from './frame.ts';
import { recoverSegment } from './recover.ts';
import { Spool } from './spool.ts';

const session = new Uint8Array(16).fill(0xab);
const salts = new Uint8Array(16).fill(0xcd);
const lines = ['{"a":1}', '{"b":"ünï"}', '{"c":[]}', '{"d":"last"}'];

let directory: string;
let whole: Buffer;
/** Offsets at which a frame ends, the header counted as the first. */
let ends: number[];

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'recover-'));
  const batch = new FrameBatch();
  ends = [segmentHeader.length];
  for (const [at, line] of lines.entries()) {
    batch.begin(session, at + 1);
    const content = Buffer.from(`select ${at}`);
    batch.part('statement', salts, 0, content, 0, content.length);
    batch.text(line);
    batch.end();
    ends.push(segmentHeader.length + batch.length);
  }
  whole = Buffer.concat([segmentHeader, batch.buffer.subarray(0, batch.length)]);
});

afterAll(() => rmSync(directory, { recursive: true }));

function recover(bytes: Uint8Array, isLast: boolean) {
  const path = join(directory, 'segment');
  writeFileSync(path, bytes);
  const found = recoverSegment(path, 7, isLast, () => join(directory, 'kept'));
  return { ...found, left: readFileSync(path) };
}

test('a segment cut at any byte keeps exactly the whole frames before the cut', () => {
  for (let cut = 0; cut <= whole.length; cut += 1) {
    const { frames, left, damage, frameBytes } = recover(whole.subarray(0, cut), true);
    const end = ends.findLast((at) => at <= cut) ?? 0;
    expect([cut, left.length]).toEqual([cut, end]);
    expect(left.equals(whole.subarray(0, end))).toBe(true);
    expect(frames).toBe(Math.max(0, ends.indexOf(end)));
    expect(frameBytes).toBe(Math.max(0, end - segmentHeader.length));
    if (cut === end && cut > 0) expect(damage).toBeUndefined();
    else expect(damage).toMatchObject({ kind: 'TornTail', offset: end, bytes: cut - end });
  }
});

test('a changed byte anywhere is never read as an event, and is reported with what follows', () => {
  for (let at = 0; at < whole.length; at += 1) {
    for (const flip of [0x01, 0x80]) {
      const bytes = Buffer.from(whole);
      bytes[at]! ^= flip;
      const { left, damage } = recover(bytes, true);
      const end = ends.findLast((offset) => offset <= at) ?? 0;
      expect([at, left.length]).toEqual([at, end]);
      expect(left.equals(whole.subarray(0, end))).toBe(true);
      expect(damage).toMatchObject({ offset: end, bytes: whole.length - end });
      // Whole frames behind it mean that it is no torn tail, and its bytes are kept.
      if (at < ends.at(-2)!) {
        expect(damage?.kind).toBe('Damaged');
        expect(readFileSync(damage!.keptIn!).equals(bytes.subarray(end))).toBe(true);
      }
    }
  }
});

test('a segment that is not the last one may not end in a torn frame', () => {
  expect(recover(whole.subarray(0, whole.length - 1), false).damage).toMatchObject({
    kind: 'Damaged',
    segment: 7,
    after: { seq: 3 },
  });
});

test('a tail of zeros is a write that never reached the disk', () => {
  const { damage, frames } = recover(Buffer.concat([whole, Buffer.alloc(4096)]), true);
  expect([frames, damage?.kind]).toEqual([lines.length, 'TornTail']);
});

test('arbitrary bytes neither crash a reader nor pass for a frame', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (noise) => {
      const bytes = Buffer.from(noise);
      expect(scanFrame(bytes, 0, bytes.length).kind).not.toBe('Frame');
      // Even a frame whose checksum is right may lie about its inside.
      expect(() =>
        readFrame(
          Buffer.concat([whole.subarray(8, 16), bytes, session, session]),
          0,
          bytes.length + 40,
        ),
      ).not.toThrow();
    }),
  );
});

describe('Spool', () => {
  test('reports damage in the middle, keeps the events around it and goes on in a new segment', () => {
    const spoolDirectory = join(directory, 'spool');
    const open = () =>
      new Spool({
        directory: spoolDirectory,
        maxBytes: 1 << 20,
        onSealed: () => {},
        onCreated: () => {},
      });
    open();
    const damaged = Buffer.from(whole);
    damaged[ends[1]! + 20]! ^= 1;
    writeFileSync(join(spoolDirectory, '000000000001.seg'), damaged);
    writeFileSync(join(spoolDirectory, '000000000002.seg'), whole);
    const spool = open();
    expect(spool.damages).toMatchObject([{ kind: 'Damaged', segment: 1, after: { seq: 1 } }]);
    expect(spool.recoveredEvents).toBe(1 + lines.length);
    expect(readdirSync(spool.damagedDirectory)).toEqual([`000000000001-${ends[1]}`]);
    copyFileSync(join(spoolDirectory, '000000000002.seg'), join(directory, 'x'));
    spool.append(whole.subarray(8), whole.length - 8);
    expect(spool.segments.map(({ path }) => path.slice(-16))).toEqual([
      '000000000001.seg',
      '000000000002.seg',
      '000000000003.seg',
    ]);
    expect(open().damages).toEqual([]);
  });
});
