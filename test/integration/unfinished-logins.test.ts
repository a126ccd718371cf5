/** Callers who never finish their login, and those who send what is none: what they can take from others. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import type { ControlClient } from '@chaperone/core/control/types.ts';
import type { ProtocolViolation } from '@chaperone/core/events/types.ts';
import { systemClock } from '@chaperone/runtime/clock.ts';
import { createLogger } from '@chaperone/runtime/logging/logger.ts';
import { createRegistry } from '@chaperone/runtime/metrics/metrics.ts';
import { Gateway } from '@chaperone/sidecar/gateway.ts';
import { ProxyMetrics } from '@chaperone/sidecar/metrics.ts';
import { parseErrorFields } from '@chaperone/sidecar/protocols/postgres/messages/backend-reader.ts';
import * as client from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

const max = 4;
const clock = systemClock();
let registry: ReturnType<typeof createRegistry>;
let gateway: Gateway;
let port: number;
let recorded: ProtocolViolation[];
let asked: string[];
let authenticate: ControlClient['authenticate'];
let sockets: Socket[];

beforeEach(async () => {
  registry = createRegistry('gateway', 'test');
  recorded = [];
  asked = [];
  sockets = [];
  authenticate = () => Promise.reject(new Error('not asked for'));
  const control: ControlClient = {
    proof: 'Password',
    authenticate: (...proof) => authenticate(...proof),
    bundle: () => void asked.push('bundle'),
    subscribe: () => () => {},
    isStale: () => false,
    lease: () => Promise.reject(new Error('none')),
    reportBackend: () => {},
  };
  const recorder = {
    openSession: () => ({
      append: (event: ProtocolViolation) => recorded.push(event),
      close: () => {},
    }),
  };
  gateway = new Gateway({
    control,
    recorder: recorder as never,
    metrics: new ProxyMetrics(registry),
    clock,
    logger: createLogger({ program: 'test', level: 'silent', clock }),
    maxUnfinishedLogins: max,
  });
  const listen = { host: '127.0.0.1', port: 0 };
  const addresses = await gateway.setTargets([{ uid: 'uid', name: 'data/orders', listen }]);
  port = (addresses.get('uid') as { port: number }).port;
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await gateway.close();
});

interface Caller {
  readonly socket: Socket;
  received(): Buffer;
  /** Resolves with all that was received, once it is closed. */
  readonly closed: Promise<Buffer>;
}

/** Connects from one of the machine's loopback addresses; what is `said` first is on its way. */
async function call(localAddress: string, said?: Uint8Array): Promise<Caller> {
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  sockets.push(socket);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => {});
  const closed = new Promise<Buffer>((resolve) => {
    socket.once('close', () => resolve(Buffer.concat(chunks)));
  });
  await once(socket, 'connect');
  if (said !== undefined) socket.write(said);
  return { socket, received: () => Buffer.concat(chunks), closed };
}

const startup = client.startupMessage(0, [
  ['user', 'nightly'],
  ['database', 'shop'],
]);

/** As far as the question for its password. */
async function atLogin(localAddress: string): Promise<Caller> {
  const caller = await call(localAddress, startup);
  while (caller.received().length < 9) await once(caller.socket, 'data');
  expect(caller.received().toString('latin1', 0, 1)).toBe('R');
  return caller;
}

async function metric(line: string): Promise<string | undefined> {
  const lines = (await registry.metrics()).split('\n');
  return lines.find((one) => one.startsWith(`${line} `))?.slice(line.length + 1);
}

describe('callers who do not finish', () => {
  test('are as many as may be; who comes then is told so in the protocol’s words', async () => {
    for (let count = 0; count < max; count += 1) await atLogin('127.0.0.2');
    expect(await metric('chaperone_unfinished_logins')).toBe(`${max}`);
    const answer = await (await call('127.0.0.2', startup)).closed;
    expect(answer.toString('latin1', 0, 1)).toBe('E');
    expect(Object.fromEntries(parseErrorFields(answer, 5, answer.length))).toMatchObject({
      S: 'FATAL',
      C: '53300',
      M: expect.stringContaining('CHP-5009'),
    });
    expect(await metric('chaperone_logins_turned_away_total{how="Refused"}')).toBe('1');
  });

  test('of one address make room for those of others', async () => {
    const many = [];
    for (let count = 0; count < max; count += 1) many.push(await atLogin('127.0.0.2'));
    const others = [await atLogin('127.0.0.3'), await atLogin('127.0.0.4')];
    await Promise.all([many[0]!.closed, many[1]!.closed]);
    expect([...many.slice(2), ...others].map(({ socket }) => socket.closed)).toEqual(
      Array(4).fill(false),
    );
    expect(await metric('chaperone_logins_turned_away_total{how="Evicted"}')).toBe('2');
    expect(await metric('chaperone_unfinished_logins')).toBe(`${max}`);
  });

  test('make room while their proof is looked at, too, and it helps them no more', async () => {
    const looked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<never>();
    authenticate = () => {
      looked.resolve();
      return answer.promise;
    };
    const first = await atLogin('127.0.0.2');
    first.socket.write(client.passwordMessage('secret'));
    await looked.promise;
    for (let count = 1; count < max; count += 1) await atLogin('127.0.0.2');
    await atLogin('127.0.0.3');
    await first.closed;
    answer.resolve({ identityUid: 'i', proof: { method: 'Ticket', ticket: 't' } } as never);
    await atLogin('127.0.0.4');
    expect(asked).toEqual([]);
  });

  test('count no more when they are gone', async () => {
    for (let count = 0; count < 3 * max; count += 1) {
      const { socket, closed } = await atLogin('127.0.0.2');
      socket.destroy();
      await closed;
      while ((await metric('chaperone_unfinished_logins')) !== '0') await turn();
    }
    expect(await metric('chaperone_logins_turned_away_total{how="Refused"}')).toBe('0');
  });
});

describe('what is no login', () => {
  const garbage = Buffer.from('GET / HTTP/1.1\r\n\r\n');

  test('is counted, and recorded once and then by its number', async () => {
    for (let count = 0; count < 20; count += 1) await (await call('127.0.0.2', garbage)).closed;
    await (await call('127.0.0.3', garbage)).closed;
    expect(await metric('chaperone_protocol_violations_total{side="Client"}')).toBe('21');
    expect(recorded.map(({ address, count }) => [address, count])).toEqual([
      ['127.0.0.2', undefined],
      ['127.0.0.3', undefined],
    ]);
    await gateway.close();
    expect(recorded.slice(2)).toEqual([{ ...recorded[0], address: '127.0.0.2', count: 19 }]);
  });

  test('is the same in the place of a password', async () => {
    for (let count = 0; count < 3; count += 1) {
      const caller = await atLogin('127.0.0.2');
      caller.socket.write(client.query('SELECT 1'));
      await caller.closed;
    }
    expect(recorded).toHaveLength(1);
    expect(recorded[0]).toMatchObject({ side: 'Client', code: 'UnexpectedMessage' });
  });
});
