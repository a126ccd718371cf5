import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type pg from 'pg';
import { Answer, extended } from '../support/attack-lab.ts';
import { policy, TestChaperone } from '../support/chaperone.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { RawClient } from '../support/raw-client.ts';

let postgres: TestPostgres;
let chaperone: TestChaperone;
let client: pg.Client;

const allow = (limits: Record<string, unknown>) =>
  policy('limited', [
    {
      name: 'all',
      action: 'Allow',
      classes: ['Read', 'Write', 'Export'],
      resources: ['limits.public.**'],
      limits,
    },
  ]);

const rows = async (where = 'true') =>
  (await postgres.query(`SELECT count(*)::int AS n FROM t WHERE ${where}`, [], 'limits')).rows[0].n;

beforeAll(async () => {
  postgres = await startPostgres({ version: 18 });
  await postgres.query('CREATE DATABASE limits');
  await postgres.query('CREATE TABLE t (id int PRIMARY KEY, a int)', [], 'limits');
  chaperone = await TestChaperone.start({
    postgres,
    resources: [allow({ rowsPerStatement: 10 })],
  });
}, 60_000);

afterAll(async () => {
  await chaperone?.stop();
  await postgres?.stop();
});

beforeEach(async () => {
  await postgres.query('TRUNCATE t', [], 'limits');
  await postgres.query('INSERT INTO t SELECT n, 0 FROM generate_series(1, 100) AS n', [], 'limits');
  client = await chaperone.connect('limits');
});

const protocols = [
  ['simple', (sql: string) => client.query(sql)],
  [
    'extended',
    (sql: string) =>
      client.query({ text: sql, values: [], queryMode: 'extended' } as pg.QueryConfig),
  ],
] as const;

describe.each(protocols)('rowsPerStatement under the %s protocol', (_name, run) => {
  test('lets pass what stays within, cuts what does not, and goes on', async () => {
    expect((await run('SELECT * FROM t WHERE id <= 10')).rows).toHaveLength(10);
    await expect(run('SELECT * FROM t')).rejects.toMatchObject({
      code: '54000',
      message: expect.stringContaining(
        'rowsPerStatement of rule all of AccessPolicy data/limited is 10',
      ),
    });
    expect((await run('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await client.end();
  });

  test.each([
    'UPDATE t SET a = 1 WHERE id <= 11',
    'DELETE FROM t WHERE id <= 11',
    'INSERT INTO t SELECT n, 1 FROM generate_series(101, 111) AS n',
    'UPDATE t SET a = 1 WHERE id <= 11 RETURNING id',
  ])('undoes a write that changes more: %s', async (sql) => {
    await expect(run(sql)).rejects.toMatchObject({ code: '54000' });
    expect(await rows()).toBe(100);
    expect(await rows('a = 1')).toBe(0);
    expect((await run('UPDATE t SET a = 2 WHERE id <= 10')).rowCount).toBe(10);
    expect(await rows('a = 2')).toBe(10);
    await client.end();
  });

  test('undoes it with the transaction that it stands in', async () => {
    await run('BEGIN');
    await run('UPDATE t SET a = 3 WHERE id = 1');
    await expect(run('DELETE FROM t')).rejects.toMatchObject({ code: '54000' });
    await expect(run('SELECT 1')).rejects.toMatchObject({ code: '25P02' });
    await run('COMMIT');
    expect(await rows()).toBe(100);
    expect(await rows('a = 3')).toBe(0);
    await client.end();
  });

  test.each([
    'WITH gone AS (DELETE FROM t RETURNING id) SELECT count(*) FROM gone',
    'EXPLAIN ANALYZE DELETE FROM t',
  ])('refuses a write whose rows cannot be counted: %s', async (sql) => {
    await expect(run(sql)).rejects.toMatchObject({ code: '54000' });
    expect(await rows()).toBe(100);
    await client.end();
  });
});

test('a limited write among several in one simple query is refused', async () => {
  await expect(client.query('SELECT 1; DELETE FROM t WHERE id = 1')).rejects.toMatchObject({
    code: '54000',
  });
  expect(await rows()).toBe(100);
  await client.end();
});

test('an error of a limited write is the server’s own, and nothing is left open', async () => {
  await expect(client.query('INSERT INTO t VALUES (1, 1)')).rejects.toMatchObject({
    code: '23505',
  });
  expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  await client.end();
});

test('rowsPerHour holds within a pipeline, whatever was decided before the first row', async () => {
  await chaperone.inForce(() => chaperone.write([allow({ rowsPerHour: 60 })]));
  const raw = await RawClient.login(await chaperone.connection('limits'));
  const fifty = extended('SELECT id FROM t ORDER BY id LIMIT 50');
  const answer = new Answer(
    await raw.exchange(
      Buffer.concat([...Array.from({ length: 5 }, () => fifty).flat(), write.sync]),
    ),
  );
  expect([answer.rows.length, answer.sqlstate]).toEqual([60, '54000']);
  raw.end();
  await client.end();
});
