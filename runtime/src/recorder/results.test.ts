import { createHmac, randomBytes, randomFillSync } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  maxChunkBytes,
  maxIndexedChunks,
  maxListedChunks,
  maxPartResultBytes,
  openChunk,
  recordedContent,
} from '@chaperone/core/events/recording.ts';
import type { OperationCompleted } from '@chaperone/core/events/types.ts';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { manualClock } from '../clock.ts';
import { MemoryReceiver } from './memory-receiver.ts';
import type { RecorderOptions, SpoolRecorder } from './options.ts';
import { createRecorder } from './recorder.ts';
import { ResultKeeper, ResultStream } from './result-stream.ts';
import type { ShippedEvent } from './transport.ts';
import type { SessionRecorder } from './types.ts';

const completed: OperationCompleted = {
  type: 'OperationCompleted',
  decision: 1,
  outcome: 'Ok',
  rows: 1,
  bytes: 10,
  masked: [],
  durationUs: 1,
};

let directory: string;
let recorders: SpoolRecorder[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'results-'));
  recorders = [];
});

afterEach(async () => {
  for (const recorder of recorders) await recorder.close();
  rmSync(directory, { recursive: true });
});

function start(options: Partial<RecorderOptions> = {}): SpoolRecorder {
  const log = () => {};
  const recorder = createRecorder({
    directory,
    installationKey: Buffer.alloc(32, 7),
    program: { name: 'sidecar', version: '0.1.0' },
    clock: manualClock(),
    random: randomFillSync,
    logger: { info: log, warn: log, error: log },
    lingerMs: 0,
    closeGraceMs: 0,
    ...options,
  });
  recorders.push(recorder);
  return recorder;
}

/** Records `content` in pieces of `pieceBytes` and waits until the collector has it. The event's number. */
async function record(
  recorder: SpoolRecorder,
  session: SessionRecorder,
  content: Uint8Array,
  pieceBytes = 100_000,
): Promise<number> {
  for (let at = 0; at < content.length; at += pieceBytes) {
    expect(session.appendResult(1, content.subarray(at, at + pieceBytes))).toBeUndefined();
  }
  const seq = session.appendCompleted(completed);
  const failure = await new Promise((resolve) => recorder.whenDurable('Collector', resolve));
  expect(failure).toBeUndefined();
  return seq;
}

interface Recorded {
  readonly part: ShippedEvent['parts'][number] | undefined;
  readonly digests: readonly string[];
  readonly content: Buffer;
}

/** What the receiver has of the result that the event of that number completes. */
async function readBack(receiver: MemoryReceiver, session: string, seq: number): Promise<Recorded> {
  const { line, parts } = receiver.sessions.get(session)!.get(seq)!;
  const { recording: digests = [] } = JSON.parse(line) as OperationCompleted;
  const part = parts.find(({ name }) => name === 'result');
  const pieces: Uint8Array[] = part === undefined ? [] : [Buffer.from(part.content, 'base64')];
  for await (const piece of recordedContent(digests, async (sha) => receiver.recordings.get(sha))) {
    pieces.push(piece!);
  }
  return { part, digests, content: Buffer.concat(pieces) };
}

test.each([
  ['nothing', 0, false, 0],
  ['one byte', 1, true, 0],
  ['just a part', maxPartResultBytes, true, 0],
  ['a byte more', maxPartResultBytes + 1, false, 1],
  ['just a chunk', maxChunkBytes - 17, false, 1],
  ['a chunk and a byte', maxChunkBytes - 16, false, 2],
  ['as many as are listed', (maxChunkBytes - 17) * maxListedChunks, false, maxListedChunks],
  ['one more, behind an index', (maxChunkBytes - 17) * maxListedChunks + 1, false, 1],
])('%s comes back byte for byte', async (_name, bytes, isPart, listed) => {
  const receiver = new MemoryReceiver();
  const recorder = start({ transport: receiver });
  const session = recorder.openSession();
  const content = Buffer.alloc(bytes, randomBytes(1009));
  const seq = await record(recorder, session, content);
  const found = await readBack(receiver, session.id, seq);
  expect([found.part !== undefined, found.digests.length]).toEqual([isPart, listed]);
  expect(found.content.equals(content)).toBe(true);
  // Nothing is kept twice.
  expect(receiver.recordings.size > 0).toBe(listed > 0);
  for (const chunk of receiver.recordings.values()) {
    expect(chunk.length).toBeLessThanOrEqual(maxChunkBytes);
  }
  expect(readdirSync(join(directory, 'recordings'))).toEqual([]);
});

