import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { manualClock } from '@chaperone/runtime/clock.ts';
import { describe, expect, test } from '@jest/globals';
import { endWhenWritten, endWith } from './end-with.ts';

/** A connection whose peer takes what is written only when it is told to. */
function connection(): { socket: Socket; taken: string[]; take: () => void } {
  const taken: string[] = [];
  const waiting: (() => void)[] = [];
  const duplex = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      waiting.push(() => {
        taken.push(chunk.toString());
        done();
      });
    },
  });
  const take = (): void => {
    while (waiting.length > 0) waiting.shift()!();
  };
  return { socket: duplex as unknown as Socket, taken, take };
}

describe.each([
  [
    'endWith',
    (socket: Socket, clock = manualClock()) => endWith(socket, Buffer.from('last'), clock),
  ],
  [
    'endWhenWritten',
    (socket: Socket, clock = manualClock()) => endWhenWritten(socket, clock, Buffer.from('last')),
  ],
])('%s', (_, end) => {
  test('closes although the peer takes nothing', () => {
    const clock = manualClock();
    const { socket } = connection();
    socket.write('first');
    end(socket, clock);
    expect(socket.destroyed).toBe(false);
    clock.advance(1000);
    expect(socket.destroyed).toBe(true);
  });

  test('writes all before that, and leaves no timer', async () => {
    const clock = manualClock();
    const { socket, taken, take } = connection();
    socket.write('first');
    end(socket, clock);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    while (taken.length < 2) {
      take();
      await new Promise(setImmediate);
    }
    expect(taken).toEqual(['first', 'last']);
    socket.push(null); // The peer closes, too.
    await closed;
    expect(clock.pendingTimers()).toBe(0);
  });
});

test('a connection that is closed already stays so', () => {
  const clock = manualClock();
  const { socket } = connection();
  socket.destroy();
  endWhenWritten(socket, clock, Buffer.from('last'));
  expect([socket.destroyed, clock.pendingTimers()]).toEqual([true, 0]);
});
