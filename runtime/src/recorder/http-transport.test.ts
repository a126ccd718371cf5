import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { zstdDecompressSync } from 'node:zlib';
import { afterEach, expect, test } from '@jest/globals';
import { systemClock } from '../clock.ts';
import { httpTransport } from './http-transport.ts';
import { batchOf, someSession } from './testing.ts';
import { ShipRefused } from './transport.ts';

let server: Server | undefined;
afterEach(() => new Promise<void>((resolve) => server!.close(() => resolve())));

/** What comes of shipping to a collector that answers so. */
async function shipTo(
  answer: RequestListener,
  batch = batchOf(someSession, [1]),
): Promise<unknown> {
  server = createServer(answer);
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
  const transport = httpTransport({
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    token: () => 'token',
    clock: systemClock(),
  });
  try {
    return await transport.ship(batch, new AbortController().signal);
  } catch (error) {
    return error;
  } finally {
    transport.close();
  }
}

const answering =
  (status: number): RequestListener =>
  (_request, response) =>
    void response.writeHead(status).end('{}');

test.each([400, 409, 413, 422])(
  '%d is of the events themselves: they are refused',
  async (status) => {
    expect(await shipTo(answering(status))).toBeInstanceOf(ShipRefused);
  },
);

test.each([
  [401, 'CHP-6004'],
  [403, 'CHP-6004'],
  [404, 'CHP-6009'],
  // An earlier version that does not know our encoding, as after a rollback: another one may.
  [415, 'CHP-6009'],
  [500, 'CHP-6009'],
  [503, 'CHP-6009'],
])('%d passes: the events are tried again', async (status, code) => {
  const error = await shipTo(answering(status));
  expect(error).not.toBeInstanceOf(ShipRefused);
  expect(error).toMatchObject({ code });
});

test.each([
  ['a few events go as they are', 3, undefined],
  ['many go compressed', 300, 'zstd'],
])('%s', async (_name, count, encoding) => {
  const batch = batchOf(
    someSession,
    Array.from({ length: count }, (_, index) => index + 1),
  );
  const came: { encoding: string | undefined; body: Buffer }[] = [];
  const acknowledged = await shipTo(async (request, response) => {
    came.push({ encoding: request.headers['content-encoding'], body: await buffer(request) });
    response.end(JSON.stringify({ acknowledged: count }));
  }, batch);
  expect(acknowledged).toBe(count);
  expect(came.map((one) => one.encoding)).toEqual([encoding]);
  const { body } = came[0]!;
  expect(encoding === undefined ? body : zstdDecompressSync(body)).toEqual(batch.frames());
});
