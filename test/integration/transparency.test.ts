/**
 * Under a policy that allows and names everything, an application cannot tell the proxy from the server:
 * random conversations run against both, on two copies of one database, and every message must be the same.
 */

import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import pg from 'pg';
import { policy, TestChaperone } from '../support/chaperone.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { describeMessage, RawClient } from '../support/raw-client.ts';

const everything = {
  name: 'everything',
  action: 'Allow',
  classes: ['Read', 'Write', 'Schema', 'Privilege', 'Session', 'Procedure', 'Export', 'Admin'],
  resources: ['**'],
};
const named = {
  name: 'named',
  action: 'Allow',
  verbs: ['Unknown', 'Do', 'Call', 'FunctionCall', 'ServerFile', 'ServerProgram', 'SetRole'],
  resources: ['**'],
};

let postgres: TestPostgres;
let chaperone: TestChaperone;
let conversation = 0;

beforeAll(async () => {
  postgres = await startPostgres({ version: 18 });
  await postgres.query('CREATE DATABASE origin');
  const setup = new pg.Client(postgres.url('origin'));
  await setup.connect();
  for (const sql of [
    'CREATE TABLE t (id int PRIMARY KEY, name text, amount numeric)',
    "INSERT INTO t SELECT n, 'name ' || n, n * 1.5 FROM generate_series(1, 20) AS n",
    'CREATE SCHEMA other',
    'CREATE TABLE other.t (id int, note text)',
    "INSERT INTO other.t VALUES (1, 'other')",
    'CREATE VIEW v AS SELECT id, upper(name) AS name FROM t',
    "CREATE FUNCTION noisy() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'noise'; RETURN 1; END $$",
  ]) {
    await setup.query(sql);
  }
  await setup.end();
  chaperone = await TestChaperone.start({
    postgres,
    resources: [policy('everything', [everything, named])],
  });
}, 60_000);

afterAll(async () => {
  await chaperone?.stop();
  await postgres?.stop();
});

const texts = [
  'SELECT 1',
  '',
  '-- nothing',
  ';',
  'SELECT id, name FROM t ORDER BY id LIMIT 3',
  'SELECT * FROM v WHERE id < 3',
  'SELECT note FROM t',
  'SELECT 1/0',
  'SELEC 1',
  'SELECT $1::int + 1',
  "SELECT 'ü€😀' AS s",
  'INSERT INTO t VALUES (100, $$x$$, 1) ON CONFLICT DO NOTHING',
  'INSERT INTO t VALUES (1, $$dup$$, 1)',
  'UPDATE t SET amount = amount + 1 WHERE id <= 3 RETURNING id, amount',
  'DELETE FROM t WHERE id = 100',
  'BEGIN',
  'COMMIT',
  'ROLLBACK',
  'COMMIT AND CHAIN',
  'ROLLBACK AND CHAIN',
  'BEGIN ISOLATION LEVEL REPEATABLE READ',
  'SAVEPOINT a',
  'ROLLBACK TO a',
  'RELEASE a',
  'SET search_path = other, public',
  'SET LOCAL search_path = other',
  'RESET search_path',
  'SHOW search_path',
  'SELECT * FROM t ORDER BY id LIMIT 2',
  "SET TimeZone = 'UTC'",
  'PREPARE p AS SELECT id FROM t WHERE id = $1',
  'EXECUTE p(2)',
  'EXECUTE missing(1)',
  'DEALLOCATE p',
  'DEALLOCATE ALL',
  'DECLARE c CURSOR FOR SELECT id FROM t ORDER BY id',
  'DECLARE h CURSOR WITH HOLD FOR SELECT id FROM t ORDER BY id LIMIT 4',
  'FETCH 2 FROM c',
  'FETCH ALL FROM h',
  'MOVE 1 FROM h',
  'CLOSE c',
  'CLOSE ALL',
  'COPY (SELECT id, name FROM t ORDER BY id LIMIT 3) TO STDOUT',
  'COPY t TO STDOUT WITH (FORMAT csv)',
  'LISTEN ch',
  "NOTIFY ch, 'payload'",
  'UNLISTEN *',
  'SELECT noisy()',
  'DO $$ BEGIN RAISE WARNING $w$ careful $w$; END $$',
  'CREATE TEMP TABLE tt (a int)',
  'INSERT INTO tt VALUES (1), (2)',
  'SELECT * FROM tt',
  'DROP TABLE tt',
  'CREATE TABLE made (a int)',
  'SELECT * FROM made',
  'DROP TABLE made',
  'EXPLAIN (COSTS OFF) SELECT * FROM t WHERE id = 1',
  'SELECT 1; SELECT 2',
  'SELECT 1; SELECT 1/0; SELECT 3',
  'BEGIN; SELECT 1; COMMIT',
  'DISCARD ALL',
  "SELECT set_config('search_path', 'other', false)",
  'SELECT pg_sleep(0)',
  'SELECT repeat($$x$$, 100000)',
  'LOCK TABLE t',
  'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE',
];

const name = fc.constantFrom('', 's1', 's2');
const portal = fc.constantFrom('', 'p1');
const text = fc.constantFrom(...texts);

type Step = { readonly label: string; readonly bytes: Buffer; readonly ready: number };

