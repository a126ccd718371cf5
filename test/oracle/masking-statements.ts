/** Random conversations: a query in one of the shapes that SQL and the protocol have, and what surrounds one. */
import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { bind, extended } from '../support/attack-lab.ts';
import { boundExchanges, executedTexts, parameterized } from './masking-parameters.ts';
import { QueryMaker } from './masking-queries.ts';
import { Choices } from './masking-random.ts';
import { guess, shapes } from './masking-worlds.ts';

/** What is sent in one write, and how many ReadyForQuery answer it. */
export interface Step {
  readonly label: string;
  readonly bytes: Buffer;
  readonly ready: number;
}

export interface Conversation {
  /** The query that it is about; what is counted is counted by it. */
  readonly sql: string;
  readonly shape: string;
  readonly steps: readonly Step[];
}

const query = (sql: string): Step => ({ label: sql, bytes: write.query(sql), ready: 1 });

function pipeline(label: string, ...messages: Buffer[]): Step {
  return { label, bytes: Buffer.concat([...messages, write.sync]), ready: 1 };
}

const undo = query('ROLLBACK');

/** In a transaction that is undone. */
const undone = (...steps: Step[]): Step[] => [query('BEGIN'), ...steps, undo];

/** Ways to put a query; `sql` may write, and is then undone by the caller's transaction. */
const anyShapes: Readonly<Record<string, (sql: string) => Step[]>> = {
  simple: (sql) => [query(sql)],
  'extended, text': (sql) => [pipeline(`text: ${sql}`, ...extended(sql, { describe: true }))],
  'extended, binary': (sql) => [
    pipeline(`binary: ${sql}`, ...extended(sql, { resultFormats: [1], describe: true })),
  ],
  'extended, binary, not described': (sql) => [
    pipeline(`undescribed: ${sql}`, ...extended(sql, { resultFormats: [1] })),
  ],
  'extended, in parts, executed twice': (sql) => [
    pipeline(
      `in parts: ${sql}`,
      write.parse('ps', sql),
      write.describe('Statement', 'ps'),
      bind('ps', { portal: 'po', resultFormats: [1] }),
      write.execute('po', 2),
      write.execute('po', 0),
      bind('ps', { portal: 'pq' }),
      write.execute('pq', 0),
    ),
    pipeline('close', write.close('Statement', 'ps')),
  ],
  prepared: (sql) => [
    query(`PREPARE pr AS ${sql}`),
    query('EXECUTE pr'),
    pipeline('binary: EXECUTE pr', ...extended('EXECUTE pr', { resultFormats: [1] })),
    query('DEALLOCATE ALL'),
  ],
  explain: (sql) => [query(`EXPLAIN (VERBOSE) ${sql}`)],
  'explain analyze': (sql) => [
    query(`EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF, BUFFERS OFF, COSTS OFF) ${sql}`),
  ],
  'explain as JSON': (sql) => [query(`EXPLAIN (FORMAT JSON) ${sql}`)],
  'two in one text': (sql) => [query(`SELECT id FROM plain; ${sql}`)],
  'behind an error': (sql) => [query('SELECT 1 / 0'), query(sql)],
};

