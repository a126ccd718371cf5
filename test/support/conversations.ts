/**
 * Random conversations in the extended and the simple protocol, for comparing what two servers say: the same
 * client bytes, cut anywhere, to both.
 */

import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import fc from 'fast-check';
import pg from 'pg';
import type { TestPostgres } from './postgres.ts';
import { describeMessage, type RawClient, type RawMessage } from './raw-client.ts';

/** The rows of the tables that the texts are about. */
export const originRows: readonly string[] = [
  "INSERT INTO t SELECT n, 'name ' || n, n * 1.5 FROM generate_series(1, 20) AS n",
  "INSERT INTO other.t VALUES (1, 'other')",
  "INSERT INTO secret VALUES (1, 'alpha'), (2, 'beta')",
];

/** What the texts are about. */
const originSchema: readonly string[] = [
  'CREATE TABLE t (id int PRIMARY KEY, name text, amount numeric)',
  'CREATE SCHEMA other',
  'CREATE TABLE other.t (id int, note text)',
  'CREATE VIEW v AS SELECT id, upper(name) AS name FROM t',
  'CREATE TABLE secret (id int, word text)',
  "CREATE FUNCTION noisy() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'noise'; RETURN 1; END $$",
];

/** Makes the database `origin`, with all that the texts are about; nobody is connected to it, so it can be copied. */
export async function createOrigin(postgres: TestPostgres): Promise<void> {
  await postgres.query('CREATE DATABASE origin');
  const setup = new pg.Client(postgres.url('origin'));
  await setup.connect();
  for (const sql of [...originSchema, ...originRows]) await setup.query(sql);
  await setup.end();
}

