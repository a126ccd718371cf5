/** Moving a connection to a socket with a read buffer of its own: nothing is lost, doubled or reordered. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rehouse } from '@chaperone/sidecar/protocols/postgres/handshake/rehouse.ts';
import { describe, expect, test } from '@jest/globals';

/** A connected pair over TCP or over a UNIX socket. */
async function pair(
  directory: string | undefined,
): Promise<{ near: Socket; far: Socket; close(): void }> {
  const server = createServer({ allowHalfOpen: true });
  if (directory === undefined) server.listen(0, '127.0.0.1');
  else server.listen(join(directory, 'socket'));
  await once(server, 'listening');
  const address = server.address();
  const far =
    typeof address === 'string'
      ? connect({ path: address, allowHalfOpen: true })
      : connect({ port: (address as { port: number }).port, allowHalfOpen: true });
  const [near] = (await once(server, 'connection')) as [Socket];
  return { near, far, close: () => server.close() };
}

describe.each(['TCP', 'UNIX'])('over %s', (kind) => {
  test('bytes before, between and after arrive once and in order; writes go on; so does the end', async () => {
    const directory =
      kind === 'UNIX' ? mkdtempSync(join(tmpdir(), 'chaperone-rehouse-')) : undefined;
    try {
      const { near, far, close } = await pair(directory);
      const sent = Buffer.alloc(3_000_000, 'abcdefghijklmnopqrstuvwxyz0123456789');
      let got = Buffer.alloc(0);
      far.write(sent.subarray(0, 1_000_000));
      const [first] = (await once(near, 'data')) as [Buffer];
      near.pause();
      got = Buffer.concat([got, first]);
      await new Promise(setImmediate); // the old socket reads on into its own buffer meanwhile
      const chunks: Buffer[] = [];
      const buffer = Buffer.alloc(65_536);
      const moved = rehouse(near, {
        buffer,
        callback: (bytes) => {
          chunks.push(Buffer.from(buffer.subarray(0, bytes)));
          return true;
        },
      })!;
      got = Buffer.concat([got, moved.pending]);
      await new Promise(setImmediate);
      expect(chunks).toHaveLength(0); // paused
      const ended = once(moved.socket, 'end');
      moved.socket.resume();
      const answered = once(far, 'data');
      far.end(sent.subarray(1_000_000));
      await ended;
      expect(Buffer.concat([got, ...chunks]).equals(sent)).toBe(true);
      moved.socket.end('answer');
      expect(String((await answered)[0])).toBe('answer');
      close();
    } finally {
      if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
    }
  });

  test('pausing holds the peer back', async () => {
    const directory =
      kind === 'UNIX' ? mkdtempSync(join(tmpdir(), 'chaperone-rehouse-')) : undefined;
    try {
      const { near, far, close } = await pair(directory);
      near.pause();
      let bytes = 0;
      const arrived = Promise.withResolvers<void>();
      const moved = rehouse(near, {
        buffer: Buffer.alloc(65_536),
        callback: (count) => {
          bytes += count;
          arrived.resolve();
          moved.socket.pause();
          return false;
        },
      })!;
      moved.socket.resume();
      far.write(Buffer.alloc(50_000_000));
      await arrived.promise;
      for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
      expect(bytes).toBeLessThanOrEqual(65_536);
      expect(far.writableLength).toBeGreaterThan(0);
      moved.socket.destroy();
      far.destroy();
      close();
    } finally {
      if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
    }
  });

  test('a connection that is over is not moved', async () => {
    const directory =
      kind === 'UNIX' ? mkdtempSync(join(tmpdir(), 'chaperone-rehouse-')) : undefined;
    try {
      const { near, far, close } = await pair(directory);
      near.destroy();
      expect(rehouse(near, { buffer: Buffer.alloc(1), callback: () => true })).toBeUndefined();
      far.destroy();
      close();
    } finally {
      if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
    }
  });
});
