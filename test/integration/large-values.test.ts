/**
 * Hundreds of megabytes in either direction, and peers that do not read or do not write on: the proxy holds
 * little of it. It runs as a program of its own, so that the kernel can say what it ever held (Linux).
 */

import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { masking, policy } from '../support/chaperone.ts';
import { ChildChaperone } from '../support/child-chaperone.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { RawClient } from '../support/raw-client.ts';

const mebibyte = 1024 * 1024;
/** What it needs without any of this is about 130 MiB; a value or result held whole would add 200 to it. */
const boundMiB = 320;
const readyForQuery = Buffer.from('Z\0\0\0\x05I', 'latin1');

let postgres: TestPostgres;
let chaperone: ChildChaperone;

beforeAll(async () => {
  postgres = await startPostgres({ version: 18 });
  await postgres.query('CREATE DATABASE large');
  await postgres.query('CREATE TABLE lines (line text)', [], 'large');
  await postgres.query('CREATE TABLE people (id int, ssn text, notes text)', [], 'large');
  await postgres.query(
    "INSERT INTO people SELECT n, '900-00-' || n, repeat('x', 900) FROM generate_series(1, 1000) AS n",
    [],
    'large',
  );
});
afterAll(() => postgres?.stop());

beforeEach(async () => {
  chaperone = await ChildChaperone.start({
    postgres,
    resources: [
      policy('p', [
        {
          name: 'all',
          action: 'Allow',
          classes: ['Read', 'Write', 'Export', 'Session'],
          resources: ['large.**'],
        },
      ]),
      masking('ssn', {
        columns: ['large.public.people.ssn'],
        transform: { type: 'Partial', keepLast: 2 },
      }),
    ],
  });
});
afterEach(() => chaperone?.stop());

const maybe = existsSync('/proc/self/status') ? describe : describe.skip;

function expectBounded(): void {
  expect(chaperone.memory().peakMiB).toBeLessThan(boundMiB);
}

async function raw(): Promise<RawClient> {
  return RawClient.login(await chaperone.connection('large'));
}

/** Resolves when a session of the server waits for that. */
async function untilWaiting(event: string): Promise<void> {
  for (;;) {
    const { rows } = await postgres.query(
      "SELECT 1 FROM pg_stat_activity WHERE datname = 'large' AND wait_event = $1",
      [event],
    );
    if (rows.length > 0) return;
  }
}

/** Bytes received up to ReadyForQuery, of which none are kept. */
function drain({ socket }: RawClient): Promise<number> {
  socket.removeAllListeners('data');
  return new Promise((resolve) => {
    let total = 0;
    let tail = Buffer.alloc(0);
    const take = (chunk: Buffer): void => {
      total += chunk.length;
      tail = Buffer.concat([tail, chunk.subarray(-readyForQuery.length)]).subarray(
        -readyForQuery.length,
      );
      if (!tail.equals(readyForQuery)) return;
      socket.off('data', take);
      resolve(total);
    };
    socket.on('data', take);
    socket.resume();
  });
}