test('a part is sealed in the line as every part is, under a salt of its own', async () => {
  const receiver = new MemoryReceiver();
  const recorder = start({ transport: receiver });
  const session = recorder.openSession();
  const bytes = Buffer.from('salary=5000\u0000\u00e9');
  const seqs = [await record(recorder, session, bytes), await record(recorder, session, bytes)];
  const salts = new Set<string>();
  for (const seq of seqs) {
    const { part } = await readBack(receiver, session.id, seq);
    const salt = Buffer.from(part!.salt, 'base64');
    salts.add(part!.salt);
    const { parts } = JSON.parse(receiver.sessions.get(session.id)!.get(seq)!.line);
    const hmac = createHmac('sha256', salt).update(part!.content, 'utf8').digest('hex');
    expect(parts).toEqual({ result: hmac });
  }
  expect(salts.size).toBe(2);
});

test('however results come in pieces and among one another, each is its own', async () => {
  const receiver = new MemoryReceiver();
  const recorder = start({ transport: receiver });
  const size = fc.oneof(
    fc.integer({ min: 0, max: 300 }),
    fc.integer({ min: maxPartResultBytes - 40, max: maxPartResultBytes + 40 }),
    fc.integer({ min: 2 * maxPartResultBytes - 40, max: 2 * maxPartResultBytes + 60 }),
  );
  const results = fc.array(
    fc.record({ bytes: size, pieceBytes: fc.integer({ min: 7, max: 40_000 }) }),
    { minLength: 1, maxLength: 6 },
  );
  await fc.assert(
    fc.asyncProperty(results, fc.infiniteStream(fc.nat()), async (wanted, order) => {
      const session = recorder.openSession();
      const running = wanted.map(({ bytes, pieceBytes }, at) => {
        const content = randomBytes(bytes);
        return { decision: at + 1, content, pieceBytes, at: 0 };
      });
      const ended = new Map<number, Buffer>();
      while (running.length > 0) {
        const index = order.next().value % running.length;
        const one = running[index]!;
        if (one.at < one.content.length) {
          session.appendResult(one.decision, one.content.subarray(one.at, one.at + one.pieceBytes));
          one.at += one.pieceBytes;
        } else {
          ended.set(session.appendCompleted({ ...completed, decision: one.decision }), one.content);
          running.splice(index, 1);
        }
      }
      session.close();
      await new Promise((resolve) => recorder.whenDurable('Collector', resolve));
      for (const [seq, content] of ended) {
        const found = await readBack(receiver, session.id, seq);
        expect(found.content.equals(content)).toBe(true);
        const isPart = content.length > 0 && content.length <= maxPartResultBytes;
        expect([found.part !== undefined, found.digests.length > 0]).toEqual([
          isPart,
          content.length > maxPartResultBytes,
        ]);
      }
    }),
    { numRuns: 60 },
  );
});

test('the same result has another digest each time, in chunks too: it cannot be guessed from it', async () => {
  const receiver = new MemoryReceiver();
  const recorder = start({ transport: receiver });
  const session = recorder.openSession();
  const bytes = Buffer.alloc(maxPartResultBytes + 1, 'salary=5000');
  const [first, second] = [
    await record(recorder, session, bytes),
    await record(recorder, session, bytes),
  ];
  const [one] = (await readBack(receiver, session.id, first)).digests;
  const [other] = (await readBack(receiver, session.id, second)).digests;
  expect(one).not.toBe(other);
  expect(openChunk(one!, receiver.recordings.get(other!)!)).toBeUndefined();
});

