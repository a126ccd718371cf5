import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { systemClock } from '../clock.ts';
import { httpTransport } from './http-transport.ts';
import { batchOf, someSession } from './testing.ts';
import { ShipRefused } from './transport.ts';

let server: Server | undefined;
afterEach(() => new Promise<void>((resolve) => server!.close(() => resolve())));

/** What comes of shipping to a collector that answers so. */
async function shipTo(status: number): Promise<unknown> {
  server = createServer((_request, response) => response.writeHead(status).end('{}'));
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
  const transport = httpTransport({
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    token: () => 'token',
    clock: systemClock(),
  });
  try {
    return await transport.ship(batchOf(someSession, [1]), new AbortController().signal);
  } catch (error) {
    return error;
  } finally {
    transport.close();
  }
}

test.each([400, 409, 413, 422])(
  '%d is of the events themselves: they are refused',
  async (status) => {
    expect(await shipTo(status)).toBeInstanceOf(ShipRefused);
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
  const error = await shipTo(status);
  expect(error).not.toBeInstanceOf(ShipRefused);
  expect(error).toMatchObject({ code });
});
