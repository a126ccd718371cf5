/**
 * A result that is cut although the server has already completed it: the client is told that its statement failed, so
 * what it is one transaction with must be undone, and a block must have failed. The result is so short that it arrives
 * with its end, before any cancel request could.
 */
import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Answer, type Attacker, AttackLab, extended, labMasks } from '../support/attack-lab.ts';
import { identity, policy } from '../support/chaperone.ts';
import { installedVersions } from '../support/postgres.ts';

const resources = [
  policy('writes', [
    { name: 'all', action: 'Allow', classes: ['Write'], resources: ['shop.public.sink'] },
    {
      name: 'bytes',
      action: 'Allow',
      classes: ['Read', 'Write'],
      resources: ['shop.public.wide', 'shop.public.numbered'],
      limits: { bytesPerStatement: 100 },
    },
  ]),
  policy('reads', [
    {
      name: 'all',
      action: 'Allow',
      classes: ['Read'],
      resources: ['shop.public.orders', 'shop.public.sink'],
      limits: { rowsPerStatement: 10 },
    },
  ]),
  ...labMasks,
  identity('other'),
];

const insert = 'INSERT INTO sink VALUES (77)';
const tooMany = 'SELECT id FROM orders LIMIT 20';
const asQuery = (sql: string) => [write.query(sql)];
const asPipeline = (sql: string) => [...extended(sql), write.sync];

