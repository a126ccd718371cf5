/** Migrations as one text each: decided statement by statement, carried out by PostgreSQL, and known afterwards. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { identity, masking, policy, TestChaperone } from '../support/chaperone.ts';
import { migrations } from '../support/migrations.ts';
import { installedVersions, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { loadShop } from '../support/shop.ts';

describe.each(await installedVersions())('on PostgreSQL %i', (version) => {
  let postgres: TestPostgres;
  let chaperone: TestChaperone;
  let client: pg.Client;
  let exempt: pg.Client;
  beforeAll(async () => {
    postgres = await startPostgres({ version });
    await loadShop(postgres, { orders: 50 });
    chaperone = await TestChaperone.start({
      postgres,
      resources: [
        policy('application', [
          {
            name: 'data',
            action: 'Allow',
            classes: ['Read', 'Write', 'Schema'],
            resources: ['shop.public', 'shop.public.**', 'shop.billing', 'shop.billing.**'],
          },
          {
            name: 'not-the-products',
            action: 'Deny',
            classes: ['Write', 'Schema'],
            resources: ['shop.public.products', 'shop.app.**'],
          },
        ]),
        // Where a mask is in force, nothing passes that is not understood.
        masking('ssn', {
          columns: ['shop.public.*.ssn'],
          transform: { type: 'Redact' },
          exemptions: [
            {
              identities: [{ name: 'migrations', namespace: 'payments' }],
              reason: 'Makes functions and triggers.',
              expiresAt: '2099-01-01T00:00:00Z',
            },
          ],
        }),
        identity('migrations'),
      ],
    });
    client = new pg.Client(await chaperone.connection('shop'));
    exempt = new pg.Client(await chaperone.connection('shop', 'migrations'));
    await Promise.all([client.connect(), exempt.connect()]);
  }, 120_000);
  afterAll(async () => {
    await client?.end();
    await exempt?.end();
    await chaperone?.stop();
    await postgres?.stop();
  });

  /** The first column of what the server itself answers. */
  const tell = async (sql: string): Promise<unknown[][]> => {
    const { rows } = await postgres.query(sql, undefined, 'shop');
    return rows.map((row) => [Object.values(row)[0]]);
  };

  test.each(migrations.map((one) => [one.tool, one] as const))(
    '%s',
    async (_tool, { texts, keepsCode, left }) => {
      if (keepsCode === true) {
        await expect(client.query(texts[0] ?? '')).rejects.toMatchObject({ code: '42501' });
      }
      for (const text of texts) await (keepsCode === true ? exempt : client).query(text);
      for (const [sql, rows] of left) expect(await tell(sql)).toEqual(rows);
    },
    60_000,
  );

  test('what a text made is known to the next one', async () => {
    await client.query(
      'CREATE TABLE made (id int, ssn text); INSERT INTO made VALUES (1, $$123$$)',
    );
    const { rows } = await client.query('SELECT id, ssn FROM made');
    expect(rows).toEqual([{ id: 1, ssn: expect.not.stringMatching('123') }]);
  });

  test('a text is masked by what it has just made', async () => {
    const answers = (await client.query(
      'CREATE TABLE late (ssn text); INSERT INTO late VALUES ($$456$$); SELECT ssn FROM late',
    )) as unknown as pg.QueryResult[];
    expect(answers.at(-1)?.rows).toEqual([{ ssn: expect.not.stringMatching('456') }]);
  });

  test.each([
    // The values of a masked column, in what the text has made.
    'CREATE TABLE taken (x text); INSERT INTO taken SELECT ssn FROM customers',
    'ALTER TABLE customers RENAME COLUMN ssn TO plain; SELECT plain FROM customers',
    // What the policy denies, under a name that the text has made.
    'CREATE TABLE taken (id int PRIMARY KEY); ALTER TABLE products RENAME TO others; DELETE FROM others',
    'CREATE TABLE taken (id int); ALTER TABLE products ADD COLUMN x int REFERENCES taken',
    'CREATE TABLE taken (id int PRIMARY KEY); CREATE SCHEMA app; CREATE TABLE app.taken (id int)',
    // What is not followed.
    'CREATE TABLE taken (id int); CREATE TABLE taken_too (LIKE taken); DELETE FROM taken_too',
  ])('refused as a whole: %s', async (text) => {
    await expect(client.query(text)).rejects.toMatchObject({ code: '42501' });
    expect(await tell("SELECT coalesce(to_regclass('taken')::text, 'none')")).toEqual([['none']]);
  });

  test('a text that fails leaves nothing, and what it made is not known', async () => {
    await expect(
      client.query('CREATE TABLE halved (id int); INSERT INTO halved VALUES (1 / (1 - 1))'),
    ).rejects.toMatchObject({ code: '22012' });
    await expect(client.query('SELECT * FROM halved')).rejects.toMatchObject({ code: '42501' });
  });
});
