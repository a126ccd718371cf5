import type { Operation } from '@chaperone/core/sql/operation.ts';
import type { Spoil } from './scratch.ts';

const without =
  (leftOut: (operation: Operation) => boolean): Spoil =>
  (analysis) => ({
    ...analysis,
    operations: analysis.operations.filter((operation) => !leftOut(operation)),
  });
const beneath = without(({ reach }) => reach === 'Beneath');
const verb = (name: string): Spoil => without((operation) => operation.verb === name);
const relation = (name: string): Spoil => without(({ resource }) => resource.at(-1) === name);

/** Analyses that leave something out, as a mistake in the analyzer would: [what, statement, the mistake]. */
export const spoilt: readonly (readonly [what: string, sql: string, spoil: Spoil])[] = [
  ['the relation read', 'SELECT * FROM people', relation('people')],
  ['the verb of a write', "UPDATE people SET name = 'n'", verb('Update')],
  [
    "MERGE's own verb",
    'MERGE INTO pins p USING other.things t ON false WHEN MATCHED THEN DELETE',
    verb('Merge'),
  ],
  [
    "MERGE's insertion",
    'MERGE INTO people p USING other.things t ON false WHEN NOT MATCHED THEN INSERT (id) VALUES (t.id + 70)',
    verb('Insert'),
  ],
  [
    "MERGE's source",
    'MERGE INTO people p USING other.things t ON false WHEN NOT MATCHED THEN INSERT (id) VALUES (t.id + 70)',
    relation('things'),
  ],
  [
    'a deletion in WITH',
    'WITH d AS (DELETE FROM pins RETURNING *) SELECT * FROM d',
    verb('Delete'),
  ],
  ['what a view reads', 'SELECT * FROM known_again', beneath],
  ['what a view writes', "UPDATE plain_again SET name = 'n'", beneath],
  ['partitions', 'SELECT * FROM parts', beneath],
  ['children', "UPDATE base SET tag = 't'", beneath],
  ['a cascading key', 'DELETE FROM people WHERE id < 5', relation('sales')],
  ['a key that sets NULL', 'DELETE FROM people WHERE id < 5', relation('lines')],
  ['TRUNCATE … CASCADE', 'TRUNCATE people CASCADE', beneath],
  ['DROP … CASCADE', 'DROP VIEW known CASCADE', beneath],
  ['the relation of an index', 'DROP INDEX base_id', beneath],
  ['what LOCK of a view locks', 'LOCK known', beneath],
  ['what FOR UPDATE of a view locks', 'SELECT * FROM plain FOR UPDATE', verb('Lock')],
  ['what is created', 'CREATE TABLE made AS SELECT 1 AS x', verb('Create')],
  ['what COPY reads', 'COPY (SELECT * FROM known) TO STDOUT', relation('people')],
  ['what EXPLAIN ANALYZE does', 'EXPLAIN ANALYZE DELETE FROM pins', verb('Delete')],
  ['a sequence', "SELECT nextval('numbers')", verb('Update')],
  [
    'a setting of the session',
    'SET ROLE clerk',
    (analysis) => ({ ...analysis, operations: [], effects: {} }),
  ],
  [
    "the owner's code",
    "INSERT INTO traced VALUES (7, 'x')",
    (analysis) => ({
      ...analysis,
      userCode: false,
      operations: analysis.operations.map(({ sideEffects: _, ...operation }) => operation),
    }),
  ],
  ['a privilege', 'GRANT SELECT ON people TO clerk', verb('Grant')],
  ['a function', 'ALTER FUNCTION fn_value() STABLE', verb('Alter')],
];

/** The same for texts: [what, statements, the mistake]. */
export const spoiltTexts: readonly (readonly [
  what: string,
  statements: readonly string[],
  spoil: Spoil,
])[] = [
  [
    'the rows of what was just made',
    ['CREATE TABLE made (id int)', 'INSERT INTO made VALUES (1)'],
    verb('Insert'),
  ],
  [
    'a key that was just added',
    [
      'ALTER TABLE pins ADD FOREIGN KEY (id) REFERENCES other.people ON DELETE CASCADE NOT VALID',
      'INSERT INTO other.people VALUES (1), (2) ON CONFLICT DO NOTHING',
      'DELETE FROM other.people',
    ],
    beneath,
  ],
  [
    'what a name means by then',
    ['ALTER TABLE pins RENAME TO needles', 'DELETE FROM needles'],
    relation('needles'),
  ],
  [
    'a sequence that was just made',
    ['DROP SEQUENCE numbers CASCADE', 'CREATE SEQUENCE numbers', "SELECT nextval('numbers')"],
    verb('Create'),
  ],
];
