/**
 * A refusal in the middle of things (decision 1, §19): nothing before it is committed, the status is
 * PostgreSQL's own, and the connection goes on.
 */
import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Answer, type Attacker, AttackLab, bind, extended } from '../support/attack-lab.ts';
import { installedVersions } from '../support/postgres.ts';

const insert = "INSERT INTO public.plain VALUES (77, 'uncommitted')";

/** Every kind of refusal there is. */
const refusals: Readonly<Record<string, string>> = {
  'by a rule': 'DELETE FROM orders',
  'by default': 'DROP TABLE plain',
  'as Unknown': 'SELECT pg_read_file($$PG_VERSION$$)',
  'by a mask': 'SELECT upper(ssn) FROM customers',
  'by usage': "SELECT id FROM customers WHERE ssn > 'a'",
  'as syntax': 'SELEC 1',
  'as too long': `SELECT '${'x'.repeat(1_100_000)}'`,
  'as too deep': `SELECT ${'('.repeat(50_000)}1${')'.repeat(50_000)}`,
  'as a missing name': 'EXECUTE nothing_of_that_name',
  'as a missing cursor': 'FETCH nothing_of_that_name',
};

describe.each(await installedVersions())('PostgreSQL %i', (version) => {
  let lab: AttackLab;
  beforeAll(async () => {
    lab = await AttackLab.start({ version });
  }, 60_000);
  afterEach(async () => {
    lab.disconnect();
    await lab.behind('DELETE FROM plain WHERE id = 77');
  });
  afterAll(() => lab?.stop());

  const uncommitted = () => lab.behind('SELECT count(*)::int FROM plain WHERE id = 77');
  async function goesOn(attacker: Attacker): Promise<void> {
    expect((await attacker.query('SELECT 7')).rows).toEqual([['7']]);
    expect((await attacker.extended('SELECT 8', { describe: true })).rows).toEqual([['8']]);
  }

  describe.each(Object.keys(refusals))('refused %s', (name) => {
    const sql = refusals[name]!;

    test('idle, simple and extended', async () => {
      const attacker = await lab.attacker();
      const simple = await attacker.query(sql);
      expect([simple.types, simple.status]).toEqual(['EZ', 'I']);
      await goesOn(attacker);
      const later = await attacker.extended(sql);
      expect(later.types).toMatch(/^[12]?[12]?EZ$/);
      expect(later.status).toBe('I');
      await goesOn(attacker);
    });

    test('in a transaction block', async () => {
      for (const end of ['COMMIT', 'ROLLBACK']) {
        for (const ask of [(a: Attacker) => a.query(sql), (a: Attacker) => a.extended(sql)]) {
          const attacker = await lab.attacker();
          expect((await attacker.query('BEGIN')).status).toBe('T');
          await attacker.query(insert);
          const refused = await ask(attacker);
          expect([refused.errors.length, refused.status]).toEqual([1, 'E']);
          expect((await attacker.query('SELECT 7')).sqlstate).toBe('25P02');
          const ended = await attacker.query(end);
          expect([ended.tags, ended.status]).toEqual([['ROLLBACK'], 'I']);
          await goesOn(attacker);
          expect(await uncommitted()).toEqual([[0]]);
          attacker.end();
        }
      }
    });

    test('behind a savepoint', async () => {
      const attacker = await lab.attacker();
      for (const one of ['BEGIN', insert, 'SAVEPOINT s']) await attacker.query(one);
      expect((await attacker.query(sql)).status).toBe('E');
      expect((await attacker.query('ROLLBACK TO s')).status).toBe('T');
      await goesOn(attacker);
      expect((await attacker.query('COMMIT')).tags).toEqual(['COMMIT']);
      expect(await uncommitted()).toEqual([[1]]);
    });

    test('at the end of a pipeline, in its middle, and with others behind its Sync', async () => {
      const attacker = await lab.attacker();
      const middle = await attacker.send(
        [
          ...extended(insert),
          ...extended(sql),
          ...extended(insert),
          write.sync,
          ...extended('SELECT 9'),
          write.sync,
        ],
        2,
      );
      expect(middle.errors.length).toBe(1);
      expect(middle.types).toMatch(/^12C[12]*EZ12DCZ$/);
      expect(middle.status).toBe('I');
      expect(await uncommitted()).toEqual([[0]]);
      await goesOn(attacker);
    });

    test('in a pipeline that is flushed, and read, before the refusal', async () => {
      const attacker = await lab.attacker();
      attacker.client.socket.write(Buffer.concat([...extended(insert), write.flush]));
      const first = new Answer(await attacker.client.until(({ type }) => type === 'C'));
      expect(first.types).toBe('12C');
      const rest = await attacker.send([...extended(sql), write.sync]);
      expect([rest.errors.length, rest.status]).toEqual([1, 'I']);
      expect(await uncommitted()).toEqual([[0]]);
      await goesOn(attacker);
    });

    test('among simple queries in one write', async () => {
      const attacker = await lab.attacker();
      const answer = await attacker.send(
        ['BEGIN', insert, sql, insert, 'COMMIT', 'SELECT 9'].map((text) => write.query(text)),
        6,
      );
      const status = answer.messages
        .filter(({ type }) => type === 'Z')
        .map(({ body }) => body.toString());
      expect(status.join('')).toBe('TTEEII');
      expect(answer.tags).toEqual(['BEGIN', 'INSERT 0 1', 'ROLLBACK', 'SELECT 1']);
      expect(await uncommitted()).toEqual([[0]]);
      await goesOn(attacker);
    });

    test('in a text with others: none of them runs', async () => {
      const attacker = await lab.attacker();
      const answer = await attacker.query(`${insert}; ${sql}; ${insert}`);
      expect([answer.errors.length, answer.tags, answer.status]).toEqual([1, [], 'I']);
      expect(await uncommitted()).toEqual([[0]]);
      await goesOn(attacker);
    });
  });

  test('a refusal while COPY data flows leaves no half copy', async () => {
    for (const rest of [
      [write.query('DELETE FROM orders')],
      extended('DELETE FROM orders'),
      [write.copyFail('changed my mind')],
      [
        write.copyData(Buffer.from('77\tb\n')),
        write.copyData(Buffer.from('not a number\tb\n')),
        write.copyDone,
      ],
    ]) {
      const attacker = await lab.attacker();
      attacker.client.socket.write(write.query('COPY plain FROM STDIN'));
      await attacker.client.until(({ type }) => type === 'G');
      attacker.client.socket.write(
        Buffer.concat([write.copyData(Buffer.from('77\ta\n')), ...rest, write.sync]),
      );
      const answer = new Answer(await attacker.client.until(({ type }) => type === 'E'));
      expect(answer.errors.length).toBe(1);
      attacker.end();
      await attacker.rest();
      expect(await uncommitted()).toEqual([[0]]);
    }
    const attacker = await lab.attacker();
    const done = await attacker.send([
      write.query('COPY plain FROM STDIN'),
      write.copyData(Buffer.from('77\tfine\n')),
      write.copyDone,
    ]);
    expect(done.tags).toEqual(['COPY 1']);
    expect(await uncommitted()).toEqual([[1]]);
    await goesOn(attacker);
  });

  test('COPY in the extended protocol, with Syncs and refusals around it', async () => {
    const attacker = await lab.attacker();
    const answer = await attacker.send([
      ...extended('COPY plain FROM STDIN'),
      write.sync,
      write.copyData(Buffer.from('77\ta\n')),
      write.flush,
      write.sync,
      write.copyDone,
      ...extended('DELETE FROM orders'),
      write.sync,
    ]);
    expect([answer.errors.length, answer.status]).toEqual([1, 'I']);
    expect(await uncommitted()).toEqual([[0]]);
    await goesOn(attacker);
  });

  test('stray data, Sync, Flush and Close bring nothing out of step', async () => {
    const attacker = await lab.attacker();
    const answer = await attacker.send(
      [
        write.copyData(Buffer.from('stray')),
        write.copyDone,
        write.copyFail('stray'),
        write.sync,
        write.flush,
        write.close('Portal', 'none'),
        write.close('Statement', 'none'),
        write.sync,
        write.sync,
      ],
      3,
    );
    expect(answer.types.replaceAll('3', '')).toBe('ZZZ');
    await goesOn(attacker);
  });

  test('after a refusal everything up to the Sync is nothing, whatever it is', async () => {
    for (const before of [[], extended(insert)]) {
      const attacker = await lab.attacker();
      const answer = await attacker.send([
        ...before,
        ...extended('DELETE FROM orders'),
        write.query(insert),
        write.copyData(Buffer.alloc(100_000)),
        bind('nothing'),
        write.execute('nothing', 0),
        write.describe('Statement', 'nothing'),
        write.functionCall({ functionOid: 1, argumentFormats: [], arguments: [], resultFormat: 0 }),
        write.sync,
      ]);
      expect(answer.errors.length).toBe(1);
      expect(answer.types.endsWith('EZ')).toBe(true);
      expect(await uncommitted()).toEqual([[0]]);
      await goesOn(attacker);
    }
  });

  test('one session’s state is not another’s (§17)', async () => {
    const [one, two] = [await lab.attacker(), await lab.attacker({}, 'other')];
    for (const sql of [
      "SET application_name = 'first'",
      'SET search_path = decoy',
      'BEGIN',
      insert,
      'PREPARE p AS SELECT 1',
      'DECLARE c CURSOR WITH HOLD FOR SELECT 1',
    ]) {
      expect((await one.query(sql)).sqlstate).toBeUndefined();
    }
    expect((await two.query('EXECUTE p')).sqlstate).toBe('26000');
    expect((await two.query('FETCH c')).sqlstate).toBe('34000');
    expect((await two.query('SHOW application_name')).rows).not.toEqual([['first']]);
    expect((await two.query('SELECT count(*) FROM public.plain WHERE id = 77')).rows).toEqual([
      ['0'],
    ]);
    one.end();
    await one.rest();
    const three = await lab.attacker();
    expect((await three.query('EXECUTE p')).sqlstate).toBe('26000');
    expect((await three.query('SHOW search_path')).rows).toEqual([['"$user", public']]);
    expect((await three.query('SELECT pg_backend_pid()')).rows).not.toEqual(
      (await two.query('SELECT pg_backend_pid()')).rows,
    );
    expect(await uncommitted()).toEqual([[0]]);
  });
});
