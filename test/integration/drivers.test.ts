/** Node's drivers as applications use them: everything that they send of their own accord must pass. */
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import postgresJs from 'postgres';
import { identity } from '../support/chaperone.ts';
import { type DriverLab, startDriverLab } from '../support/driver-lab.ts';
import { installedVersions } from '../support/postgres.ts';

const versions = await installedVersions();
const masked = /^\*{7}\d{4}$/;
const refused = { code: '42501' };

describe.each(versions)('PostgreSQL %d', (version) => {
  let lab: DriverLab;
  beforeAll(async () => {
    lab = await startDriverLab(version, [identity('pooled')]);
  });
  afterAll(() => lab?.stop());

  describe('pg', () => {
    test('a pool: parameters, types and results as without a proxy', async () => {
      const pool = new pg.Pool({ ...(await lab.chaperone.connection('shop')), max: 5 });
      const results = await Promise.all(
        Array.from({ length: 40 }, (_, n) =>
          pool.query('SELECT id, total, placed_at FROM orders WHERE id = $1', [n + 1]),
        ),
      );
      const direct = await lab.postgres.query(
        'SELECT id, total, placed_at FROM orders WHERE id <= 40 ORDER BY id',
        [],
        'shop',
      );
      expect(results.map(({ rows }) => rows[0])).toEqual(direct.rows);
      const fields = results[0]!.fields.map(({ tableID, columnID, dataTypeID }) => [
        tableID,
        columnID,
        dataTypeID,
      ]);
      expect(fields).toEqual(
        direct.fields.map(({ tableID, columnID, dataTypeID }) => [tableID, columnID, dataTypeID]),
      );
      await pool.end();
    });

    test('named statements, again and again, and a mask on each of their results', async () => {
      const client = await lab.chaperone.connect('shop');
      for (let id = 1; id <= 5; id += 1) {
        const { rows } = await client.query({
          name: 'customer',
          text: 'SELECT id, ssn FROM customers WHERE id = $1',
          values: [id],
        });
        expect(rows).toEqual([{ id, ssn: expect.stringMatching(masked) }]);
      }
      await client.end();
    });

    test('a result in parts: the portal is suspended and goes on', async () => {
      const client = await lab.chaperone.connect('shop');
      const text = 'SELECT id, ssn FROM customers ORDER BY id';
      // `rows` is what pg-cursor and streams are made of.
      const { rows } = await client.query({ text, values: [], rows: 7 } as pg.QueryConfig);
      expect(rows).toHaveLength(20);
      expect(rows.every(({ ssn }) => masked.test(ssn))).toBe(true);
      await client.end();
    });

    test('transactions and savepoints: a refusal fails them, a rollback mends them', async () => {
      const client = await lab.chaperone.connect('shop');
      await client.query('BEGIN');
      await client.query("INSERT INTO products VALUES (2000, 'kept', 1)");
      await client.query('SAVEPOINT before');
      await expect(client.query('DELETE FROM orders WHERE id = 1')).rejects.toMatchObject(refused);
      await expect(client.query('SELECT 1')).rejects.toMatchObject({ code: '25P02' });
      await client.query('ROLLBACK TO SAVEPOINT before');
      await client.query("INSERT INTO products VALUES (2001, 'kept too', 1)");
      await client.query('COMMIT');
      const { rows } = await client.query('DELETE FROM products WHERE id >= 2000 RETURNING id');
      expect(rows).toEqual([{ id: 2000 }, { id: 2001 }]);
      await client.end();
    });

    test('several statements in one text, with the results of each', async () => {
      const client = await lab.chaperone.connect('shop');
      const results = (await client.query(
        'SELECT 1 AS a; SELECT ssn FROM customers WHERE id = 2; SELECT 3 AS c',
      )) as unknown as pg.QueryResult[];
      expect(results.map(({ rows }) => rows)).toEqual([
        [{ a: 1 }],
        [{ ssn: expect.stringMatching(masked) }],
        [{ c: 3 }],
      ]);
      await client.end();
    });

    test('TLS, with the certificate checked', async () => {
      const client = await lab.chaperone.connect('shop', 'nightly-report', { ssl: { ca: lab.ca } });
      await expect(client.query('SELECT 1 AS one')).resolves.toMatchObject({ rows: [{ one: 1 }] });
      await client.end();
    });

    test('cancels its own statement, and the connection goes on', async () => {
      const client = await lab.chaperone.connect('shop');
      const running = client.query('SELECT count(*) FROM generate_series(1, 10000000000) AS n');
      const ended = expect(running).rejects.toMatchObject({ code: '57014' });
      await lab.postgres.query(untilActive('generate_series(1, 10000000000)'), [], 'shop');
      // biome-ignore lint/suspicious/noExplicitAny: `cancel` is not in pg's types
      const killer = new pg.Client(await lab.chaperone.connection('shop')) as any;
      killer.connection.on('error', () => {});
      // biome-ignore lint/suspicious/noExplicitAny: nor is what it needs to know
      killer.cancel(client as any, (client as any)._getActiveQuery());
      await ended;
      await expect(client.query('SELECT 2 AS two')).resolves.toMatchObject({ rows: [{ two: 2 }] });
      await client.end();
    });

    test('a pool whose sessions are ended by us: it is told, and goes on later', async () => {
      const [ended, suspended] = [{ code: '57P01' }, { code: '28000' }];
      const pool = new pg.Pool({ ...(await lab.chaperone.connection('shop', 'pooled')), max: 3 });
      const idleEnded = once(pool, 'error');
      // One that runs a statement, one in a transaction, and one that is idle.
      const [running, inBlock, idle] = await Promise.all([1, 2, 3].map(() => pool.connect()));
      for (const client of [running!, inBlock!]) client.on('error', () => {});
      const cut = expect(
        running!.query('SELECT count(*) FROM generate_series(1, 20000000000) AS n'),
      ).rejects.toMatchObject(ended);
      await lab.postgres.query(untilActive('generate_series(1, 20000000000)'), [], 'shop');
      await inBlock!.query('BEGIN');
      await inBlock!.query("INSERT INTO products VALUES (6000, 'not kept', 1)");
      idle!.release();

      await lab.suspend('pooled', true);
      await cut;
      running!.release(true);
      await expect(inBlock!.query('COMMIT')).rejects.toThrow();
      inBlock!.release(true);
      expect((await idleEnded)[0]).toMatchObject(ended);
      await expect(pool.query('SELECT 1')).rejects.toMatchObject(suspended);
      expect(pool.totalCount).toBe(0);

      await lab.suspend('pooled', false);
      const again = await Promise.all(
        Array.from({ length: 12 }, (_, n) => pool.query('SELECT $1::int AS n', [n])),
      );
      expect(again.map(({ rows }) => rows[0].n)).toEqual(Array.from({ length: 12 }, (_, n) => n));
      const { rows } = await pool.query('SELECT count(*)::int AS n FROM products WHERE id = 6000');
      expect(rows).toEqual([{ n: 0 }]);
      await pool.end();
    });

    test('a statement that takes longer than statement_timeout', async () => {
      const client = await lab.chaperone.connect('shop', 'nightly-report', {
        statement_timeout: 300,
      });
      await expect(
        client.query('SELECT count(*) FROM generate_series(1, 10000000000) AS n'),
      ).rejects.toMatchObject({ code: '57014' });
      await expect(client.query('SELECT 3 AS three')).resolves.toMatchObject({
        rows: [{ three: 3 }],
      });
      await client.end();
    });
  });

  describe('postgres.js', () => {
    const connect = async (
      options: postgresJs.Options<Record<string, never>> = {},
    ): Promise<postgresJs.Sql> => {
      const { host, port, user, password, database } = await lab.chaperone.connection('shop');
      return postgresJs({ host, port, user, password, database, onnotice: () => {}, ...options });
    };

    test('fetches array types on connecting, and knows them then', async () => {
      const sql = await connect({ max: 1 });
      expect(await sql`SELECT ${[1, 2, 3]}::int[] AS n`).toEqual([{ n: [1, 2, 3] }]);
      expect(
        await sql`SELECT id, ssn FROM customers WHERE id = ANY(${[1, 2]}) ORDER BY id`,
      ).toEqual([
        { id: 1, ssn: expect.stringMatching(masked) },
        { id: 2, ssn: expect.stringMatching(masked) },
      ]);
      await sql.end();
    });

    test('pipelines statements of many callers over few connections', async () => {
      const sql = await connect({ max: 3 });
      const rows = await Promise.all(
        Array.from({ length: 120 }, (_, n) =>
          n % 10 === 3
            ? sql`DELETE FROM orders WHERE id = ${n}`.catch(({ code }) => [{ code }])
            : sql`SELECT ${n}::int AS n`,
        ),
      );
      expect(rows.map(([row]) => row)).toEqual(
        Array.from({ length: 120 }, (_, n) => (n % 10 === 3 ? refused : { n })),
      );
      await sql.end();
    });

    test('transactions, savepoints and unnamed statements', async () => {
      const sql = await connect({ max: 2, prepare: false });
      await sql.begin(async (tx) => {
        await tx`INSERT INTO products VALUES (3000, 'kept', 1)`;
        await tx
          .savepoint((inner) => inner`DELETE FROM orders WHERE id = 1`)
          .catch(({ code }) => expect(code).toBe('42501'));
      });
      await expect(
        sql.begin(async (tx) => {
          await tx`INSERT INTO products VALUES (3001, 'not kept', 1)`;
          await tx`DELETE FROM orders WHERE id = 1`;
        }),
      ).rejects.toMatchObject(refused);
      expect(await sql`DELETE FROM products WHERE id >= 3000 RETURNING id`).toEqual([{ id: 3000 }]);
      await sql.end();
    });

    test('cursors, several statements at once, and rows as they come', async () => {
      const sql = await connect({ max: 1 });
      const batches: number[] = [];
      for await (const rows of sql`SELECT id, ssn FROM customers ORDER BY id`.cursor(8)) {
        expect(rows.every(({ ssn }) => masked.test(ssn))).toBe(true);
        batches.push(rows.length);
      }
      expect(batches).toEqual([8, 8, 4]);
      expect(await sql`SELECT 1 AS a; SELECT 2 AS b`.simple()).toEqual([[{ a: 1 }], [{ b: 2 }]]);
      const seen: number[] = [];
      await sql`SELECT id FROM products ORDER BY id`.forEach(({ id }) => {
        seen.push(id);
      });
      expect(seen).toHaveLength(50);
      await sql.end();
    });

    test('COPY in both directions, as streams', async () => {
      const sql = await connect({ max: 1 });
      const into = await sql`COPY people (id, name, ssn) FROM STDIN`.writable();
      await new Promise<void>((resolve, reject) => {
        into.on('error', reject).on('finish', resolve);
        into.end('4000\tCopied\t123-45-6789\n');
      });
      const out = await sql`COPY (SELECT id, ssn FROM people WHERE id = 4000) TO STDOUT`.readable();
      const chunks: Buffer[] = [];
      for await (const chunk of out) chunks.push(chunk as Buffer);
      expect(Buffer.concat(chunks).toString()).toBe('4000\t*******6789\n');
      await sql`DELETE FROM people WHERE id = 4000`;
      await sql.end();
    });

    test('LISTEN and NOTIFY under a rule, and no other channel', async () => {
      const sql = await connect();
      const { promise, resolve } = Promise.withResolvers<string>();
      await sql.listen('jobs', resolve);
      await sql`SELECT pg_notify('jobs', ${'work to do'})`;
      expect(await promise).toBe('work to do');
      await expect(sql.listen('secrets', () => {})).rejects.toMatchObject(refused);
      await sql.end();
    });
  });
});

/** Blocks within the server until a session runs a statement with this in its text. */
function untilActive(part: string): string {
  return `DO $wait$ BEGIN
    LOOP
      PERFORM pg_stat_clear_snapshot();
      EXIT WHEN EXISTS (SELECT FROM pg_stat_activity
        WHERE state = 'active' AND pid <> pg_backend_pid() AND position('${part}' IN query) > 0);
      PERFORM pg_sleep(0.01);
    END LOOP;
  END $wait$`;
}
