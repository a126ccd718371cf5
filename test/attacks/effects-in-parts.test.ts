/**
 * What a statement does to the session holds from the moment it runs, however it ends: a part of its result, a call
 * by the FunctionCall message, an error behind a COMMIT of its own (decision 2).
 */
import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import {
  type Attacker,
  AttackLab,
  bind,
  extended,
  labMasks,
  leaks,
} from '../support/attack-lab.ts';
import { identity, policy } from '../support/chaperone.ts';
import { installedVersions } from '../support/postgres.ts';
import { eventsOf } from '../support/record.ts';

const toHidden = "set_config('search_path', 'hidden', false)";

/** From version 18 on a new search path is reported. */
const suspended = /^12DsS?Z$/;
const answered = /^VS?Z$/;

const usual = [
  policy('all', [
    {
      name: 'all',
      action: 'Allow',
      classes: ['Read', 'Write', 'Session'],
      resources: ['shop.public.**', 'shop.own.**'],
    },
    {
      name: 'temporary',
      action: 'Allow',
      verbs: ['Create'],
      resources: ['shop.**'],
    },
  ]),
  ...labMasks,
  identity('other'),
];
/** Without masks, which no FunctionCall and no code of its own goes with. */
const withCode = [
  policy('all', [
    {
      name: 'all',
      action: 'Allow',
      classes: ['Read'],
      resources: ['shop.public.**'],
    },
    {
      name: 'code',
      action: 'Allow',
      verbs: ['FunctionCall', 'Call'],
      resources: ['**'],
    },
  ]),
  identity('other'),
];

const setConfigOid = 2078;

function callSetConfig(name: string, value: string): Buffer {
  return write.functionCall({
    functionOid: setConfigOid,
    argumentFormats: [0],
    arguments: [Buffer.from(name), Buffer.from(value), Buffer.from('f')],
    resultFormat: 0,
  });
}