maybe('in bounded memory', () => {
  test('a parameter of 200 MB', async () => {
    const client = new pg.Client(await chaperone.connection('large'));
    await client.connect();
    const value = Buffer.alloc(200 * mebibyte, 'x');
    const { rows } = await client.query('SELECT octet_length($1::bytea) AS n', [value]);
    expect(rows).toEqual([{ n: value.length }]);
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await client.end();
    expectBounded();
  });

  test('a value of 200 MB, and a result of as much in rows, masked and not', async () => {
    const client = await raw();
    client.socket.write(write.query(`SELECT repeat('x', ${200 * mebibyte})`));
    expect(await drain(client)).toBeGreaterThan(200 * mebibyte);
    client.socket.write(
      write.query("SELECT repeat('x', 1000) FROM generate_series(1, 200000) AS n"),
    );
    expect(await drain(client)).toBeGreaterThan(200_000_000);
    client.socket.write(
      write.query('SELECT p.ssn, p.notes FROM people p, generate_series(1, 200) AS n'),
    );
    expect(await drain(client)).toBeGreaterThan(180_000_000);
    client.socket.write(
      write.query(
        'COPY (SELECT p.ssn, p.notes FROM people p, generate_series(1, 100) AS n) TO STDOUT',
      ),
    );
    expect(await drain(client)).toBeGreaterThan(90_000_000);
    client.end();
    expectBounded();
  });

  test('COPY of 100 MB in', async () => {
    const client = await raw();
    client.socket.write(write.query('COPY lines FROM STDIN'));
    const line = Buffer.from(`${'x'.repeat(999)}\n`);
    const data = write.copyData(Buffer.concat(Array<Buffer>(64).fill(line)));
    const times = Math.ceil((100 * mebibyte) / (64 * line.length));
    for (let n = 0; n < times; n += 1) {
      if (!client.socket.write(data)) await once(client.socket, 'drain');
    }
    client.socket.write(write.copyDone);
    const messages = await client.until(({ type }) => type === 'Z');
    expect(messages.map(({ type }) => type).join('')).toBe('GCZ');
    expect(messages[1]!.body.toString()).toBe(`COPY ${times * 64}\0`);
    client.end();
    expectBounded();
  });

  test('a client that does not read', async () => {
    const client = await raw();
    client.socket.removeAllListeners('data');
    client.socket.pause();
    client.socket.write(
      write.query("SELECT repeat('x', 1000) FROM generate_series(1, 200000) AS n"),
    );
    await untilWaiting('ClientWrite');
    expectBounded();
    // Others are served meanwhile.
    const other = await raw();
    await other.exchange(write.query('SELECT 1'));
    other.end();
    expect(await drain(client)).toBeGreaterThan(200_000_000);
    client.end();
    expectBounded();
  });

  test('a server that does not read', async () => {
    const lock = 'SELECT pg_advisory_lock(9)';
    await postgres.query(lock, [], 'large');
    const client = await raw();
    const value = Buffer.alloc(200 * mebibyte, 'x');
    client.socket.write(
      Buffer.concat([
        write.parse('', 'SELECT pg_advisory_lock_shared(9)', []),
        write.bind({
          portal: '',
          statement: '',
          parameterFormats: [],
          parameters: [],
          resultFormats: [],
        }),
        write.execute('', 0),
        write.parse('length', 'SELECT octet_length($1::bytea)', []),
      ]),
    );
    const big = write.bind({
      portal: '',
      statement: 'length',
      parameterFormats: [1],
      parameters: [value],
      resultFormats: [],
    });
    const written = new Promise<void>((resolve) => {
      client.socket.write(big, () => resolve());
    });
    client.socket.write(Buffer.concat([write.execute('', 0), write.sync]));
    await untilWaiting('advisory');
    // It takes what the buffers on the way take, and no more.
    for (let last = -1; last !== client.socket.bytesWritten; ) {
      last = client.socket.bytesWritten;
      for (let n = 0; n < 200; n += 1) await turn();
    }
    expectBounded();
    await postgres.query('SELECT pg_advisory_unlock(9)', [], 'large');
    await written;
    const messages = await client.until(({ type }) => type === 'Z');
    const row = messages.findLast(({ type }) => type === 'D');
    expect(row!.body.toString('latin1', 6)).toBe(String(value.length));
    client.end();
    expectBounded();
  });

  test('a client that stops in the middle of a message', async () => {
    const client = await raw();
    client.socket.write(write.query('COPY lines FROM STDIN'));
    await client.until(({ type }) => type === 'G');
    const data = write.copyData(
      Buffer.concat(Array<Buffer>(64_000).fill(Buffer.from(`${'x'.repeat(999)}\n`))),
    );
    const half = Math.floor(data.length / 2);
    for (let at = 0; at < half; at += mebibyte) {
      const piece = data.subarray(at, Math.min(at + mebibyte, half));
      if (!client.socket.write(piece)) await once(client.socket, 'drain');
    }
    const other = await raw();
    await other.exchange(write.query('SELECT 1'));
    other.end();
    client.socket.write(Buffer.concat([data.subarray(half), write.copyDone]));
    const messages = await client.until(({ type }) => type === 'Z');
    expect(messages[0]!.body.toString()).toBe('COPY 64000\0');
    client.end();
    expectBounded();
  });

  test('a long COPY that is cancelled', async () => {
    const client = new pg.Client(await chaperone.connection('large'));
    client.on('error', () => {});
    await client.connect();
    const text = 'COPY (SELECT p.notes FROM people p, generate_series(1, 1000000) AS n) TO STDOUT';
    const cut = expect(client.query(text)).rejects.toMatchObject({ code: '57014' });
    await untilActiveCopy();
    // biome-ignore lint/suspicious/noExplicitAny: pg's types do not tell of them
    const { processID, secretKey } = client as any;
    const key = Buffer.alloc(4);
    key.writeInt32BE(secretKey);
    const { host, port } = client;
    const socket = connect({ host, port });
    socket.end(write.cancelRequest(processID, key));
    socket.resume();
    await once(socket, 'close');
    await cut;
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await client.end();
    expectBounded();
  });
});

async function untilActiveCopy(): Promise<void> {
  for (;;) {
    const { rows } = await postgres.query(
      'SELECT 1 FROM pg_stat_progress_copy WHERE tuples_processed > 100000',
      [],
      'large',
    );
    if (rows.length > 0) return;
  }
}
