import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { limitConnections } from './connection-limit.ts';

let server: Server;
let clients: Socket[];

beforeEach(async () => {
  clients = [];
  server = createServer(() => {});
  limitConnections(server, 4);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterEach(async () => {
  for (const client of clients) client.destroy();
  server.close();
  await once(server, 'close');
});

/** Connects from one of the machine's loopback addresses; resolves when the server has it, or has ended it. */
async function open(localAddress: string): Promise<Socket> {
  const { port } = server.address() as AddressInfo;
  const accepted = once(server, 'connection');
  const client = connect({ port, host: '127.0.0.1', localAddress });
  client.on('error', () => {});
  client.resume();
  clients.push(client);
  await accepted;
  return client;
}

const isOpen = async (client: Socket): Promise<boolean> => {
  await new Promise((resolve) => setTimeout(resolve, 100));
  return !client.destroyed;
};

test('whoever has the most makes room for others, again and again', async () => {
  const greedy = [];
  for (let at = 0; at < 4; at += 1) greedy.push(await open('127.0.0.2'));
  const more = await open('127.0.0.2');
  expect(await isOpen(more)).toBe(false);
  const probe = await open('127.0.0.3');
  expect(await isOpen(probe)).toBe(true);
  expect(await Promise.all(greedy.map(isOpen))).toEqual([false, true, true, true]);
  const another = await open('127.0.0.4');
  expect(await isOpen(another)).toBe(true);
  expect(await isOpen(probe)).toBe(true);
  await open('127.0.0.2');
  expect(await isOpen(probe)).toBe(true);
});

test('what is closed counts no more', async () => {
  for (let at = 0; at < 12; at += 1) {
    const client = await open('127.0.0.2');
    expect(await isOpen(client)).toBe(true);
    client.destroy();
    await once(client, 'close');
  }
  expect(await isOpen(await open('127.0.0.2'))).toBe(true);
});
