import { randomBytes, randomFillSync } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  maxChunkBytes,
  maxIndexedChunks,
  maxListedChunks,
  openChunk,
  recordedContent,
} from '@chaperone/core/events/recording.ts';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { manualClock } from '../clock.ts';
import { MemoryReceiver } from './memory-receiver.ts';
import type { RecorderOptions, SpoolRecorder } from './options.ts';
import { createRecorder } from './recorder.ts';
import { ResultStream } from './result-stream.ts';
import type { SessionRecorder } from './types.ts';

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

/** Records `content` in pieces and waits until the collector has it. */
async function record(recorder: SpoolRecorder, session: SessionRecorder, content: Uint8Array) {
  for (let at = 0; at < content.length; at += 100_000) {
    expect(session.appendResult(1, content.subarray(at, at + 100_000))).toBeUndefined();
  }
  const digests = session.endResult(1);
  const failure = await new Promise((resolve) => recorder.whenDurable('Collector', resolve));
  expect(failure).toBeUndefined();
  return digests;
}

async function readBack(receiver: MemoryReceiver, digests: readonly string[]): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of recordedContent(digests, async (sha) => receiver.recordings.get(sha))) {
    pieces.push(piece!);
  }
  return Buffer.concat(pieces);
}

test.each([
  ['nothing', 0, 0],
  ['one byte', 1, 1],
  ['just a chunk', maxChunkBytes - 17, 1],
  ['a chunk and a byte', maxChunkBytes - 16, 2],
  ['as many as are listed', (maxChunkBytes - 17) * maxListedChunks, maxListedChunks],
  ['one more, behind an index', (maxChunkBytes - 17) * maxListedChunks + 1, 1],
])('%s comes back byte for byte', async (_name, bytes, listed) => {
  const receiver = new MemoryReceiver();
  const recorder = start({ transport: receiver });
  const session = recorder.openSession();
  const content = Buffer.alloc(bytes, randomBytes(1009));
  const digests = await record(recorder, session, content);
  expect(digests).toHaveLength(listed);
  expect((await readBack(receiver, digests)).equals(content)).toBe(true);
  for (const chunk of receiver.recordings.values()) {
    expect(chunk.length).toBeLessThanOrEqual(maxChunkBytes);
  }
  expect(readdirSync(join(directory, 'recordings'))).toEqual([]);
});

test('the same short result has another digest each time: it cannot be guessed from it', async () => {
  const receiver = new MemoryReceiver();
  const recorder = start({ transport: receiver });
  const session = recorder.openSession();
  const [first] = await record(recorder, session, Buffer.from('salary=5000'));
  const [second] = await record(recorder, session, Buffer.from('salary=5000'));
  expect(first).not.toBe(second);
  expect(openChunk(first!, receiver.recordings.get(second!)!)).toBeUndefined();
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
  const digests = session.endResult(1);
  await first.close();
  const receiver = new MemoryReceiver();
  const second = start({ transport: receiver });
  await new Promise((resolve) => second.whenDurable('Collector', resolve));
  expect((await readBack(receiver, digests)).equals(content)).toBe(true);
});

test('no chunk is larger than a chunk, not even the index of a result of gigabytes', () => {
  const chunks: number[] = [];
  const stream = new ResultStream(
    (chunk) => {
      chunks.push(chunk.length);
      return 'ab'.repeat(32);
    },
    () => {},
  );
  const piece = Buffer.alloc(maxChunkBytes - 17);
  for (let i = 0; i <= maxIndexedChunks; i += 1) stream.append(piece);
  expect(stream.end()).toHaveLength(2);
  expect(chunks.length).toBe(maxIndexedChunks + 3);
  expect(Math.max(...chunks)).toBeLessThanOrEqual(maxChunkBytes);
});
