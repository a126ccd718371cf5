/** psql and pgbench, where this machine has them. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { policy } from '../support/chaperone.ts';
import { type DriverLab, startDriverLab } from '../support/driver-lab.ts';
import { installedVersions } from '../support/postgres.ts';
import { type ProgramOutput, runProgram } from '../support/programs.ts';

const versions = await installedVersions();
const psqlProgram = '/usr/bin/psql';
const pgbenchProgram = '/usr/bin/pgbench';

const benchmark = policy('benchmark', [
  {
    name: 'pgbench',
    action: 'Allow',
    classes: ['Read', 'Write', 'Schema', 'Admin'],
    resources: ['shop.public.pgbench_*'],
  },
]);

const maybe = existsSync(psqlProgram) ? describe : describe.skip;

maybe.each(versions)('PostgreSQL %d', (version) => {
  let lab: DriverLab;
  let env: Record<string, string>;
  let caFile: string;
  let file: (name: string, content?: string) => string;
  beforeAll(async () => {
    lab = await startDriverLab(version, [benchmark]);
    const { host, port, user, password, database } = await lab.chaperone.connection('shop');
    file = (name, content) => {
      const path = join(lab.chaperone.directory, name);
      if (content !== undefined) writeFileSync(path, content);
      return path;
    };
    caFile = file('ca.pem', lab.ca);
    env = {
      PGHOST: host,
      PGPORT: String(port),
      PGUSER: user,
      PGPASSWORD: password,
      PGDATABASE: database,
    };
  });
  afterAll(() => lab?.stop());

  const psql = (
    args: readonly string[],
    input = '',
    more: Record<string, string> = {},
  ): Promise<ProgramOutput> =>
    runProgram(psqlProgram, ['-X', ...args], { input, env: { ...env, ...more } });

  /** Unaligned rows of one command. */
  const rows = async (sql: string, more?: Record<string, string>): Promise<string[]> => {
    const { code, out, err } = await psql(['-At', '-c', sql], '', more);
    expect(err).toBe('');
    expect(code).toBe(0);
    return out.trimEnd().split('\n');
  };

  test('a command, a file, variables and settings of the format', async () => {
    expect(await rows('SELECT id, ssn FROM customers ORDER BY id LIMIT 2')).toEqual([
      expect.stringMatching(/^1\|\*{7}\d{4}$/),
      expect.stringMatching(/^2\|\*{7}\d{4}$/),
    ]);
    const script = file(
      'script.sql',
      `\\set id 3
\\set name 'Person 1'
SELECT id FROM people WHERE id = :id OR name = :'name' ORDER BY id;
SELECT 1 AS a, 2 AS b \\gset
\\echo :a :b
SELECT 'SELECT 42' \\gexec
SELECT * FROM (VALUES (1, 'x')) AS v (a, b) \\gx
`,
    );
    const { out, err, code } = await psql(['-At', '-f', script]);
    expect({ err, code }).toEqual({ err: '', code: 0 });
    expect(out).toBe('1\n3\n1 2\n42\na|1\nb|x\n');
  });

  test('a result fetched by a cursor of psql’s own', async () => {
    const { out } = await psql(
      ['-At', '-v', 'FETCH_COUNT=3'],
      'SELECT ssn FROM people ORDER BY id;',
    );
    const lines = out.trimEnd().split('\n');
    expect(lines.length).toBeGreaterThanOrEqual(10);
    for (const line of lines) expect(line).toMatch(/^\*{7}\d{4}$/);
  });

  const described: readonly (readonly [string, RegExp])[] = [
    ['\\d', /customer_contacts.*view/],
    ['\\d customers', /ssn +\| text +\| +\| not null/],
    ['\\d+ vip', /View definition/],
    ['\\d events', /Partition key: RANGE \(happened_at\)/],
    ['\\d employees', /Inherits: people/],
    ['\\dt', /orders +\| table/],
    ['\\dt+', /orders +\| table.*kB/],
    ['\\dv', /vip +\| view/],
    ['\\dm', /customer_totals/],
    ['\\di', /orders_customer/],
    ['\\ds', /order_audit_id_seq/],
    ['\\df', /customer_name/],
    ['\\sf customer_name', /CREATE OR REPLACE FUNCTION/],
    ['\\sv vip', /CREATE OR REPLACE VIEW/],
    ['\\dn', /public/],
    ['\\du', /shop_app/],
    ['\\dp orders', /shop_app=arwd/],
    ['\\dT', /Data type|List of data types/],
    ['\\dx', /plpgsql/],
    ['\\conninfo', /as user "nightly-report"/],
  ];
  test.each(described)('%s', async (command, shows) => {
    const { out, err, code } = await psql(['-c', command]);
    expect({ err, code }).toEqual({ err: '', code: 0 });
    expect(out).toMatch(shows);
  });

  test('ON_ERROR_STOP and one transaction: a refusal undoes what came before', async () => {
    const script =
      "INSERT INTO products VALUES (1000, 'a', 1);\nDELETE FROM orders;\nSELECT 'after';\n";
    const stopped = await psql(['-At', '-1', '-v', 'ON_ERROR_STOP=1'], script);
    expect(stopped.code).toBe(3);
    expect(stopped.err).toContain('rule keep-orders of AccessPolicy data/application');
    expect(stopped.err).toContain('HINT:');
    expect(stopped.out).not.toContain('after');
    const carriedOn = await psql(['-At', '-1'], script);
    expect(carriedOn.err).toContain('current transaction is aborted');
    expect(await rows('SELECT count(*) FROM products WHERE id = 1000')).toEqual(['0']);
    const each = await psql(['-At'], script);
    expect(each.out).toContain('after');
    expect(await rows('DELETE FROM products WHERE id = 1000 RETURNING id')).toEqual([
      '1000',
      'DELETE 1',
    ]);
  });

  test('\\copy in and out, in text and CSV', async () => {
    const input = file('in.csv', '8000,"Copied, too",123-45-6789\n8001,Copied,987-65-4321\n');
    const into = await psql(['-c', `\\copy people FROM '${input}' CSV`]);
    expect(into).toMatchObject({ code: 0, out: 'COPY 2\n', err: '' });
    const output = file('out');
    const query = '(SELECT id, name, ssn FROM people WHERE id >= 8000 ORDER BY id)';
    expect((await psql(['-c', `\\copy ${query} TO '${output}' CSV`])).err).toBe('');
    expect(readFileSync(output, 'utf8')).toBe(
      '8000,"Copied, too","*******6789"\n8001,Copied,"*******4321"\n',
    );
    expect((await psql(['-c', `\\copy ${query} TO '${output}'`])).err).toBe('');
    expect(readFileSync(output, 'utf8')).toBe(
      '8000\tCopied, too\t*******6789\n8001\tCopied\t*******4321\n',
    );
    const from =
      'COPY products FROM STDIN;\n8000\tx\t1.00\n8001\ty\tnot a number\n\\.\nSELECT 1;\n';
    const failed = await psql(['-At'], from);
    expect(failed.err).toMatch(/^ERROR: {2}/);
    expect(failed.out).toBe('1\n');
    const refused = await psql(['-At', '-c', `\\copy people TO '${output}' BINARY`]);
    expect(refused.err).toContain('data/ssn');
    await rows('DELETE FROM people WHERE id >= 8000');
  });

  test('options, environment and names at connection', async () => {
    expect(await rows('SHOW statement_timeout', { PGOPTIONS: '-c statement_timeout=5s' })).toEqual([
      '5s',
    ]);
    const environment = { PGTZ: 'Asia/Tokyo', PGAPPNAME: 'a b', PGDATESTYLE: 'German' };
    expect(await rows('SHOW TimeZone; SHOW application_name; SHOW DateStyle', environment)).toEqual(
      ['Asia/Tokyo', 'a b', 'German, DMY'],
    );
    expect(
      await rows('SELECT count(*) > 0 FROM customers', {
        PGOPTIONS: '--search_path=pg_catalog,public',
      }),
    ).toEqual(['t']);
    const refused = await psql(['-c', 'SELECT 1'], '', { PGOPTIONS: '-c work_mem=1GB' });
    expect(refused).toMatchObject({ code: 2 });
    expect(refused.err).toContain('Set on shop.work_mem is refused');
    const missing = await psql(['-d', 'no such database', '-c', 'SELECT 1']);
    expect(missing.code).toBe(2);
    expect(missing.err).toContain('FATAL:');
  });

  test.each(['disable', 'prefer', 'require', 'verify-full'])('sslmode %s', async (sslmode) => {
    const { out, err, code } = await psql(['-c', '\\conninfo'], '', {
      PGSSLMODE: sslmode,
      PGSSLROOTCERT: caFile,
    });
    expect({ err, code }).toEqual({ err: '', code: 0 });
    expect(out.includes('TLS')).toBe(sslmode !== 'disable');
  });

  test('temporary tables, notifications, and what a session keeps', async () => {
    const { out, err } = await psql(
      ['-At'],
      `CREATE TEMP TABLE mine (a int);
INSERT INTO mine SELECT generate_series(1, 3);
BEGIN; UPDATE mine SET a = a + 1; ROLLBACK;
SELECT sum(a) FROM mine;
PREPARE p AS SELECT a FROM mine WHERE a = $1;
EXECUTE p(2);
LISTEN jobs;
NOTIFY jobs, 'hello';
`,
    );
    expect(err).toBe('');
    expect(out).toMatch(
      /^CREATE TABLE\nINSERT 0 3\nBEGIN\nUPDATE 3\nROLLBACK\n6\nPREPARE\n2\nLISTEN\nNOTIFY\n/,
    );
    expect(out).toContain('Asynchronous notification "jobs" with payload "hello"');
  });

  (existsSync(pgbenchProgram) ? test : test.skip)(
    'pgbench: its tables made, and a short run in each mode',
    async () => {
      const made = await runProgram(pgbenchProgram, ['-i', '-s', '1', '-q'], { env });
      expect(made).toMatchObject({ code: 0 });
      for (const mode of ['simple', 'extended', 'prepared']) {
        const ran = await runProgram(
          pgbenchProgram,
          ['-n', '-M', mode, '-c', '4', '-j', '1', '-t', '25'],
          { env },
        );
        expect(ran).toMatchObject({ code: 0 });
        expect(ran.out).toContain('number of transactions actually processed: 100/100');
        expect(ran.out).toMatch(/number of failed transactions: 0/);
      }
      const { rows: counted } = await lab.postgres.query(
        'SELECT (SELECT count(*) FROM pgbench_history)::int AS n, (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(bbalance) FROM pgbench_branches) AS same',
        [],
        'shop',
      );
      expect(counted).toEqual([{ n: 300, same: true }]);
    },
  );
});
