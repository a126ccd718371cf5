/** Sessions that could be brought to a state in which nobody goes on, or that ended where PostgreSQL goes on. */
import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Answer, AttackLab, extended, labMasks } from '../support/attack-lab.ts';
import { identity, policy } from '../support/chaperone.ts';
import { installedVersions } from '../support/postgres.ts';

/** Under a limit on writes the Sync that would commit is ours to send. */
const limited = policy('limited', [
  {
    name: 'all',
    action: 'Allow',
    classes: ['Read', 'Write', 'Schema'],
    resources: ['shop', 'shop.**'],
    limits: { rowsPerStatement: 1000 },
  },
]);

/** How many clients' connections the product has open, in this process, at that port. */
function connections(port: number): number {
  const { _getActiveHandles } = process as unknown as {
    _getActiveHandles(): readonly { readonly localPort?: number }[];
  };
  return _getActiveHandles().filter(({ localPort }) => localPort === port).length;
}

describe.each(await installedVersions())('PostgreSQL %i', (version) => {
  let lab: AttackLab;
  beforeAll(async () => {
    lab = await AttackLab.start({
      version,
      resources: [limited, ...labMasks, identity('other')],
      setup: ['CREATE TABLE sink (id int)'],
    });
  }, 60_000);
  afterEach(() => lab.disconnect());
  afterAll(() => lab?.stop());

  /** Until nobody runs what the pattern stands for. */
  async function untilGone(pattern: string): Promise<void> {
    for (;;) {
      const rows = await lab.behind(
        "SELECT 1 FROM pg_stat_activity WHERE query LIKE $1 AND state <> 'idle' AND pid <> pg_backend_pid()",
        [pattern],
      );
      if (rows.length === 0) return;
    }
  }

  test.each([
    ['a Query', [write.query('SELECT 1')]],
    ['a statement', extended('SELECT 1')],
    ['a Close', [write.close('Statement', 's')]],
  ])('%s among COPY data ends the session and the COPY', async (_, messages) => {
    const attacker = await lab.attacker();
    attacker.client.socket.write(Buffer.concat([...extended('COPY sink FROM STDIN'), write.sync]));
    await attacker.client.until(({ type }) => type === 'G');
    attacker.client.socket.write(
      Buffer.concat([write.copyData(Buffer.from('1\n')), ...messages, write.copyDone, write.sync]),
    );
    const rest = await attacker.rest();
    expect([rest.sqlstate, rest.errors[0]?.get('S')]).toEqual(['08P01', 'FATAL']);
    await untilGone('COPY sink%');
    expect(await lab.behind('SELECT count(*)::int FROM sink')).toEqual([[0]]);
  });

  test('a Close behind a limited write is answered after it, as PostgreSQL does', async () => {
    const attacker = await lab.attacker();
    const answer = await attacker.send(
      [write.query('INSERT INTO sink VALUES (2)'), write.close('Statement', 'nothing'), write.sync],
      2,
    );
    expect([answer.types, answer.status]).toEqual(['CZ3Z', 'I']);
    expect(await lab.behind('SELECT id FROM sink')).toEqual([[2]]);
    await lab.behind('TRUNCATE sink');
  });

  test.each([7, 9, 12])('a long Bind whose head is cut after %i bytes', async (cut) => {
    const attacker = await lab.attacker();
    await attacker.send([write.parse('length', 'SELECT octet_length($1::text)', []), write.sync]);
    const bytes = Buffer.concat([
      write.bind({
        portal: 'ab',
        statement: 'length',
        parameterFormats: [],
        parameters: [Buffer.alloc(2 << 20, 120)],
        resultFormats: [],
      }),
      write.execute('ab', 0),
      write.sync,
    ]);
    // What comes before it is answered first: the two parts arrive apart.
    attacker.client.socket.write(
      Buffer.concat([write.parse('', 'SELECT 1', []), write.flush, bytes.subarray(0, cut)]),
    );
    await attacker.client.until(({ type }) => type === '1');
    const answer = new Answer(await attacker.client.exchange(bytes.subarray(cut)));
    expect([answer.types, answer.rows]).toEqual(['2DCZ', [[String(2 << 20)]]]);
  });

  test('a block without changes of names that ends within a pipeline', async () => {
    const attacker = await lab.attacker();
    expect((await attacker.query('BEGIN')).status).toBe('T');
    const answer = await attacker.send([
      ...extended('COMMIT'),
      ...extended('CREATE TEMP TABLE t1 (id int)'),
      ...extended('SELECT 7'),
      write.sync,
    ]);
    expect([answer.types, answer.status]).toEqual(['12C12C12DCZ', 'I']);
  });

  test('a client that does not read is left when its session ends within a row', async () => {
    const attacker = await lab.attacker();
    const { socket } = attacker.client;
    socket.pause();
    socket.write(write.query("SELECT repeat('x', 3000000) FROM generate_series(1, 100)"));
    const blocked =
      "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT repeat%' AND wait_event = 'ClientWrite'";
    for (let times = 0; times < 200; ) {
      times = (await lab.behind(blocked)).length === 0 ? 0 : times + 1;
    }
    expect(connections(lab.chaperone.port)).toBe(1);
    await lab.applyPolicy([...labMasks, identity('other')]);
    while (connections(lab.chaperone.port) > 0) await new Promise(setImmediate);
    await lab.applyPolicy([limited, ...labMasks, identity('other')]);
  });

  test.each([
    ['and a Close behind it', [write.close('Statement', 'nothing')], '3'],
    ['and what makes a table behind it', extended('CREATE TEMP TABLE t2 (id int)'), '12C'],
    ['with neither', [], ''],
  ])('a block that ends within a pipeline, %s', async (_, behind, answers) => {
    const attacker = await lab.attacker();
    expect((await attacker.query('BEGIN')).status).toBe('T');
    const answer = await attacker.send([
      ...extended('CREATE TEMP TABLE t1 (id int)'),
      ...extended('COMMIT'),
      ...behind,
      ...extended('SELECT 7'),
      write.sync,
    ]);
    expect([answer.types, answer.status]).toEqual([`12C12C${answers}12DCZ`, 'I']);
    expect((await attacker.query('SELECT count(*) FROM t1')).rows).toEqual([['0']]);
  });
});