/** Texts of every kind that a session may meet, for tables t, other.t, view v and function noisy of `createOrigin`. */
export const texts: readonly string[] = [
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

/** Texts that touch the table `secret`, by its whole name, in the ways that a session may. */
export const secretTexts: readonly string[] = [
  'SELECT * FROM public.secret',
  'SELECT word FROM public.secret WHERE id = 1',
  'SELECT 1 FROM public.secret WHERE false',
  'SELECT $1::int FROM public.secret',
  'INSERT INTO public.secret VALUES (3, $$gamma$$)',
  'UPDATE public.secret SET word = word || $$!$$',
  'DELETE FROM public.secret',
  'TRUNCATE public.secret',
  'DROP TABLE public.secret',
  'WITH gone AS (DELETE FROM public.secret RETURNING *) SELECT * FROM gone',
  'SELECT 1; DELETE FROM public.secret',
  'DELETE FROM public.secret; SELECT 1',
  'BEGIN; DELETE FROM public.secret; COMMIT',
  'PREPARE q AS SELECT * FROM public.secret',
  'DECLARE d CURSOR FOR SELECT * FROM public.secret',
  'COPY public.secret TO STDOUT',
  'EXPLAIN SELECT * FROM public.secret',
  'LOCK TABLE public.secret',
];

/** How a text is written to one of the two servers. */
export type Spelling = (text: string) => string;

/** Messages of a client in one write, up to the `ready`-th ReadyForQuery. */
export interface Step {
  readonly label: string;
  readonly ready: number;
  /** Where the number of ReadyForQuery is not known beforehand: up to the first behind a row that holds this text. */
  readonly end?: string;
  bytes(spelling: Spelling): Buffer;
}

/** The label of a message or step is the call that makes it: so a counterexample can be kept. */
type Message = Omit<Step, 'ready'>;

const fixed = (label: string, bytes: Buffer): Message => ({ label, bytes: () => bytes });
const quoted = (text: string): string => JSON.stringify(text);

export const parse = (statement: string, sql: string): Message => ({
  label: `parse(${quoted(statement)}, ${quoted(sql)})`,
  bytes: (spelling) => write.parse(statement, spelling(sql), []),
});

/** Each parameter is `2`. */
export function bind(portal: string, statement: string, parameters: 0 | 1 = 0): Message {
  const bytes = write.bind({
    portal,
    statement,
    parameterFormats: [],
    parameters: parameters === 0 ? [] : [Buffer.from('2')],
    resultFormats: [],
  });
  return fixed(`bind(${quoted(portal)}, ${quoted(statement)}, ${parameters})`, bytes);
}

export const execute = (portal: string, maxRows = 0): Message =>
  fixed(`execute(${quoted(portal)}, ${maxRows})`, write.execute(portal, maxRows));

export const describe = (kind: 'Statement' | 'Portal', of: string): Message =>
  fixed(`describe('${kind}', ${quoted(of)})`, write.describe(kind, of));

export const close = (kind: 'Statement' | 'Portal', of: string): Message =>
  fixed(`close('${kind}', ${quoted(of)})`, write.close(kind, of));

export const flush: Message = fixed('flush', write.flush);

export const query = (sql: string): Step => ({
  label: `query(${quoted(sql)})`,
  bytes: (spelling) => write.query(spelling(sql)),
  ready: 1,
});

/** With a Sync behind them. */
export const pipeline = (...messages: readonly Message[]): Step => ({
  label: `pipeline(${messages.map(({ label }) => label).join(', ')})`,
  bytes: (spelling) => Buffer.concat([...messages.map((one) => one.bytes(spelling)), write.sync]),
  ready: 1,
});

/** In one write. */
export const together = (...steps: readonly Step[]): Step => ({
  label: `together(${steps.map(({ label }) => label).join(', ')})`,
  bytes: (spelling) => Buffer.concat(steps.map((step) => step.bytes(spelling))),
  ready: steps.reduce((sum, { ready }) => sum + ready, 0),
});

const name = fc.constantFrom('', 's1', 's2');
const portal = fc.constantFrom('', 'p1');

/** Queries, pipelines, and several of both in one write, nobody waiting for ReadyForQuery, of these texts. */
export function stepsOf(choices: readonly string[]): fc.Arbitrary<Step> {
  const text = fc.constantFrom(...choices);
  const message = fc.oneof(
    fc.tuple(name, text).map(([statement, sql]) => parse(statement, sql)),
    fc
      .tuple(portal, name, fc.constantFrom(0 as const, 1 as const))
      .map(([to, of, count]) => bind(to, of, count)),
    fc.tuple(portal, fc.constantFrom(0, 2)).map(([from, rows]) => execute(from, rows)),
    name.map((of) => describe('Statement', of)),
    portal.map((of) => describe('Portal', of)),
    name.map((of) => close('Statement', of)),
    portal.map((of) => close('Portal', of)),
    fc.constant(flush),
  );
  /** Parse, Bind, Describe, Execute of one text: what drivers do. */
  const usual = fc
    .tuple(name, text)
    .map(([statement, sql]) => [
      parse(statement, sql),
      bind('', statement),
      describe('Portal', ''),
      execute(''),
    ]);
  const parts = fc.oneof(
    { weight: 2, arbitrary: usual },
    { weight: 1, arbitrary: message.map((one) => [one]) },
  );
  const messages = fc
    .array(parts, { minLength: 1, maxLength: 4 })
    .map((chosen) => pipeline(...chosen.flat()));
  const queries = text.map(query);
  return fc.oneof(
    queries,
    messages,
    fc.tuple(queries, messages, queries).map((steps) => together(...steps)),
  );
}

/** What a client sent and was answered, a line a message; its bytes come in two writes, cut where `cut` says. */
export async function converse(
  client: RawClient,
  steps: readonly Step[],
  cut: number,
  spelling: Spelling = (text) => text,
): Promise<string[]> {
  const seen: string[] = [];
  for (const step of steps) {
    seen.push(`> ${step.label}`);
    const bytes = step.bytes(spelling);
    const at = cut % bytes.length;
    client.socket.write(bytes.subarray(0, at));
    const answers =
      step.end === undefined
        ? await client.exchange(bytes.subarray(at), step.ready)
        : await exchangeTo(step.end, client, bytes.subarray(at));
    seen.push(...withStatusLast(answers.map(describeMessage)));
  }
  return seen;
}

async function exchangeTo(text: string, client: RawClient, bytes: Buffer): Promise<RawMessage[]> {
  client.socket.write(bytes);
  let isBehind = false;
  return client.until(({ type, body }) => {
    isBehind ||= type === 'D' && body.includes(text);
    return isBehind && type === 'Z';
  });
}

/**
 * ParameterStatus may come at any time. A change of search_path within a pipeline makes the proxy ask for it
 * before the next statement is decided, and the server then tells of it, and of others, earlier: of each
 * parameter is compared where it ends up.
 */
function withStatusLast(lines: readonly string[]): string[] {
  const ordered: string[] = [];
  const statuses = new Map<string, string>();
  const tell = (): void => {
    ordered.push(...[...statuses.values()].sort());
    statuses.clear();
  };
  for (const line of lines) {
    if (line.startsWith('S ')) statuses.set(line.slice(0, line.indexOf('\0')), line);
    else {
      if (line.startsWith('Z ')) tell();
      ordered.push(line);
    }
  }
  tell();
  return ordered;
}