const message = fc.oneof(
  fc.tuple(name, text).map(([statement, sql]) => ({
    label: `Parse(${statement}) ${sql}`,
    bytes: write.parse(statement, sql, []),
  })),
  fc.tuple(portal, name, fc.constantFrom(0, 1)).map(([to, statement, count]) => ({
    label: `Bind(${to}, ${statement}, ${count})`,
    bytes: write.bind({
      portal: to,
      statement,
      parameterFormats: [],
      parameters: count === 0 ? [] : [Buffer.from('2')],
      resultFormats: [],
    }),
  })),
  fc.tuple(portal, fc.constantFrom(0, 2)).map(([from, rows]) => ({
    label: `Execute(${from}, ${rows})`,
    bytes: write.execute(from, rows),
  })),
  name.map((of) => ({ label: `Describe S(${of})`, bytes: write.describe('Statement', of) })),
  portal.map((of) => ({ label: `Describe P(${of})`, bytes: write.describe('Portal', of) })),
  name.map((of) => ({ label: `Close S(${of})`, bytes: write.close('Statement', of) })),
  portal.map((of) => ({ label: `Close P(${of})`, bytes: write.close('Portal', of) })),
  fc.constant({ label: 'Flush', bytes: write.flush }),
);

/** Parse, Bind, Describe, Execute of one text: what drivers do. */
const usual = fc.tuple(name, text).map(([statement, sql]) => [
  { label: `Parse(${statement}) ${sql}`, bytes: write.parse(statement, sql, []) },
  {
    label: `Bind('', ${statement})`,
    bytes: write.bind({
      portal: '',
      statement,
      parameterFormats: [],
      parameters: [],
      resultFormats: [],
    }),
  },
  { label: "Describe P('')", bytes: write.describe('Portal', '') },
  { label: "Execute('')", bytes: write.execute('', 0) },
]);

const pipeline = fc
  .array(
    fc.oneof(
      { weight: 2, arbitrary: usual },
      { weight: 1, arbitrary: message.map((one) => [one]) },
    ),
    {
      minLength: 1,
      maxLength: 4,
    },
  )
  .map((parts): Step => {
    const messages = parts.flat();
    return {
      label: `${messages.map(({ label }) => label).join(' · ')} · Sync`,
      bytes: Buffer.concat([...messages.map(({ bytes }) => bytes), write.sync]),
      ready: 1,
    };
  });
const query = text.map(
  (sql): Step => ({ label: `Query ${sql}`, bytes: write.query(sql), ready: 1 }),
);
/** Several queries and pipelines in one write: nobody waits for ReadyForQuery. */
const step = fc.oneof(query, pipeline, fc.tuple(query, pipeline, query).map(joined));

function joined(steps: readonly Step[]): Step {
  return {
    label: steps.map(({ label }) => label).join(' ‖ '),
    bytes: Buffer.concat(steps.map(({ bytes }) => bytes)),
    ready: steps.reduce((sum, { ready }) => sum + ready, 0),
  };
}

async function converse(client: RawClient, steps: readonly Step[], cut: number): Promise<string[]> {
  const seen: string[] = [];
  for (const { label, bytes, ready } of steps) {
    seen.push(`> ${label}`);
    // The same bytes in two writes, wherever that cuts a message.
    const at = cut % bytes.length;
    client.socket.write(bytes.subarray(0, at));
    const answers = await client.exchange(bytes.subarray(at), ready);
    seen.push(...withStatusLast(answers.map(describeMessage)));
  }
  return seen;
}

/**
 * ParameterStatus may come at any time. A change of search_path within a pipeline makes the proxy ask for it
 * before the next statement is decided, and the server then tells of it earlier: compared where it ends up.
 */
function withStatusLast(lines: readonly string[]): string[] {
  const ordered: string[] = [];
  let statuses: string[] = [];
  for (const line of lines) {
    if (line.startsWith('S ')) statuses.push(line);
    else {
      if (line.startsWith('Z ')) {
        ordered.push(...statuses);
        statuses = [];
      }
      ordered.push(line);
    }
  }
  return [...ordered, ...statuses];
}

test('message for message the same', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 6 }),
      fc.nat(1000),
      async (steps, cut) => {
        conversation += 1;
        const [direct, proxied] = [`direct_${conversation}`, `proxied_${conversation}`];
        await postgres.query(`CREATE DATABASE ${direct} TEMPLATE origin STRATEGY file_copy`);
        await postgres.query(`CREATE DATABASE ${proxied} TEMPLATE origin STRATEGY file_copy`);
        const ours = await chaperone.connection(proxied);
        const [a, b] = await Promise.all([
          RawClient.direct({
            host: postgres.host,
            port: postgres.port,
            user: postgres.superuser,
            password: postgres.password,
            database: direct,
          }),
          RawClient.login(ours),
        ]);
        try {
          const expected = await converse(a, steps, cut);
          const actual = await converse(b, steps, cut);
          expect(actual).toEqual(expected.map((line) => line.replaceAll(direct, proxied)));
        } finally {
          a.end();
          b.end();
          await Promise.all([a, b].map((client) => client.until(() => false)));
          await postgres.query(`DROP DATABASE ${direct} WITH (FORCE)`);
          await postgres.query(`DROP DATABASE ${proxied} WITH (FORCE)`);
        }
      },
    ),
    {
      numRuns: Number(process.env['CHAPERONE_RUNS'] ?? 40),
      ...(process.env['CHAPERONE_SEED'] && { seed: Number(process.env['CHAPERONE_SEED']) }),
    },
  );
}, 600_000);