describe.each(await installedVersions())('PostgreSQL %i', (version) => {
  let lab: AttackLab;
  beforeAll(async () => {
    lab = await AttackLab.start({
      version,
      resources: usual,
      setup: [
        'CREATE SCHEMA hidden',
        'CREATE TABLE hidden.products (id int, name text)',
        "INSERT INTO hidden.products VALUES (1, 'TOPSECRET')",
        'CREATE SCHEMA own',
        'CREATE TABLE own.people (id int, ssn text)',
        `CREATE PROCEDURE leave(path text) LANGUAGE plpgsql AS $$
           BEGIN
             PERFORM set_config('search_path', path, false);
             COMMIT;
             RAISE 'no further';
           END $$`,
      ],
    });
  }, 60_000);
  afterEach(() => lab.disconnect());
  afterAll(() => lab?.stop());

  /** Asked for by every way that decides anew. */
  async function isHidden(attacker: Attacker): Promise<void> {
    const simple = await attacker.query('SELECT name FROM products');
    expect([simple.sqlstate, simple.rows]).toEqual(['42501', []]);
    attacker.end();
  }

  describe('by a rule for relations', () => {
    const parts: Readonly<Record<string, string>> = {
      'the first of two rows': `SELECT ${toHidden} FROM generate_series(1, 2)`,
      'the only row': `SELECT ${toHidden}`,
    };

    test.each(Object.keys(parts))('a search path set by a part of a result: %s', async (name) => {
      const attacker = await lab.attacker();
      const part = await attacker.extended(parts[name]!, { maxRows: 1 });
      expect(part.types).toMatch(suspended);
      await isHidden(attacker);
    });

    test('set in a transaction block', async () => {
      const attacker = await lab.attacker();
      await attacker.query('BEGIN');
      const part = await attacker.extended(parts['the first of two rows']!, { maxRows: 1 });
      expect(part.types).toMatch(suspended);
      await isHidden(attacker);
    });

    test('set, and asked for, in one pipeline', async () => {
      const attacker = await lab.attacker();
      const answer = await attacker.send([
        ...extended(parts['the first of two rows']!, { maxRows: 1, portal: 'p' }),
        ...extended('SELECT name FROM products'),
        write.sync,
      ]);
      expect(answer.types).toMatch(/^12DsS?E/);
      expect(answer.sqlstate).toBe('42501');
    });

    test.each([
      ['FETCH 1 FROM c', 'simple'],
      ['FETCH 2 FROM c', 'in parts'],
      ['FETCH 2 FROM p', 'of a portal, in parts'],
    ])('set by %s, %s', async (fetch, how) => {
      const attacker = await lab.attacker();
      await attacker.query('BEGIN');
      const select = parts['the first of two rows']!;
      if (fetch.endsWith('c')) await attacker.query(`DECLARE c CURSOR FOR ${select}`);
      else await attacker.send([write.parse('s', select), bind('s', { portal: 'p' }), write.sync]);
      const fetched =
        how === 'simple'
          ? await attacker.query(fetch)
          : await attacker.extended(fetch, { maxRows: 1 });
      expect(fetched.rows).toEqual([['hidden']]);
      await isHidden(attacker);
    });

    test('set by a held cursor, which COMMIT carries out', async () => {
      const attacker = await lab.attacker();
      await attacker.query('BEGIN');
      await attacker.query(`DECLARE c CURSOR WITH HOLD FOR ${parts['the only row']}`);
      expect((await attacker.query('COMMIT')).tags).toEqual(['COMMIT']);
      await isHidden(attacker);
    });

    test('a relation made by a part of an EXPLAIN', async () => {
      const attacker = await lab.attacker();
      const made = await attacker.extended(
        'EXPLAIN ANALYZE CREATE TEMP TABLE products AS SELECT 1 AS id, 1 AS name',
        { maxRows: 1 },
      );
      expect(made.types).toMatch(suspended);
      await isHidden(attacker);
    });

    test('another table of that name, whose column is masked', async () => {
      const attacker = await lab.attacker();
      await attacker.query('SET search_path = own');
      await attacker.query('BEGIN');
      await attacker.extended("SELECT set_config('search_path', 'public', false)", { maxRows: 1 });
      const answer = await attacker.extended('SELECT ssn FROM people WHERE id = 9001');
      expect(answer.rows).toHaveLength(1);
      expect(leaks(attacker.seen)).toEqual([]);
    });
  });

  describe('by a rule for code', () => {
    beforeEach(() => lab.applyPolicy(withCode));
    afterEach(() => lab.applyPolicy(usual));

    test.each(['idle', 'in a block'])('set by a FunctionCall, %s', async (where) => {
      const attacker = await lab.attacker();
      if (where !== 'idle') await attacker.query('BEGIN');
      const called = await attacker.send([callSetConfig('search_path', 'hidden')]);
      expect(called.types).toMatch(answered);
      await isHidden(attacker);
    });

    test('set by a FunctionCall whose answer is long', async () => {
      const attacker = await lab.attacker();
      await attacker.query('BEGIN');
      const path = `hidden, ${Array.from({ length: 40_000 }, (_, n) => `s${n}`).join(', ')}`;
      const called = await attacker.send([callSetConfig('search_path', path)]);
      expect(called.types).toMatch(answered);
      await isHidden(attacker);
      const ended = (await eventsOf(lab.chaperone, { type: 'OperationCompleted' })).at(-1);
      const bytes = 5 + called.messages[0]!.body.length;
      expect(ended!.event).toMatchObject({ outcome: 'Ok', rows: 1, bytes });
    });

    test.each(['simple', 'extended'])(
      'set by a procedure that commits and fails: %s',
      async (how) => {
        const attacker = await lab.attacker();
        const sql = "CALL public.leave('hidden')";
        const called = how === 'simple' ? await attacker.query(sql) : await attacker.extended(sql);
        expect(called.message).toBe('no further');
        await isHidden(attacker);
      },
    );
  });
});
