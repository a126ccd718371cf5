/** Targets are found by DNS alone, whatever /etc/hosts says. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { hostname } from 'node:os';
import { type ManualClock, manualClock } from '@chaperone/runtime/clock.ts';
import {
  cachedDns,
  type Resolve,
} from '@chaperone/sidecar/protocols/postgres/handshake/resolve-host.ts';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

const typeA = 1;
const typeAAAA = 28;
const ok = 0;
const serverFailure = 2;
const noSuchName = 3;

interface Zone {
  readonly code?: number;
  readonly a?: readonly string[];
  readonly aaaa?: readonly string[];
  readonly aaaaCode?: number;
  readonly ttl?: number;
}

let server: Socket;
let zones: Record<string, Zone>;
/** Names asked for, each as `name type`. */
let asked: string[];
let clock: ManualClock;
let resolve: Resolve;
const never = new AbortController().signal;

beforeEach(async () => {
  zones = {};
  asked = [];
  server = createSocket('udp4');
  server.on('message', (query, from) => server.send(answer(query), from.port, from.address));
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  clock = manualClock();
  resolve = cachedDns({ clock, servers: [`127.0.0.1:${server.address().port}`] });
});
afterEach(() => void server.close());

function answer(query: Buffer): Buffer {
  const labels: string[] = [];
  let at = 12;
  while (query[at] !== 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + query[at]!));
    at += 1 + query[at]!;
  }
  const type = query.readUInt16BE(at + 1);
  const name = labels.join('.');
  asked.push(`${name} ${type === typeA ? 'A' : 'AAAA'}`);
  const zone = zones[name] ?? { code: noSuchName };
  const addresses = (type === typeA ? zone.a : zone.aaaa) ?? [];
  const code = (type === typeAAAA ? zone.aaaaCode : undefined) ?? zone.code ?? ok;
  const records = addresses.map((address) => {
    const data = type === typeA ? Buffer.from(address.split('.').map(Number)) : ipv6(address);
    const head = Buffer.alloc(12);
    head.writeUInt16BE(0xc00c, 0); // the name of the question
    head.writeUInt16BE(type, 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt32BE(zone.ttl ?? 30, 6);
    head.writeUInt16BE(data.length, 10);
    return Buffer.concat([head, data]);
  });
  const header = Buffer.alloc(12);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(0x8180 | code, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  return Buffer.concat([header, query.subarray(12, at + 5), ...records]);
}

/** `fd00::7` alone. */
function ipv6(address: string): Buffer {
  const [head, tail] = address.split('::') as [string, string];
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16BE(Number.parseInt(head, 16), 0);
  bytes.writeUInt16BE(Number.parseInt(tail, 16), 14);
  return bytes;
}

describe('addresses', () => {
  test('all of them, IPv4 first', async () => {
    zones['orders.data.svc'] = { a: ['10.0.0.7', '10.0.0.8'], aaaa: ['fd00::7'] };
    expect(await resolve('orders.data.svc', never)).toEqual(['10.0.0.7', '10.0.0.8', 'fd00::7']);
  });

  test.each<[string, Zone, string[]]>([
    ['IPv6 alone', { aaaa: ['fd00::7'] }, ['fd00::7']],
    ['IPv4 alone', { a: ['10.0.0.7'] }, ['10.0.0.7']],
    ['no answer about IPv6', { a: ['10.0.0.7'], aaaaCode: serverFailure }, ['10.0.0.7']],
  ])('%s', async (_name, zone, expected) => {
    zones['orders.data.svc'] = zone;
    expect(await resolve('orders.data.svc', never)).toEqual(expected);
  });

  test('a name that is not there is an error, and nothing is tried behind it', async () => {
    await expect(resolve('orders.data.svc', never)).rejects.toMatchObject({ code: 'ENOTFOUND' });
    expect(new Set(asked)).toEqual(new Set(['orders.data.svc A', 'orders.data.svc AAAA']));
  });

  test('a name of /etc/hosts is asked for all the same', async () => {
    zones[hostname()] = { a: ['10.9.9.9'] };
    expect(await resolve(hostname(), never)).toEqual(['10.9.9.9']);
  });

  test('the search ends with the signal', async () => {
    server.removeAllListeners('message');
    const abort = new AbortController();
    const searching = resolve('orders.data.svc', abort.signal);
    abort.abort();
    await expect(searching).rejects.toMatchObject({ code: 'ECANCELLED' });
  });
});

test('the short form of a Service is completed', async () => {
  const servers = [`127.0.0.1:${server.address().port}`];
  const within = cachedDns({ clock, servers, clusterDomain: 'cluster.local' });
  zones['orders.data.svc.cluster.local'] = { a: ['10.0.0.7'] };
  zones['db.example.com'] = { a: ['192.0.2.7'] };
  expect(await within('orders.data.svc', never)).toEqual(['10.0.0.7']);
  expect(await within('orders.data.svc.cluster.local', never)).toEqual(['10.0.0.7']);
  expect(await within('db.example.com', never)).toEqual(['192.0.2.7']);
});

describe('how long they hold', () => {
  test('as the records say', async () => {
    zones['orders.data.svc'] = { a: ['10.0.0.7'], ttl: 5 };
    await resolve('orders.data.svc', never);
    zones['orders.data.svc'] = { a: ['10.0.0.8'], ttl: 5 };
    clock.advance(4999);
    expect(await resolve('orders.data.svc', never)).toEqual(['10.0.0.7']);
    clock.advance(1);
    expect(await resolve('orders.data.svc', never)).toEqual(['10.0.0.8']);
  });

  test('a minute at most', async () => {
    zones['orders.data.svc'] = { a: ['10.0.0.7'], ttl: 86_400 };
    await resolve('orders.data.svc', never);
    zones['orders.data.svc'] = { a: ['10.0.0.8'], ttl: 86_400 };
    clock.advance(60_000);
    expect(await resolve('orders.data.svc', never)).toEqual(['10.0.0.8']);
  });

  test('what was not found is asked for again', async () => {
    await expect(resolve('orders.data.svc', never)).rejects.toThrow();
    zones['orders.data.svc'] = { a: ['10.0.0.7'] };
    expect(await resolve('orders.data.svc', never)).toEqual(['10.0.0.7']);
  });
});