describe.each(await installedVersions())('PostgreSQL %i', (version) => {
  let lab: AttackLab;
  beforeAll(async () => {
    lab = await AttackLab.start({
      version,
      resources,
      setup: [
        'CREATE TABLE sink (id int)',
        'CREATE TABLE wide (note text)',
        'CREATE TABLE numbered (id int, ssn bigint)',
        'INSERT INTO numbered VALUES (1, 12345)',
      ],
    });
  }, 60_000);
  afterEach(async () => {
    lab.disconnect();
    await lab.behind('TRUNCATE sink, wide');
  });
  afterAll(() => lab?.stop());

  const committed = async (table = 'sink') =>
    (await lab.behind(`SELECT count(*)::int FROM ${table}`))[0]![0];
  const undone = () => lab.postgres.log().split('Undone by Chaperone').length - 1;

  async function goesOn(attacker: Attacker): Promise<void> {
    expect((await attacker.query('SELECT 7')).rows).toEqual([['7']]);
    expect((await attacker.extended('SELECT 8', { describe: true })).rows).toEqual([['8']]);
  }

  test('one that is sent in parts, and cannot be masked so, is refused before', async () => {
    const attacker = await lab.attacker();
    const sql = 'UPDATE numbered SET id = 2 RETURNING coalesce(ssn, 0)';
    expect((await attacker.query(sql)).sqlstate).toBe('42501');
    expect(await lab.behind('SELECT id FROM numbered')).toEqual([[1]]);
    await goesOn(attacker);
  });

  describe('in a pipeline', () => {
    test('what it has changed is not committed', async () => {
      const attacker = await lab.attacker();
      const answer = await attacker.send([...extended(insert), ...asPipeline(tooMany)]);
      expect([answer.types, answer.sqlstate, answer.status]).toEqual([
        `12C12${'D'.repeat(10)}EZ`,
        '54000',
        'I',
      ]);
      expect(await committed()).toBe(0);
      await goesOn(attacker);
    });

    test('that is flushed before its Sync, with more behind it', async () => {
      const attacker = await lab.attacker();
      attacker.client.socket.write(
        Buffer.concat([
          ...extended(insert),
          ...extended(tooMany),
          write.close('Portal', ''),
          write.flush,
        ]),
      );
      const first = new Answer(await attacker.client.until(({ type }) => type === 'E'));
      expect(first.sqlstate).toBe('54000');
      const rest = await attacker.send([...extended(insert), write.sync]);
      expect([rest.types, rest.status]).toEqual(['Z', 'I']);
      expect(await committed()).toBe(0);
      await goesOn(attacker);
    });

    test('the next pipeline in the same write is carried out', async () => {
      const attacker = await lab.attacker();
      const answer = await attacker.send(
        [...extended(insert), ...asPipeline(tooMany), ...asPipeline(insert)],
        2,
      );
      expect(answer.types).toBe(`12C12${'D'.repeat(10)}EZ12CZ`);
      expect(await committed()).toBe(1);
    });

    test('a part of a result, too', async () => {
      const attacker = await lab.attacker();
      const answer = await attacker.send([
        ...extended(insert),
        ...extended(tooMany, { maxRows: 15 }),
        write.sync,
      ]);
      expect([answer.sqlstate, answer.status]).toEqual(['54000', 'I']);
      expect(await committed()).toBe(0);
    });

    test('what has begun a block leaves it failed', async () => {
      const attacker = await lab.attacker();
      const answer = await attacker.send([
        ...extended('BEGIN'),
        ...extended(insert),
        ...asPipeline(tooMany),
      ]);
      expect([answer.sqlstate, answer.status]).toEqual(['54000', 'E']);
      expect((await attacker.query('COMMIT')).tags).toEqual(['ROLLBACK']);
      expect(await committed()).toBe(0);
      await goesOn(attacker);
    });

    test('that only reads: nothing is made to fail at the server', async () => {
      const attacker = await lab.attacker();
      const before = undone();
      const answer = await attacker.send([...extended('SELECT 7'), ...asPipeline(tooMany)]);
      expect([answer.sqlstate, answer.status]).toEqual(['54000', 'I']);
      expect((await attacker.query(tooMany)).sqlstate).toBe('54000');
      await goesOn(attacker);
      expect(undone()).toBe(before);
    });
  });

  describe.each([
    ['by simple Query', asQuery],
    ['by the extended protocol', asPipeline],
  ])('in a block, %s', (_, messages) => {
    test('it has failed', async () => {
      const attacker = await lab.attacker();
      await attacker.query('BEGIN');
      await attacker.query(insert);
      const answer = await attacker.send(messages(tooMany));
      expect([answer.errors.length, answer.sqlstate, answer.status]).toEqual([1, '54000', 'E']);
      expect((await attacker.query('SELECT 7')).sqlstate).toBe('25P02');
      expect((await attacker.query('COMMIT')).tags).toEqual(['ROLLBACK']);
      expect(await committed()).toBe(0);
      await goesOn(attacker);
    });

    test('behind a savepoint', async () => {
      const attacker = await lab.attacker();
      for (const one of ['BEGIN', insert, 'SAVEPOINT s', insert]) await attacker.query(one);
      expect((await attacker.send(messages(tooMany))).status).toBe('E');
      expect((await attacker.query('ROLLBACK TO s')).status).toBe('T');
      await goesOn(attacker);
      expect((await attacker.query('COMMIT')).tags).toEqual(['COMMIT']);
      expect(await committed()).toBe(1);
    });

    test('with others behind it in the same write', async () => {
      const attacker = await lab.attacker();
      await attacker.query('BEGIN');
      const answer = await attacker.send(
        [
          ...messages(tooMany),
          write.close('Statement', 'nothing'),
          write.sync,
          ...messages(insert),
          write.query('COMMIT'),
        ],
        4,
      );
      expect(answer.types).toMatch(/^T?(?:12)?D{10}EZ3?ZEZCZ$/);
      const status = answer.messages
        .filter(({ type }) => type === 'Z')
        .map(({ body }) => body.toString());
      expect(status.join('')).toBe('EEEI');
      expect(answer.tags).toEqual(['ROLLBACK']);
      expect(await committed()).toBe(0);
      await goesOn(attacker);
    });

    test('the Sync comes by itself', async () => {
      const attacker = await lab.attacker();
      await attacker.query('BEGIN');
      attacker.client.socket.write(
        Buffer.concat([...messages(tooMany).filter((one) => one !== write.sync), write.flush]),
      );
      await attacker.client.until(({ type }) => type === 'E');
      const answer = await attacker.send([write.sync], messages === asQuery ? 2 : 1);
      expect(answer.status).toBe('E');
    });
  });

  test('a text that begins a block leaves it failed', async () => {
    const attacker = await lab.attacker();
    const answer = await attacker.query(`BEGIN; ${insert}; ${tooMany}; ${insert}`);
    expect([answer.errors.length, answer.sqlstate, answer.status]).toEqual([1, '54000', 'E']);
    expect((await attacker.query('COMMIT')).tags).toEqual(['ROLLBACK']);
    expect(await committed()).toBe(0);
    await goesOn(attacker);
  });

  test.each([
    ['by simple Query', asQuery],
    ['by the extended protocol', asPipeline],
  ])('a write that returns too much is undone, %s', async (_, messages) => {
    const many =
      "INSERT INTO wide SELECT repeat('x', 60) FROM generate_series(1, 5) RETURNING note";
    const attacker = await lab.attacker();
    for (const sql of [many, `WITH made AS (${many}) SELECT * FROM made`]) {
      const answer = await attacker.send(messages(sql));
      expect([answer.errors.length, answer.sqlstate, answer.status]).toEqual([1, '54000', 'I']);
      expect(await committed('wide')).toBe(0);
    }
    const one = await attacker.send(messages("INSERT INTO wide VALUES ('x') RETURNING note"));
    expect([one.rows, one.tags, one.status]).toEqual([[['x']], ['INSERT 0 1'], 'I']);
    expect(await committed('wide')).toBe(1);
    await goesOn(attacker);
  });
});