const selectShapes: Readonly<Record<string, (sql: string) => Step[]>> = {
  cursor: (sql) =>
    undone(
      query(`DECLARE cu SCROLL CURSOR FOR ${sql}`),
      query('FETCH 2 FROM cu'),
      query('FETCH ABSOLUTE 1 FROM cu'),
      pipeline('binary: FETCH ALL', ...extended('FETCH ALL FROM cu', { resultFormats: [1] })),
    ),
  'binary cursor with hold': (sql) => [
    query(`DECLARE ch BINARY CURSOR WITH HOLD FOR ${sql}`),
    query('FETCH ALL FROM ch'),
    query('CLOSE ALL'),
  ],
  'copy, text': (sql) => [query(`COPY (${sql}) TO STDOUT`)],
  'copy, csv': (sql) => [query(`COPY (${sql}) TO STDOUT WITH (FORMAT csv)`)],
  'copy, binary': (sql) => [query(`COPY (${sql}) TO STDOUT (FORMAT binary)`)],
  'copy, options': (sql) => [query(`COPY (${sql}) TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE *)`)],
  'CTE around it': (sql) => [query(`WITH q0 AS MATERIALIZED (${sql}) SELECT * FROM q0`)],
  'sub-select around it': (sql) => [query(`SELECT q0.* FROM (${sql}) q0`)],
  'fields of its rows': (sql) => [
    query(`SELECT (q1.r).* FROM (SELECT q0 AS r FROM (${sql}) q0) q1`),
  ],
  'rows of it': (sql) => [query(`SELECT q0 FROM (${sql}) q0`)],
  'JSON of it': (sql) => [query(`SELECT to_jsonb(q0) FROM (${sql}) q0`)],
  'whether it has rows': (sql) => [query(`SELECT EXISTS (${sql})`)],
  'how many rows': (sql) => [query(`SELECT count(*) FROM (${sql}) q0`)],
  'an array of it': (sql) => [query(`SELECT ARRAY(SELECT q0::text FROM (${sql}) q0)`)],
  'temporary table': (sql) =>
    undone(query(`CREATE TEMP TABLE made AS ${sql}`), query('SELECT * FROM made')),
  'select into': (sql) =>
    undone(query(`SELECT q0.* INTO TEMP made FROM (${sql}) q0`), query('TABLE made')),
  'view of it': (sql) =>
    undone(query(`CREATE TEMP VIEW made AS ${sql}`), query('SELECT * FROM made')),
  'view on a view of it': (sql) =>
    undone(
      query(`CREATE VIEW made AS ${sql}`),
      query('CREATE VIEW more AS SELECT * FROM made'),
      query('SELECT * FROM more'),
      query('COPY (SELECT * FROM more) TO STDOUT'),
    ),
  'materialized view of it': (sql) =>
    undone(query(`CREATE MATERIALIZED VIEW made AS ${sql}`), query('TABLE made')),
  'behind what its text makes': (sql) =>
    undone(
      query(
        `CREATE TABLE made (id int PRIMARY KEY, note text); CREATE INDEX ON made (note); ${sql}`,
      ),
    ),
  'behind what its text changes': (sql) =>
    undone(
      query(
        `SET search_path = public; ALTER TABLE archive ENABLE ROW LEVEL SECURITY, ALTER COLUMN label DROP NOT NULL; ${sql}`,
      ),
    ),
  'in what its text makes': (sql) =>
    undone(
      query(
        `CREATE TABLE made (a text, id serial); INSERT INTO made (a) SELECT q0::text FROM (${sql}) q0; SELECT a FROM made`,
      ),
    ),
};

