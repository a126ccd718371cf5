import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { type ManualClock, manualClock } from '@chaperone/runtime/clock.ts';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { StreamEnd } from './event-stream.ts';
import type { PolicyState } from './policy-state.ts';
import { StreamHub } from './stream-hub.ts';

let clock: ManualClock;
let fresh: boolean;
let change: () => void;
let ends: (StreamEnd | undefined)[];
let hub: StreamHub;
/** What each reader was told, in order, as `READER VERSION`. */
let told: string[];
let version: number;
/** What making one reader's content takes. */
let workMs: number;
let workedMs: number;

beforeEach(() => {
  clock = manualClock();
  fresh = true;
  ends = [];
  told = [];
  version = 1;
  workMs = 0;
  workedMs = 0;
  const state = {
    versions: {},
    complete: {},
    onChange(listener: () => void) {
      change = () => {
        version += 1;
        listener();
      };
      return () => {};
    },
  } as unknown as PolicyState;
  hub = new StreamHub({
    state,
    // Work takes time, and no timer fires meanwhile.
    clock: { ...clock, monotonicUs: () => clock.monotonicUs() + workedMs * 1000 },
    fresh: () => fresh,
    onEnd: (_, cause) => void ends.push(cause),
    onError: (error) => {
      throw error;
    },
  });
});

afterEach(() => {
  hub.close();
  gonePods.clear();
});

const gonePods = new Set<string>();

/** Opens a stream of that reader, and returns its end of the connection. */
function open(
  reader: string,
  options: { takes?: boolean; expiresMs?: number; max?: number; gone?: boolean } = {},
) {
  const emitter = new EventEmitter();
  const response = Object.assign(emitter, {
    destroyed: options.gone ?? false,
    writableEnded: false,
    takes: options.takes ?? true,
    beats: 0,
    writeHead() {},
    flushHeaders() {},
    write(text: string) {
      if (text.startsWith('event: heartbeat')) this.beats += 1;
      return this.takes;
    },
    end() {
      this.writableEnded = true;
      emitter.emit('close');
    },
    destroy() {
      this.destroyed = true;
      emitter.emit('close');
    },
  });
  hub.open(
    {
      name: 'policy',
      response: response as unknown as ServerResponse,
      source: reader.slice(0, 1),
      sourceGone: () => gonePods.has(reader.slice(0, 1)),
      expiresMs: options.expiresMs ?? Number.POSITIVE_INFINITY,
      held: {},
      content: () => {
        workedMs += workMs;
        told.push(`${reader} ${version}`);
        return { key: `${version}`, fields: '' };
      },
      onSnapshot: () => {},
    },
    options.max ?? 4,
  );
  return response;
}

describe('changes', () => {
  test('in a burst are told as one', () => {
    open('a');
    for (let round = 0; round < 10; round += 1) {
      clock.advance(1);
      change();
    }
    clock.advance(20);
    expect(told).toEqual(['a 1', 'a 11']);
  });

  test('that take long to tell leave room for others, and what changes meanwhile is told to all', () => {
    for (const reader of ['a', 'b', 'c']) open(reader);
    told = [];
    workMs = 15;
    change();
    // Two readers are a slice; the third has its turn after what else is due.
    let due: string[] = [];
    clock.setTimer(20, () => {
      due = told;
      told = [];
      change();
    });
    clock.advance(20);
    expect([due, told]).toEqual([['a 2', 'b 2'], ['c 3']]);
    clock.advance(44);
    expect(told).toEqual(['c 3']);
    clock.advance(1);
    expect(told).toEqual(['c 3', 'a 3', 'b 3', 'c 3']);
  });
});

describe('a stream ends', () => {
  test('when its token is over', () => {
    const response = open('a', { expiresMs: clock.nowMs() + 1500 });
    clock.advance(1000);
    expect(response.writableEnded).toBe(false);
    clock.advance(1000);
    expect([response.writableEnded, ends]).toEqual([true, ['TokenOver']]);
  });

  test('when it is not read for 30 s', () => {
    const response = open('a', { takes: false });
    clock.advance(29_000);
    expect(response.destroyed).toBe(false);
    clock.advance(1000);
    expect([response.destroyed, ends]).toEqual([true, ['Slow']]);
  });

  test('when its source has opened more than it may, the oldest first', () => {
    const first = open('a1', { max: 2 });
    const other = open('b', { max: 2 });
    const second = open('a2', { max: 2 });
    open('a3', { max: 2 });
    expect([first, second, other].map(({ writableEnded }) => writableEnded)).toEqual([
      true,
      false,
      false,
    ]);
    expect(ends).toEqual(['Displaced']);
  });

  test('when this replica is not up to date', () => {
    const response = open('a');
    fresh = false;
    clock.advance(1000);
    expect([response.writableEnded, response.beats, ends]).toEqual([true, 0, ['Stale']]);
  });

  test('at once for a reader that has gone before', () => {
    open('a', { gone: true });
    expect([ends, told, [...hub.streams]]).toEqual([[undefined], [], []]);
  });

  test('when its pod is gone, and no other’s with it', () => {
    const [one, other] = [open('a'), open('b')];
    clock.advance(1000);
    expect([one.writableEnded, other.writableEnded]).toEqual([false, false]);
    gonePods.add('a');
    clock.advance(1000);
    expect([one.writableEnded, other.writableEnded]).toEqual([true, false]);
    expect(ends).toEqual(['SourceGone']);
  });

  test('when the reader goes, and is not counted as ended here', () => {
    const response = open('a');
    response.emit('close');
    expect([ends, [...hub.streams]]).toEqual([[undefined], []]);
    change();
    clock.advance(20);
    expect(told).toEqual(['a 1']);
  });
});

test('heartbeats come every 5 s, but to who takes nothing', () => {
  const [taking, blocked] = [open('a'), open('b', { takes: false })];
  clock.advance(20_000);
  expect([taking.beats, blocked.beats]).toEqual([4, 0]);
  blocked.takes = true;
  change();
  clock.advance(20);
  told = [];
  blocked.emit('drain');
  expect(told).toEqual(['b 2']);
  clock.advance(5000);
  expect(blocked.beats).toBe(1);
});
