/** Writes under a row limit, message by message: COPY in both protocols, and what fails. */
import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Answer, type Attacker, AttackLab, extended } from '../support/attack-lab.ts';
import { identity, policy, type Resource } from '../support/chaperone.ts';
import { installedVersions } from '../support/postgres.ts';
import { eventsOf } from '../support/record.ts';

const limited = (limits: Resource): readonly Resource[] => [
  policy('limited', [
    {
      name: 'all',
      action: 'Allow',
      classes: ['Read', 'Write'],
      resources: ['shop.public.**'],
      limits,
    },
  ]),
  identity('other'),
];

const rows = (count: number) =>
  write.copyData(Buffer.from(Array.from({ length: count }, (_, n) => `${n + 1}\n`).join('')));

const sql = 'COPY sink FROM STDIN';
/** Up to the data, and what ends it. */
const protocols = {
  simple: { begin: [write.query(sql)], end: [] },
  extended: { begin: extended(sql), end: [write.sync] },
} as const;

describe.each(await installedVersions())('PostgreSQL %i', (version) => {
  let lab: AttackLab;
  beforeAll(async () => {
    lab = await AttackLab.start({
      version,
      resources: limited({ rowsPerStatement: 10 }),
      setup: ['CREATE TABLE sink (id int PRIMARY KEY)'],
    });
  }, 60_000);
  afterEach(async () => {
    lab.disconnect();
    await lab.behind('TRUNCATE sink');
  });
  afterAll(() => lab?.stop());

  const written = async () => (await lab.behind('SELECT count(*)::int FROM sink'))[0]![0];
  const completed = async () =>
    (await eventsOf(lab.chaperone, { type: 'OperationCompleted' })).at(-1)!.event;

  async function goesOn(attacker: Attacker): Promise<void> {
    expect((await attacker.query('SELECT 7')).rows).toEqual([['7']]);
    expect((await attacker.query('INSERT INTO sink VALUES (777)')).tags).toEqual(['INSERT 0 1']);
    expect((await attacker.extended('SELECT 8')).rows).toEqual([['8']]);
  }

  describe.each(Object.keys(protocols) as (keyof typeof protocols)[])(
    'COPY FROM STDIN by the %s protocol',
    (name) => {
      const { begin, end } = protocols[name];

      test.each(['at once', 'when asked for'])('data that comes %s', async (when) => {
        const attacker = await lab.attacker();
        const data = [rows(4), rows(0), write.copyDone, ...end];
        let answer: Answer;
        if (when === 'at once') answer = await attacker.send([...begin, ...data]);
        else {
          attacker.client.socket.write(Buffer.concat([...begin, write.flush]));
          const asked = new Answer(await attacker.client.until(({ type }) => 'GE'.includes(type)));
          expect(asked.types).toMatch(/^(12)?G$/);
          answer = await attacker.send(data);
        }
        expect([answer.tags, answer.status]).toEqual([['COPY 4'], 'I']);
        expect(await completed()).toMatchObject({ outcome: 'Ok', rows: 4 });
        expect(await written()).toBe(4);
        await goesOn(attacker);
      });

      test('more than the limit is undone', async () => {
        const attacker = await lab.attacker();
        const answer = await attacker.send([...begin, rows(11), write.copyDone, ...end]);
        expect([answer.sqlstate, answer.tags, answer.status]).toEqual(['54000', [], 'I']);
        expect(await completed()).toMatchObject({ outcome: 'Cut', rows: 11 });
        expect(await written()).toBe(0);
        await goesOn(attacker);
      });

      test('in a transaction block', async () => {
        const attacker = await lab.attacker();
        await attacker.query('BEGIN');
        const within = await attacker.send([...begin, rows(10), write.copyDone, ...end]);
        expect([within.tags, within.status]).toEqual([['COPY 10'], 'T']);
        await attacker.query('SAVEPOINT before');
        await attacker.query('DELETE FROM sink WHERE id <= 10');
        const beyond = await attacker.send([...begin, rows(11), write.copyDone, ...end]);
        expect([beyond.sqlstate, beyond.status]).toEqual(['54000', 'E']);
        expect((await attacker.query('ROLLBACK TO before')).status).toBe('T');
        expect((await attacker.query('COMMIT')).tags).toEqual(['COMMIT']);
        expect(await written()).toBe(10);
        await goesOn(attacker);
      });

      test.each([
        ['that cannot be read', [rows(2), write.copyData(Buffer.from('x\n')), rows(2)], '22P02'],
        ['that the client gives up', [rows(2), write.copyFail('no more')], '57014'],
      ])('data %s', async (_, data, sqlstate) => {
        const attacker = await lab.attacker();
        const last = sqlstate === '57014' ? [] : [write.copyDone];
        const answer = await attacker.send([...begin, ...data, ...last, ...end]);
        expect([answer.sqlstate, answer.tags, answer.status]).toEqual([sqlstate, [], 'I']);
        expect(await written()).toBe(0);
        await goesOn(attacker);
      });
    },
  );

  test('statements behind the data in one write', async () => {
    const attacker = await lab.attacker();
    const answer = await attacker.send(
      [write.query(sql), rows(3), write.copyDone, write.query('SELECT count(*) FROM sink')],
      2,
    );
    expect([answer.tags, answer.rows]).toEqual([['COPY 3', 'SELECT 1'], [['3']]]);
    await goesOn(attacker);
  });

  test('a COPY that fails while a message of its data is under way ends behind that', async () => {
    const attacker = await lab.attacker();
    const { socket } = attacker.client;
    const data = write.copyData(Buffer.from('2\n'.repeat(1000)));
    const begun = [write.query(sql), write.copyData(Buffer.from('bad\n')), data.subarray(0, 900)];
    socket.write(Buffer.concat(begun));
    const failed = new Answer(await attacker.client.until(({ type }) => type === 'E'));
    expect(failed.sqlstate).toBe('22P02');
    socket.write(data.subarray(900));
    expect((await attacker.client.next()).type).toBe('Z');
    await goesOn(attacker);
  });

  test('one simple write after another that fails', async () => {
    const attacker = await lab.attacker();
    await attacker.query('INSERT INTO sink VALUES (1)');
    for (let again = 0; again < 2; again += 1) {
      const failed = await attacker.query('INSERT INTO sink VALUES (1)');
      expect([failed.sqlstate, failed.status]).toEqual(['23505', 'I']);
    }
    await goesOn(attacker);
  });

  describe.each(['rowsPerStatement', 'rowsPerHour'])('a write in parts under %s', (limit) => {
    beforeAll(() => lab.applyPolicy(limited({ [limit]: 60 })));
    afterAll(() => lab.applyPolicy(limited({ rowsPerStatement: 10 })));

    const insert = 'INSERT INTO sink SELECT generate_series(1, 5000) RETURNING id';

    test('is refused', async () => {
      const attacker = await lab.attacker();
      const answer = await attacker.extended(insert, { maxRows: 1 });
      expect([answer.sqlstate, answer.types]).toEqual(['54000', '12EZ']);
      expect(answer.message).toContain('parts cannot be told (CHP-3008)');
      expect(await written()).toBe(0);
    });

    test('is refused by FETCH', async () => {
      const attacker = await lab.attacker();
      await attacker.query('BEGIN');
      await attacker.send([...extended(insert, { portal: 'p' }).slice(0, 2), write.sync]);
      const fetched = await attacker.query('FETCH 1 FROM p');
      expect([fetched.sqlstate, fetched.types]).toEqual(['54000', 'EZ']);
      expect((await attacker.query('COMMIT')).tags).toEqual(['ROLLBACK']);
      expect(await written()).toBe(0);
    });

    test('leaves alone what returns its rows at once, and what reads', async () => {
      const attacker = await lab.attacker();
      const read = await attacker.extended('SELECT generate_series(1, 3)', { maxRows: 2 });
      expect(read.types).toBe('12DDsZ');
      const whole = await attacker.extended('INSERT INTO sink VALUES (1) RETURNING id');
      expect(whole.tags).toEqual(['INSERT 0 1']);
      // As pgjdbc's executeUpdate asks for none.
      const none = await attacker.extended('INSERT INTO sink VALUES (2), (3)', { maxRows: 1 });
      expect(none.tags).toEqual(['INSERT 0 2']);
    });

    test('a result that is over leaves nothing of what stands behind it', async () => {
      const attacker = await lab.attacker();
      const answer = await attacker.send([
        ...extended('SELECT id FROM orders'),
        ...extended('INSERT INTO sink VALUES (4)'),
        write.sync,
      ]);
      expect([answer.sqlstate, answer.tags, answer.status]).toEqual(['54000', [], 'I']);
      expect(await written()).toBe(0);
    });
  });

  test.each([
    ['Query', [write.query(`SELECT '${'x'.repeat(1_500_000)}'`)], 'Simple'],
    ['Parse', [write.parse('', `SELECT '${'x'.repeat(1_500_000)}'`), write.sync], 'Extended'],
  ])(
    'a %s too long behind a simple write waits for it, and is recorded',
    async (_, long, protocol) => {
      const attacker = await lab.attacker();
      const answer = await attacker.send([write.query('INSERT INTO sink VALUES (5)'), ...long], 2);
      expect([answer.types, answer.sqlstate]).toEqual(['CZEZ', '54000']);
      expect(await written()).toBe(1);
      const [ended, refused] = (await eventsOf(lab.chaperone)).slice(-2).map(({ event }) => event);
      expect(ended).toMatchObject({ type: 'OperationCompleted', outcome: 'Ok', rows: 1 });
      const decided = { type: 'OperationDecided', verdict: 'Deny', reason: 'Unknown', protocol };
      expect(refused).toMatchObject(decided);
      await goesOn(attacker);
    },
  );

  test('a simple write leaves the client no statement and no portal', async () => {
    const attacker = await lab.attacker();
    await attacker.query('BEGIN');
    await attacker.send([write.parse('', 'SELECT 9'), write.sync]);
    await attacker.send([...extended('SELECT 9').slice(0, 2), write.sync]);
    await attacker.query('INSERT INTO sink VALUES (1) RETURNING id');
    await attacker.query('SAVEPOINT before');
    const executed = await attacker.send([write.execute('', 0), write.sync]);
    expect([executed.types, executed.sqlstate]).toEqual(['EZ', '34000']);
    await attacker.query('ROLLBACK TO before');
    const described = await attacker.send([write.describe('Statement', ''), write.sync]);
    expect([described.types, described.sqlstate]).toEqual(['EZ', '26000']);
  });
});
