import { randomFillSync } from 'node:crypto';
import { uuidToBytes } from '@chaperone/core/events/uuid.ts';
import { systemClock } from '@chaperone/runtime/clock.ts';
import { EventWriter } from '@chaperone/runtime/recorder/event-writer.ts';
import { FrameBatch } from '@chaperone/runtime/recorder/frame.ts';
import { SessionName } from '@chaperone/runtime/recorder/session-name.ts';
import { expect, test } from '@jest/globals';
import { bodies, uuid } from '../testing/events.ts';
import { parseFrames } from './batch.ts';
import { defaultIngestLimits } from './limits.ts';

const session = uuid(1);

/** Frames as a recorder writes them: a session of three events, of which the second has a statement. */
function frames(): Buffer {
  const writer = new EventWriter(systemClock(), randomFillSync);
  const batch = new FrameBatch();
  const name = new SessionName(session);
  writer.write(batch, name, 1, bodies.opened(), undefined);
  writer.write(batch, name, 2, bodies.decided(), { statement: 'select ü' });
  writer.write(batch, name, 3, bodies.completed(2), undefined);
  return Buffer.from(batch.buffer.subarray(0, batch.length));
}

/** One frame, made by hand. */
function frame(seq: number, fill: (batch: FrameBatch) => void, of = session): Buffer {
  const batch = new FrameBatch();
  batch.begin(uuidToBytes(of), seq);
  fill(batch);
  batch.end();
  return Buffer.from(batch.buffer.subarray(0, batch.length));
}

const parse = (bytes: Buffer, limits = defaultIngestLimits) => parseFrames(bytes, session, limits);

test('frames are the events that were written', () => {
  const events = parse(frames());
  expect(events.map(({ seq, parts }) => [seq, parts.map(({ content }) => content)])).toEqual([
    [1, []],
    [2, ['select ü']],
    [3, []],
  ]);
});

test('whichever byte is changed, and wherever they are cut: all of them are refused', () => {
  const whole = frames();
  for (let at = 0; at < whole.length; at += 1) {
    const changed = Buffer.from(whole);
    changed[at]! ^= 1 << (at % 8);
    expect(() => parse(changed)).toThrow(expect.objectContaining({ status: 400 }));
  }
  const ends = new Set<number>();
  for (let at = 0; at < whole.length; ends.add(at)) at += whole.readUInt32LE(at) + 8;
  for (let length = 0; length < whole.length; length += 1) {
    const cut = whole.subarray(0, length);
    if (ends.has(length)) expect(() => parse(cut)).not.toThrow();
    else expect(() => parse(cut)).toThrow(expect.objectContaining({ status: 400 }));
  }
});

const line = (batch: FrameBatch): void => batch.text('{}');
const bad: Readonly<Record<string, readonly [Buffer, message: RegExp]>> = {
  'a frame of another session': [frame(1, line, uuid(2)), /another session/],
  'an event with the number 0': [frame(0, line), /counted from 1/],
  'a line that is not UTF-8': [frame(1, (b) => b.bytes(Buffer.from([0xc3, 0x28]))), /not UTF-8/],
  'a line that is no event': [frame(1, line), /event 1 of the batch/],
  'a line that is too long': [
    frame(1, (b) => b.ascii('x'.repeat(defaultIngestLimits.maxLineChars + 1))),
    /within the limits/,
  ],
};

test.each(Object.keys(bad))('%s is refused', (name) => {
  const [bytes, message] = bad[name]!;
  expect(() => parse(bytes)).toThrow(message);
});

test('a batch of too many events is refused', () => {
  const limits = { ...defaultIngestLimits, maxEvents: 2 };
  expect(() => parse(frames(), limits)).toThrow(expect.objectContaining({ status: 413 }));
});
