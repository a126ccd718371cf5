import { QueryMaker } from '../support/random-queries.ts';
import { inTransaction } from './kinds.ts';
import { scratchTables } from './scratch-schema.ts';

/** Kinds that reach many relations, and so are worth most of the tries. */
const rich: ReadonlySet<string> = new Set(
  `SelectStmt InsertStmt UpdateStmt DeleteStmt MergeStmt CopyStmt ExplainStmt CreateTableAsStmt ViewStmt
   AlterTableStmt DropStmt TruncateStmt LockStmt CreateStmt IndexStmt RenameStmt`.split(/\s+/),
);

const wrappings: readonly ((query: string) => string)[] = [
  (query) => query,
  (query) => `INSERT INTO people (id, name) SELECT 90, max(x::text) FROM (${query}) x`,
  (query) => `INSERT INTO plain_again SELECT 91, max(x::text) FROM (${query}) x RETURNING *`,
  (query) => `UPDATE base SET tag = (SELECT max(x::text) FROM (${query}) x)`,
  (query) => `UPDATE parts SET mark = 'm' FROM (${query}) x WHERE parts.id > 0 RETURNING x::text`,
  (query) => `DELETE FROM sales USING (${query}) x WHERE sales.id > 2`,
  (query) => `DELETE FROM plain WHERE EXISTS (${query})`,
  (query) =>
    `WITH w AS (DELETE FROM people WHERE id < 3 RETURNING *), q AS (${query}) SELECT * FROM w, q`,
  (query) =>
    `MERGE INTO people c USING (SELECT count(*) AS k, max(x::text) AS t FROM (${query}) x) s ON c.id = s.k WHEN MATCHED THEN UPDATE SET name = s.t WHEN NOT MATCHED THEN INSERT (id, name) VALUES (92, 'n')`,
  (query) => `CREATE TABLE made AS ${query}`,
  (query) => `CREATE VIEW made AS SELECT x::text AS y FROM (${query}) x`,
  (query) => `COPY (SELECT x::text FROM (${query}) x) TO STDOUT`,
  (query) => `EXPLAIN ANALYZE ${query}`,
  (query) => `DECLARE c CURSOR WITH HOLD FOR SELECT x::text FROM (${query}) x`,
];

/** Statements to make others of: those written by hand, the rich kinds several times, and random queries. */
export function seedStatements(): string[] {
  const seeds: string[] = [];
  for (const [kind, statements] of Object.entries(inTransaction)) {
    const times = rich.has(kind) ? 3 : 1;
    for (const { sql, before } of statements) {
      if (before !== undefined) continue;
      for (let time = 0; time < times; time += 1) seeds.push(sql);
    }
  }
  wrappings.forEach((wrap, at) => {
    for (let number = 0; number < 20; number += 1) {
      seeds.push(wrap(new QueryMaker(scratchTables, 1000 * at + number).make(2)));
    }
  });
  return seeds;
}