test('a part is durable with its event, and comes with it after a restart', async () => {
  const first = start();
  const session = first.openSession();
  session.appendResult(1, Buffer.from('rows'));
  const seq = session.appendCompleted(completed);
  await new Promise((resolve) => first.whenDurable('Disk', resolve));
  await first.close();
  const receiver = new MemoryReceiver();
  const second = start({ transport: receiver });
  await new Promise((resolve) => second.whenDurable('Collector', resolve));
  expect((await readBack(receiver, session.id, seq)).content.toString()).toBe('rows');
});

/** Fills the spool with results, of which the decisions begin at 2, until none begins any more. */
function fill(session: SessionRecorder): void {
  while (session.appendResult(2, randomBytes(1024 * 1024)) === undefined);
  const chunk = randomBytes(maxPartResultBytes + 1);
  for (let decision = 3; session.appendResult(decision, chunk) === undefined; decision += 1) {
    session.appendCompleted({ ...completed, decision });
  }
}

test('where there is no room for a result it is refused at its beginning, however small', () => {
  const recorder = start({ maxBytes: 16 * 1024 * 1024 });
  const session = recorder.openSession();
  fill(session);
  expect(session.appendResult(1000, Buffer.from('rows'))?.code).toBe('CHP-4007');
});

test('a small result whose room is taken meanwhile is given up, and its event is not', async () => {
  const first = start({ maxBytes: 16 * 1024 * 1024 });
  const session = first.openSession();
  expect(session.appendResult(1, Buffer.from('rows'))).toBeUndefined();
  fill(session);
  const seq = session.appendCompleted(completed);
  await first.close();
  const receiver = new MemoryReceiver();
  const second = start({ transport: receiver });
  await new Promise((resolve) => second.whenDurable('Collector', resolve));
  const found = await readBack(receiver, session.id, seq);
  expect([found.part, found.digests]).toEqual([undefined, []]);
});

test('a result that does not fit is refused while it streams, and the spool keeps its bound', () => {
  const recorder = start({ maxBytes: 16 * 1024 * 1024 });
  const session = recorder.openSession();
  let kept = 0;
  let failure: ReturnType<SessionRecorder['appendResult']>;
  for (; kept < 64 && failure === undefined; kept += 1) {
    failure = session.appendResult(1, randomBytes(1024 * 1024));
  }
  expect(failure?.code).toBe('CHP-4007');
  expect(kept).toBeLessThan(17);
  expect(recorder.state().spoolBytes).toBeLessThan(16 * 1024 * 1024);
  expect(session.appendResult(1, randomBytes(10))).toBe(failure);
});

test('chunks that an earlier process left are uploaded by the next', async () => {
  const first = start();
  const session = first.openSession();
  const content = randomBytes(600_000);
  session.appendResult(1, content);
  const seq = session.appendCompleted(completed);
  await first.close();
  const receiver = new MemoryReceiver();
  const second = start({ transport: receiver });
  await new Promise((resolve) => second.whenDurable('Collector', resolve));
  const found = await readBack(receiver, session.id, seq);
  expect(found.digests.length).toBeGreaterThan(1);
  expect(found.content.equals(content)).toBe(true);
});

test('no chunk is larger than a chunk, not even the index of a result of gigabytes', () => {
  const chunks: number[] = [];
  const buffer = Buffer.alloc(maxChunkBytes);
  const put = (chunk: Uint8Array): string => {
    chunks.push(chunk.length);
    return 'ab'.repeat(32);
  };
  const stream = new ResultStream(
    new ResultKeeper({ put, refusal: () => undefined, takeBuffer: () => buffer }, () => {}),
  );
  const piece = Buffer.alloc(maxChunkBytes - 17);
  for (let i = 0; i <= maxIndexedChunks; i += 1) stream.append(piece);
  expect(stream.end().digests).toHaveLength(2);
  expect(chunks.length).toBe(maxIndexedChunks + 3);
  expect(Math.max(...chunks)).toBeLessThanOrEqual(maxChunkBytes);
});