/** What is no query: code, notifications, definitions, constraints that tell by failing. */
function others(choices: Choices): string[] {
  const column = choices.pick(Object.keys(shapes));
  const table = choices.pick(['vault', 'archive', 'vault', 'parts']);
  const id = 1 + choices.below(5);
  const one = `(SELECT ${column} FROM ${table} WHERE id = ${id})`;
  return choices.pick<() => string[]>([
    () => [`DO $$ BEGIN RAISE NOTICE '%', ${one}; END $$`],
    () => [`DO $$ BEGIN RAISE EXCEPTION '%', ${one} USING DETAIL = 'x'; END $$`],
    () => ['LISTEN ch', `SELECT pg_notify('ch', ${one}::text)`, 'UNLISTEN *'],
    () => [`SELECT set_config('chaperone.x', ${one}::text, false)`, 'SHOW chaperone.x'],
    () => [`SELECT set_config('application_name', ${one}::text, false)`],
    () => [
      `SELECT set_config('application_name', ${one}::text, false)`,
      `SELECT current_setting('application_name')`,
    ],
    () => [`SELECT query_to_xml('SELECT ${column} FROM ${table}', true, true, '')`],
    () => [`SELECT table_to_xml('${table}', true, true, '')`],
    () => [`SELECT cursor_to_xml('c', 1, true, true, '')`],
    () => [`SELECT lo_from_bytea(0, ${one}::text::bytea)`],
    () => [`SELECT * FROM pg_stats WHERE tablename = '${table}'`],
    () => [`SELECT most_common_vals FROM pg_stats WHERE tablename = '${table}'`],
    () => [`SELECT query FROM pg_stat_activity WHERE datname LIKE 'world%'`],
    () => [`COPY ${table} TO STDOUT`],
    () => [`COPY ${table} (id, ${column}) TO STDOUT WITH (FORMAT csv)`],
    () => [`COPY ${table} TO '/tmp/chaperone-oracle-must-not-be'`],
    () => [`INSERT INTO vault (id, label, t, x) VALUES (50, 'l', '${guess}', '${guess}')`],
    () => [`INSERT INTO vault (id, label, x) SELECT 50, 'l', x FROM vault WHERE id = ${id}`],
    () => [
      `INSERT INTO vault (id, label, x) VALUES (50, 'l', '${guess}') ON CONFLICT (x) DO NOTHING`,
    ],
    () => [`UPDATE vault SET x = '${guess}' WHERE id = ${id}`],
    () => [`UPDATE vault SET x = 'same'`],
    () => [`UPDATE ${table} SET ${column} = NULL WHERE id = ${id} RETURNING *`],
    () => [`ALTER TABLE ${table} ADD CHECK (${column}::text > 'M')`],
    () => [
      `ALTER TABLE ${table} ALTER ${column} TYPE text USING left(${column}::text, 3)`,
      `SELECT * FROM ${table}`,
    ],
    () => [`ALTER TABLE ${table} ALTER ${column} TYPE varchar(5)`],
    () => [
      `ALTER TABLE ${table} ADD COLUMN made text GENERATED ALWAYS AS (${column}::text) STORED`,
      `SELECT made FROM ${table}`,
    ],
    () => [`ALTER TABLE ${table} RENAME COLUMN ${column} TO made`, `SELECT made FROM ${table}`],
    () => [`ALTER TABLE ${table} RENAME TO made`, `SELECT ${column} FROM made`],
    () => [
      'CREATE SCHEMA made',
      `ALTER TABLE ${table} SET SCHEMA made`,
      `SELECT ${column} FROM made.${table}`,
    ],
    () => [`CREATE UNIQUE INDEX ON ${table} (${column})`],
    () => [`CREATE INDEX ON ${table} ((1 / (ascii(${column}::text) - 81)))`],
    () => [
      `CREATE TABLE made (LIKE ${table})`,
      `INSERT INTO made SELECT * FROM ${table}`,
      'SELECT * FROM made',
    ],
    () => [
      `CREATE FUNCTION made() RETURNS text LANGUAGE sql AS $$ SELECT ${column}::text FROM ${table} WHERE id = ${id} $$`,
      'SELECT made()',
    ],
    () => [
      `CREATE FUNCTION made() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', OLD; RETURN NEW; END $$`,
      `CREATE TRIGGER tr BEFORE UPDATE ON ${table} FOR EACH ROW EXECUTE FUNCTION made()`,
      `UPDATE ${table} SET label = 'x' WHERE id = ${id}`,
    ],
    () => [
      `CREATE RULE ru AS ON UPDATE TO plain DO ALSO SELECT ${column} FROM ${table}`,
      `UPDATE plain SET label = 'x' WHERE id = 1`,
    ],
    () => [
      `CREATE POLICY po ON plain USING (EXISTS (SELECT FROM ${table} WHERE ${column}::text > 'M'))`,
    ],
    () => [`CREATE STATISTICS st ON (${column}::text), id FROM ${table}`, `ANALYZE ${table}`],
    () => [
      'CREATE TABLE made (id int, label text)',
      `CREATE TABLE made_too () INHERITS (${table})`,
      'SELECT * FROM made_too',
    ],
    () => [`CREATE TABLE made PARTITION OF parts FOR VALUES IN (7)`, 'SELECT t FROM made'],
    () => [`ALTER TABLE parts DETACH PARTITION parts_1`, 'SELECT t, i FROM parts_1'],
    () => [
      `CREATE TABLE made (a text, FOREIGN KEY (a) REFERENCES vault (x))`,
      `INSERT INTO made VALUES ('${guess}')`,
    ],
    () => [`COMMENT ON TABLE plain IS '${column}'`, `SELECT obj_description('plain'::regclass)`],
    () => [`SELECT ctid, tableoid::regclass, ${column} FROM ${table}`],
    () => [`SELECT pg_column_size(${column}) FROM ${table}`],
    () => [`SELECT id FROM ${table} TABLESAMPLE SYSTEM (100) REPEATABLE (1)`],
    () => [`VALUES (${one}), (NULL)`],
    () => [`SELECT 1 LIMIT length(${one}::text)`],
    () => [`LOCK TABLE ${table}`, `SELECT ${column} FROM ${table}`],
    () => [`CALL made(${one})`],
    () => [`EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF) UPDATE ${table} SET label = ${one}::text`],
  ])();
}

/** The query with parameters for some of its literals, by messages or by statements. */
function withParameters(
  sql: string,
  choices: Choices,
): { readonly shape: string; readonly steps: readonly Step[] } | undefined {
  const made = parameterized(sql, choices);
  if (made === undefined) return undefined;
  const close = pipeline('close', write.close('Statement', 'pp'));
  const way = choices.next();
  if (way < 0.2) {
    const steps = executedTexts(made, choices).map((text) => query(text));
    return { shape: 'parameters: EXECUTE', steps: [...steps, query('DEALLOCATE ALL')] };
  }
  const explained = way < 0.3 ? { ...made, sql: `EXPLAIN (VERBOSE) ${made.sql}` } : made;
  const steps = boundExchanges(explained, choices).map(({ label, messages }) =>
    pipeline(`bound: ${label}`, ...messages),
  );
  return { shape: 'parameters: Bind', steps: [...steps, close] };
}

