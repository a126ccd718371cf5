/**
 * Temporary objects hide others of the same name from their session alone. Whatever ends or undoes a
 * transaction, names mean to us what they mean to the server: else a mask would be put on the wrong one.
 */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type pg from 'pg';
import { type DriverLab, startDriverLab } from '../support/driver-lab.ts';

let lab: DriverLab;
let client: pg.Client;

beforeAll(async () => {
  lab = await startDriverLab(18);
});
afterAll(() => lab?.stop());

beforeEach(async () => {
  client = await lab.chaperone.connect('shop');
});

const masked = [{ name: expect.stringMatching(/^\*{7}\d{4}$/) }];
/** It has no protected column: where it is not taken for what it hides, nothing is masked. */
const hiding = 'CREATE TEMP VIEW people AS SELECT id, name AS ssn FROM products';
const plain = [{ name: 'Product 1' }];
const question = 'SELECT ssn AS name FROM people WHERE id = 1';

const between: readonly (readonly [string, readonly string[]])[] = [
  ['nothing', []],
  ['a committed transaction', ['BEGIN', 'SELECT 1', 'COMMIT']],
  ['one that changed the search path', ['BEGIN', 'SET LOCAL search_path = public', 'COMMIT']],
  ['one rolled back', ['BEGIN', 'SELECT 1', 'ROLLBACK']],
  ['a savepoint rolled back', ['BEGIN', 'SAVEPOINT a', 'ROLLBACK TO a', 'COMMIT']],
  ['a new search path', ['SET search_path = public, pg_catalog']],
  ['a role and back', ['RESET ROLE']],
  ['DDL rolled back', ['BEGIN', 'CREATE TEMP TABLE more (a int)', 'ROLLBACK']],
  ['its own drop rolled back', ['BEGIN', 'DROP VIEW people', 'ROLLBACK']],
];

test.each(between)('a temporary view that hides a table, after %s', async (_name, statements) => {
  await client.query(hiding);
  for (const sql of statements) await client.query(sql);
  expect((await client.query(question)).rows).toEqual(plain);
  expect((await client.query({ name: 'q', text: question })).rows).toEqual(plain);
  const other = await lab.chaperone.connect('shop');
  expect((await other.query(question)).rows).toEqual(masked);
  await other.end();
  await client.end();
});

test('a temporary table is there until it is dropped', async () => {
  await client.query('CREATE TEMP TABLE mine (a int)');
  await client.query('BEGIN');
  await client.query('INSERT INTO mine VALUES (1)');
  await client.query('ROLLBACK');
  expect((await client.query('SELECT count(*)::int AS n FROM mine')).rows).toEqual([{ n: 0 }]);
  await client.query('DROP TABLE mine');
  await expect(client.query('SELECT * FROM mine')).rejects.toMatchObject({ code: '42501' });
  await client.end();
});

test.each([
  ['DISCARD TEMP', ['CREATE TEMP TABLE people (id int, ssn text)', 'DISCARD TEMP']],
  ['ROLLBACK', ['BEGIN', 'CREATE TEMP TABLE people (id int, ssn text)', 'ROLLBACK']],
  [
    'ROLLBACK TO',
    ['BEGIN', 'SAVEPOINT a', 'CREATE TEMP TABLE people (id int, ssn text)', 'ROLLBACK TO a'],
  ],
  ['ON COMMIT DROP', ['BEGIN; CREATE TEMP TABLE people (id int, ssn text) ON COMMIT DROP; COMMIT']],
])('what was hidden comes back masked after %s', async (_name, statements) => {
  for (const sql of statements) await client.query(sql);
  const { rows } = await client.query(question);
  expect(rows).toEqual(masked);
  await client.end();
});
