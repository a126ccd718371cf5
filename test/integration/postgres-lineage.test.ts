import type { StatementAnalysis } from '@chaperone/core/sql/operation.ts';
import { analyze } from '@chaperone/core/sql/postgres/analyze.ts';
import { decodeField } from '@chaperone/core/sql/postgres/catalog-document.ts';
import { catalogQuery } from '@chaperone/core/sql/postgres/catalog-query.ts';
import { compileCatalog } from '@chaperone/core/sql/postgres/compile-catalog.ts';
import { loadParser } from '@chaperone/core/sql/postgres/parser.ts';
import type { AnalyzeContext } from '@chaperone/core/sql/postgres/run.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import pg from 'pg';
import { installedVersions, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { QueryMaker, type Tables } from '../support/random-queries.ts';

const timeoutMs = 240_000;

const schema = `
CREATE TABLE people (id int PRIMARY KEY, name text, ssn varchar(20), email text);
CREATE TABLE sales (id int PRIMARY KEY, person_id int, total numeric, note jsonb, twice numeric GENERATED ALWAYS AS (total * 2) STORED);
CREATE TABLE parts (id int, mark text) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE VIEW known AS SELECT p.name, p.ssn AS code, count(*) AS n FROM people p JOIN sales s ON s.person_id = p.id WHERE p.email IS NOT NULL GROUP BY p.name, p.ssn;
CREATE VIEW known_again AS SELECT name, code FROM known;
INSERT INTO people VALUES (1, 'zNAMEz', 'zSSNz', 'zMAILz'), (2, 'zNAMEzz', 'zSSNzz', 'zMAILzz');
INSERT INTO sales VALUES (1, 1, 5, '{"k": "zNOTEz"}'), (2, 2, 7, '{"k": "zNOTEz"}');
INSERT INTO parts VALUES (1, 'zMARKz');
CREATE MATERIALIZED VIEW kept AS SELECT ssn FROM people;
`;

const tables: Tables = {
  people: ['id', 'name', 'ssn', 'email'],
  sales: ['id', 'person_id', 'total', 'note', 'twice'],
  parts: ['id', 'mark'],
  parts_1: ['id', 'mark'],
  known: ['name', 'code', 'n'],
  known_again: ['name', 'code'],
  kept: ['ssn'],
};

/** Values that show where they come from, however the query wraps them. */
const marks: readonly (readonly [RegExp, string])[] = [
  [/zNAMEz/i, 'people.name'],
  [/zSSNz/i, 'people.ssn'],
  [/zMAILz/i, 'people.email'],
  [/zNOTEz/i, 'sales.note'],
  [/zMARKz/i, 'parts.mark'],
];

/** Databases that differ from the first in one column alone. */
const variants: Readonly<Record<string, string>> = {
  'people.name': `UPDATE people SET name = 'other' || id`,
  'people.ssn': `UPDATE people SET ssn = 'other' || id`,
  'people.email': 'UPDATE people SET email = NULL WHERE id = 1',
  'sales.total': 'UPDATE sales SET total = total + 100',
};

type Answer = pg.QueryArrayResult<unknown[]>;

const ask = (client: pg.Client, text: string): Promise<Answer> =>
  client.query({ text, rowMode: 'array' });

const rows = (answer: Answer): string =>
  answer.rows
    .map((row) => JSON.stringify(row))
    .sort()
    .join('\n');

const short = (name: readonly string[]): string => name.slice(2).join('.');

describe.each(await installedVersions())('on PostgreSQL %i', (version) => {
  let server: TestPostgres;
  let client: pg.Client;
  let context: AnalyzeContext;
  const others = new Map<string, pg.Client>();

  const connect = async (database: string): Promise<pg.Client> => {
    const connection = new pg.Client({ connectionString: server.url(database) });
    await connection.connect();
    await connection.query("SET statement_timeout = '3s'");
    return connection;
  };

  beforeAll(async () => {
    await loadParser();
    server = await startPostgres({ version });
    await server.query('CREATE DATABASE shop');
    const first = await connect('shop');
    await first.query(schema);
    await first.end();
    for (const [column, change] of Object.entries(variants)) {
      const database = column.replace('.', '_');
      await server.query(`CREATE DATABASE ${database} TEMPLATE shop`);
      const other = await connect(database);
      await other.query(change);
      // Rows keep their order, so that LIMIT 1 without ORDER BY finds the same one.
      await other.query('CLUSTER people USING people_pkey');
      await other.query('CLUSTER sales USING sales_pkey');
      await other.query('REFRESH MATERIALIZED VIEW kept');
      others.set(column, other);
    }
    client = await connect('shop');
    const { rows: found } = await ask(client, catalogQuery);
    const catalog = compileCatalog(decodeField(String(found[0]?.[0])));
    context = {
      catalog,
      database: 'shop',
      searchPath: ['pg_catalog', 'public'],
      currentUser: server.superuser,
    };
  }, timeoutMs);

  afterAll(async () => {
    await Promise.all([client, ...others.values()].map((connection) => connection.end()));
    await server.stop();
  }, timeoutMs);

  /** What a query that PostgreSQL takes is found to be; undefined when it does not take it. */
  async function both(text: string): Promise<[StatementAnalysis, Answer] | undefined> {
    let answer: Answer;
    try {
      answer = await ask(client, text);
    } catch {
      return undefined;
    }
    const { statements } = analyze(text, context);
    const [analysis] = statements;
    if (analysis === undefined) throw new Error(`no analysis: ${text}`);
    expect(analysis.operations.filter(({ verb }) => verb === 'Unknown')).toEqual([]);
    return [analysis, answer];
  }

  /** Names, types and origins as the backend announces them, and no value without its column. */
  function checkOutputs({ outputs = [] }: StatementAnalysis, answer: Answer): void {
    expect(outputs.map(({ name }) => name)).toEqual(answer.fields.map(({ name }) => name));
    answer.fields.forEach((field, index) => {
      const output = outputs[index];
      if (output === undefined) return;
      if (output.typeOid !== undefined) expect(output.typeOid).toBe(field.dataTypeID);
      if (field.tableID !== 0) {
        expect(
          output.values.map(({ relationOid, attnum }) => [relationOid, attnum]),
        ).toContainEqual([field.tableID, field.columnID]);
      }
      const carried = [...output.values, ...output.derived].map(({ name }) => short(name));
      const shown = JSON.stringify(answer.rows.map((row) => row[index]));
      for (const [mark, column] of marks) if (mark.test(shown)) expect(carried).toContain(column);
    });
  }

  /** A column that is told nowhere can change without anyone seeing a difference. */
  async function checkInfluence(text: string, analysis: StatementAnalysis, answer: Answer) {
    const told = new Set<string>();
    for (const { values, derived } of analysis.outputs ?? []) {
      for (const { name } of [...values, ...derived]) told.add(short(name));
    }
    for (const { column } of analysis.uses) told.add(short(column.name));
    // The conditions of a view are its owner's, and show in the columns read beneath.
    for (const { reach, resource, columns = [] } of analysis.operations) {
      if (reach === 'Beneath')
        for (const column of columns) told.add(`${resource.at(-1)}.${column}`);
    }
    for (const [column, other] of others) {
      if (!told.has(column))
        expect([column, rows(await ask(other, text))]).toEqual([column, rows(answer)]);
    }
  }

  test(
    'the analysis of random queries agrees with what PostgreSQL returns',
    async () => {
      let taken = 0;
      await fc.assert(
        fc.asyncProperty(fc.nat(), async (seed) => {
          const text = new QueryMaker(tables, seed).make(3);
          const found = await both(text);
          if (found === undefined) return;
          taken += 1;
          checkOutputs(...found);
          await checkInfluence(text, ...found);
        }),
        { numRuns: 600, endOnFailure: true },
      );
      // Else the generator has gone astray, and nothing is tested.
      expect(taken).toBeGreaterThan(300);
    },
    timeoutMs,
  );

  /** Grants `lowly` what the analysis says that the statement itself does, by column. */
  async function grant({ operations }: StatementAnalysis): Promise<void> {
    for (const { verb, reach, resource, columns = [] } of operations) {
      const [, schemaName = '', name = ''] = resource;
      const relation = context.catalog.relation(schemaName, name);
      if (reach !== 'Named' || relation === undefined) continue;
      // Reading no column in particular takes a privilege on any one.
      const listed = columns.length > 0 ? columns : [relation.columns[0]?.name];
      const privilege = verb === 'Delete' ? 'DELETE' : `${verb} (${listed.join(', ')})`;
      if (['Select', 'Insert', 'Update', 'Delete'].includes(verb)) {
        await client.query(`GRANT ${privilege} ON ${schemaName}.${name} TO lowly`);
      }
    }
  }

  const wrappings: readonly ((query: string) => string)[] = [
    (query) => query,
    (query) => `INSERT INTO parts (mark) SELECT x::text FROM (${query}) x`,
    (query) =>
      `UPDATE people SET name = (SELECT max(x::text) FROM (${query}) x) WHERE id = 1 RETURNING email`,
    (query) => `DELETE FROM sales USING (${query}) x WHERE sales.id < 0 RETURNING sales.note`,
    (query) =>
      `WITH w AS (UPDATE people SET email = 'x' WHERE ssn = 'y' RETURNING name) SELECT * FROM w, (${query}) x`,
    (query) =>
      `INSERT INTO people (id, name) SELECT 1, max(x::text) FROM (${query}) x ON CONFLICT (id) DO UPDATE SET name = 'x' WHERE people.email IS NULL RETURNING ssn`,
    (query) =>
      `MERGE INTO people c USING (SELECT count(*) AS k, max(x::text) AS t FROM (${query}) x) s ON c.id = s.k WHEN MATCHED AND c.ssn IS NULL THEN UPDATE SET name = s.t WHEN NOT MATCHED THEN INSERT (id, name) VALUES (-1, 'n')`,
  ];

  test(
    'a role that may do only what the analysis names can run the statement',
    async () => {
      await client.query('CREATE ROLE lowly');
      let taken = 0;
      await fc.assert(
        fc.asyncProperty(fc.nat(), fc.constantFrom(...wrappings), async (seed, wrap) => {
          const text = wrap(new QueryMaker(tables, seed).make(2));
          await client.query('BEGIN');
          try {
            const found = await both(text);
            if (found === undefined) return;
            await client.query('ROLLBACK; BEGIN');
            await grant(found[0]);
            await client.query('SET ROLE lowly');
            await ask(client, text);
            taken += 1;
          } finally {
            await client.query('ROLLBACK');
          }
        }),
        { numRuns: 400, endOnFailure: true },
      );
      expect(taken).toBeGreaterThan(150);
    },
    timeoutMs,
  );

  test(
    'every relation of the system catalogs is either reviewed or refused, and has its columns',
    async () => {
      const { rows: found } = await ask(
        client,
        `SELECT format('%I.%I', n.nspname, c.relname), c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname IN ('pg_catalog', 'information_schema') AND c.relkind IN ('r', 'v')`,
      );
      expect(found.length).toBeGreaterThan(150);
      const never =
        /^pg_(stats|stats_ext|stats_ext_exprs|statistic|statistic_ext_data|authid|shadow|stat_activity|user_mapping|user_mappings|subscription|largeobject|prepared_statements|cursors|hba_file_rules|file_settings|db_role_setting)$/;
      for (const [qualified, name] of found) {
        const { statements } = analyze(`SELECT * FROM ${qualified}`, context);
        const operations = statements[0]?.operations ?? [];
        const unknown = operations.some(({ verb }) => verb === 'Unknown');
        if (never.test(String(name))) expect([qualified, unknown]).toEqual([qualified, true]);
        if (!unknown) {
          expect(operations.map((operation) => operation.class)).toEqual(['Catalog']);
          expect(operations[0]?.columns?.length).toBeGreaterThan(0);
        }
      }
    },
    timeoutMs,
  );
});