/** The conversation of a seed; the same for the same seed and server version. */
export function conversation(seed: number, serverVersion: number): Conversation {
  const choices = new Choices(seed);
  const maker = new QueryMaker(choices, serverVersion);
  const kind = choices.next();
  if (kind < 0.12) {
    const texts = others(choices);
    if (choices.chance(0.3)) {
      const text = texts.join('; ');
      return { sql: text, shape: 'other, one text', steps: undone(query(text)) };
    }
    const extendedToo = choices.chance(0.3);
    return {
      sql: texts.join('; '),
      shape: 'other',
      steps: undone(
        ...texts.flatMap((sql) => {
          const steps = extendedToo ? withParameters(sql, choices)?.steps : undefined;
          if (steps !== undefined) return steps;
          return extendedToo ? pipeline(sql, ...extended(sql, { resultFormats: [1] })) : query(sql);
        }),
      ),
    };
  }
  if (kind < 0.24) {
    const { sql } = maker.write();
    const given = choices.chance(0.25) ? withParameters(sql, choices) : undefined;
    if (given) return { sql, shape: `write: ${given.shape}`, steps: undone(...given.steps) };
    const shape = choices.pick(Object.keys(anyShapes));
    return { sql, shape: `write: ${shape}`, steps: undone(...anyShapes[shape]!(sql)) };
  }
  const { sql } = maker.make(choices.below(4));
  const given = choices.chance(0.25) ? withParameters(sql, choices) : undefined;
  if (given) {
    const undoes = /\b(INSERT|UPDATE|DELETE|MERGE)\b/.test(sql);
    return { sql, shape: given.shape, steps: undoes ? undone(...given.steps) : given.steps };
  }
  const all = { ...anyShapes, ...selectShapes };
  // As often as all the others together: as it is.
  const shape = choices.chance(0.4)
    ? choices.pick(['simple', 'extended, text', 'extended, binary'])
    : choices.pick(Object.keys(all));
  const steps = all[shape]!(sql);
  const writes = /\b(INSERT|UPDATE|DELETE|MERGE)\b/.test(sql);
  return { sql, shape, steps: writes ? undone(...steps) : steps };
}

/** One conversation over fixed texts, undone at its end. */
export function conversationOf(texts: readonly string[], binary = false): Conversation {
  return {
    sql: texts.join('; '),
    shape: binary ? 'fixed, binary' : 'fixed',
    steps: undone(
      ...texts.map((sql) =>
        binary ? pipeline(sql, ...extended(sql, { resultFormats: [1] })) : query(sql),
      ),
    ),
  };
}

/** Texts and documents that are said whole, in other words: a detector finds what is in them. */
const wholes: readonly string[] = [
  'body',
  'more',
  'doc',
  'tags',
  'l',
  'l.*',
  `body || '!'`,
  `'see ' || body`,
  'upper(body)',
  'initcap(body)',
  'trim(body)',
  'left(body, 60)',
  `concat(body, ' ', more)`,
  `format('%s', body)`,
  'quote_literal(body)',
  `coalesce(body, 'none')`,
  'CASE WHEN id < 3 THEN body ELSE more END',
  'body::varchar',
  'body::char(60)',
  'body COLLATE "C"',
  'more::text',
  'l::text',
  'ROW(body, 1)',
  'ARRAY[body, more]',
  `doc -> 'card'`,
  `doc ->> 'card'`,
  `doc #> '{n,1}'`,
  'doc::text',
  'doc::json',
  'jsonb_pretty(doc)',
  'to_jsonb(l)',
  'row_to_json(l)',
  `json_build_object('b', body)`,
  `jsonb_set(doc, '{more}', to_jsonb(body))`,
  `jsonb_path_query(doc, '$.card')`,
  'jsonb_array_elements(jsonb_build_array(body, more))',
  'xmlelement(name a, body)',
  'unnest(tags)',
  `array_to_string(tags, ' ')`,
  'lag(body, 0) OVER (ORDER BY id)',
  '(SELECT more FROM letters WHERE id = 2)',
  'ARRAY(SELECT body FROM letters ORDER BY id)',
  `regexp_split_to_table(body, ',')`,
];

/** Each of them in one shape after the other; `turn` says with which it begins. */
export function detectorConversations(turn: number): Conversation[] {
  // A copy is another relation, into which a detector looks only if its rule says so.
  const copies = new Set(['temporary table', 'select into', 'in what its text makes']);
  const all = Object.entries({ ...anyShapes, ...selectShapes }).filter(
    ([shape]) => !copies.has(shape),
  );
  return [
    ...wholes.map((whole) => `SELECT ${whole} FROM letters l ORDER BY id`),
    `SELECT string_agg(body, ' | ' ORDER BY id), array_agg(more ORDER BY id), jsonb_agg(doc) FROM letters`,
    'SELECT said, doc FROM v_letters ORDER BY id',
    'SELECT body FROM letters UNION ALL SELECT note FROM plain',
  ].map((sql, index) => {
    const [shape, steps] = all[(index + turn) % all.length]!;
    return { sql, shape: `detectors: ${shape}`, steps: undone(...steps(sql)) };
  });
}
