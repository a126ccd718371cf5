import { connect, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { ControlRefusal } from '@chaperone/core/control/types.ts';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import Fastify, { type FastifyInstance } from 'fastify';
import { tokenOf } from '../policy-api/routes.ts';
import type { TokenBearer } from '../policy-api/tokens.ts';
import type { Relay } from './relay.ts';
import { relayRoutes } from './relay-routes.ts';
import type { RelayedBatch } from './relay-store.ts';

const path = '/v1/relay/sessions/01890a5d-ac96-774b-bcce-b302099a8057/events';
const body = gzipSync('{}\n');

let server: FastifyInstance;
let port: number;
let taken: RelayedBatch[];
let shown: number;
let onShown: () => void;
const sockets: Socket[] = [];

beforeEach(async () => {
  taken = [];
  shown = 0;
  onShown = () => {};
  server = Fastify() as unknown as FastifyInstance;
  const relay = { take: (batch: RelayedBatch) => taken.push(batch) > 0 } as unknown as Relay;
  relayRoutes(server, {
    relay,
    tokenOf,
    // A token is the name of its namespace.
    async verifyIngest(token) {
      shown += 1;
      onShown();
      if (token === 'none') throw new ControlRefusal('CHP-2007', 'not valid', 'attest');
      return { sub: `pod of ${token}`, namespace: token } as TokenBearer;
    },
  });
  await server.listen({ host: '127.0.0.1', port: 0 });
  port = (server.server.address() as { port: number }).port;
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server.close();
});

/** Begins to hand over, and sends none of the body. */
function beginSlowly(namespace: string): void {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.on('error', () => {});
  sockets.push(socket);
  const headers = [
    `POST ${path} HTTP/1.1`,
    'host: relay',
    `authorization: Bearer ${namespace}`,
    'content-type: application/x-ndjson',
    'content-encoding: gzip',
    `content-length: ${body.length}`,
  ];
  socket.write(`${headers.join('\r\n')}\r\n\r\n`);
}

const handOver = (namespace: string): Promise<Response> =>
  fetch(`http://127.0.0.1:${port}${path}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${namespace}`,
      'content-type': 'application/x-ndjson',
      'content-encoding': 'gzip',
    },
    body,
  });

/** Resolves once `count` requests in all have shown their token, before they have room. */
const allShown = (count: number): Promise<void> =>
  new Promise((resolve) => {
    onShown = () => {
      if (shown === count) resolve();
    };
  });

test('a namespace whose programs send slowly keeps out no other', async () => {
  const begun = allShown(20);
  for (let at = 0; at < 20; at += 1) beginSlowly('slow');
  await begun;
  const answers = await Promise.all(['one', 'two', 'three'].map(handOver));
  expect(answers.map(({ status }) => status)).toEqual([202, 202, 202]);
  expect(taken.map(({ namespace }) => namespace).sort()).toEqual(['one', 'three', 'two']);
});

test.each([
  ['done', (socket: Socket) => void socket.write(body), 2],
  ['gone', (socket: Socket) => void socket.destroy(), 1],
])('who waits has its turn when another is %s', async (_, end, handedOver) => {
  const begun = allShown(4);
  for (let at = 0; at < 4; at += 1) beginSlowly('slow');
  await begun;
  const waits = allShown(5);
  const waiting = handOver('slow');
  await waits;
  end(sockets[0]!);
  expect((await waiting).status).toBe(202);
  expect(taken).toHaveLength(handedOver);
});
