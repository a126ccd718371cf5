/**
 * Names and time (§8, §11): what a statement resolved to, or what a name stood for, when it was decided and
 * when it ran. Whatever changes in between, a protected value is masked and a denied statement refused.
 */
import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import {
  type Attacker,
  AttackLab,
  bind,
  extended,
  labMasks,
  labPolicy,
  leaks,
  noDestruction,
} from '../support/attack-lab.ts';
import { identity, masking, policy } from '../support/chaperone.ts';
import { installedVersions } from '../support/postgres.ts';

/** Both have no origin that the server would tell: only the analysis knows what is in them. */
const secret = 'SELECT ssn FROM customers UNION ALL SELECT ssn FROM customers';
const harmless = 'SELECT name FROM customers UNION ALL SELECT name FROM customers';
const destruction = 'DELETE FROM order_items';

/** Whoever may change names: schemas, settings, roles, temporary tables. */
const builder = policy('builder', [
  {
    name: 'session-and-schema',
    action: 'Allow',
    classes: ['Session', 'Schema', 'Read', 'Write'],
    resources: ['shop.**'],
  },
  { name: 'roles', action: 'Allow', verbs: ['SetRole'], resources: ['shop.**'] },
  noDestruction,
]);
/** Of a schema that comes first in a path. */
const shadeMask = masking('shade', {
  columns: ['shop.shade.base.ssn'],
  transform: { type: 'Partial', keepLast: 4 },
});
const resources = [labPolicy(), builder, ...labMasks, shadeMask, identity('other')];
const long = 'n'.repeat(63);

type Attack = (a: Attacker) => Promise<unknown>;

/** Each ends with what a naive reader takes for harmless. */
const attacks: Readonly<Record<string, Attack>> = {
  'SET search_path, then read': async (a) => {
    await a.query('SET search_path = decoy');
    await a.query(secret);
    await a.query('SET search_path = public');
    await a.query(secret);
  },
  'in one text': (a) => a.query(`SET search_path = public; ${secret}`),
  'in one pipeline': (a) =>
    a.send([...extended('SET search_path = public'), ...extended(secret), write.sync]),
  'in one pipeline, prepared before': async (a) => {
    await a.query('SET search_path = decoy');
    await a.send([write.parse('s', secret), write.sync]);
    await a.send([
      ...extended('SET search_path = public'),
      bind('s'),
      write.execute('', 0),
      write.sync,
    ]);
  },
  'in one text, prepared before': async (a) => {
    await a.query('SET search_path = decoy');
    await a.query(`PREPARE p AS ${secret}`);
    await a.query('SET search_path = public; EXECUTE p');
    await a.query('EXECUTE p');
  },
  'by set_config in one pipeline': async (a) => {
    await a.query('SET search_path = decoy');
    await a.send([
      ...extended("SELECT set_config('search_path', 'public', false)"),
      ...extended(secret),
      write.sync,
    ]);
  },
  'by set_config as a parameter': async (a) => {
    await a.query('SET search_path = decoy');
    await a.extended("SELECT set_config('search_path', $1, false)", { parameters: ['public'] });
    await a.query(secret);
  },
  'by set_config in EXECUTE’s arguments': async (a) => {
    await a.query('SET search_path = decoy');
    await a.query('PREPARE p (text) AS SELECT $1');
    await a.send(
      [write.query("EXECUTE p(set_config('search_path', 'public', false))"), write.query(secret)],
      2,
    );
  },
  'by set_config behind EXECUTE': async (a) => {
    await a.query('SET search_path = decoy');
    await a.query("PREPARE p AS SELECT set_config('search_path', 'public', false)");
    await a.query(`EXECUTE p; ${secret}`);
    await a.query('SET search_path = decoy');
    await a.send([write.query('EXECUTE p'), write.query(secret)], 2);
    await a.query('SET search_path = decoy');
    await a.send([...extended('EXECUTE p'), ...extended(secret), write.sync]);
  },
  'by set_config behind FETCH': async (a) => {
    await a.query('SET search_path = decoy');
    await a.query('BEGIN');
    await a.query("DECLARE c CURSOR FOR SELECT set_config('search_path', 'public', false)");
    await a.send([write.query('FETCH c'), write.query(secret)], 2);
    await a.query('SET search_path = decoy');
    await a.query('MOVE BACKWARD ALL FROM c');
    await a.query(`FETCH c; ${secret}`);
  },
  'by UPDATE pg_settings': async (a) => {
    await a.query('SET search_path = decoy');
    await a.query("UPDATE pg_settings SET setting = 'public' WHERE name = 'search_path'");
    await a.query(secret);
  },
  ...Object.fromEntries(
    ['RESET search_path', 'RESET ALL', 'DISCARD ALL', 'SET search_path TO DEFAULT'].flatMap(
      (back) => [
        [
          `${back}`,
          async (a: Attacker) => {
            await a.query('SET search_path = decoy');
            await a.query(back);
            await a.query(secret);
          },
        ],
        [
          `${back}, in one pipeline`,
          async (a: Attacker) => {
            await a.query('SET search_path = decoy');
            await a.send([...extended(back), ...extended(secret), write.sync]);
          },
        ],
      ],
    ),
  ),
  ...Object.fromEntries(
    [
      'ROLLBACK',
      'ABORT',
      'ROLLBACK AND CHAIN',
      'COMMIT',
      'COMMIT AND CHAIN',
      'END',
      'ROLLBACK TO a',
      'RELEASE a; ROLLBACK',
    ].flatMap((end) => {
      const begin = async (a: Attacker) => {
        for (const sql of ['BEGIN', 'SAVEPOINT a', 'SET LOCAL search_path = decoy', secret]) {
          await a.query(sql);
        }
      };
      return [
        [
          `${end} of SET LOCAL`,
          async (a: Attacker) => {
            await begin(a);
            await a.query(end);
            await a.query(secret);
          },
        ],
        [
          `${end} of SET LOCAL, in one text`,
          async (a: Attacker) => {
            await begin(a);
            await a.query(`${end}; ${secret}`);
          },
        ],
        [
          `${end} of SET LOCAL, in one write`,
          async (a: Attacker) => {
            await begin(a);
            await a.send([write.query(end), write.query(secret)], 2);
          },
        ],
        [
          `${end} of SET LOCAL, in one pipeline`,
          async (a: Attacker) => {
            await begin(a);
            if (end.includes(';')) return;
            await a.send([...extended(end), ...extended(secret), write.sync]);
          },
        ],
        [
          `${end} of SET LOCAL, prepared before`,
          async (a: Attacker) => {
            await begin(a);
            await a.send([write.parse('s', secret), write.sync]);
            if (end.includes(';')) return;
            await a.send([...extended(end), bind('s'), write.execute('', 0), write.sync]);
          },
        ],
      ];
    }),
  ),
  'an error takes SET back': async (a) => {
    await a.query('BEGIN');
    await a.query('SET search_path = decoy');
    await a.query('SELECT 1/0');
    await a.send([write.query('ROLLBACK'), write.query(secret)], 2);
  },
  'an error takes SET back within one text': async (a) => {
    await a.query('SET search_path = decoy; SELECT 1/0');
    await a.query(secret);
  },
  'an error takes SET back within one pipeline': async (a) => {
    await a.send(
      [
        ...extended('SET search_path = decoy'),
        ...extended('SELECT $1::int', { parameters: ['x'] }),
        write.sync,
        ...extended(secret),
        write.sync,
      ],
      2,
    );
  },
  'SET LOCAL ends with its pipeline': (a) =>
    a.send(
      [...extended('SET LOCAL search_path = decoy'), write.sync, ...extended(secret), write.sync],
      2,
    ),
  'a temporary table in front, dropped': async (a) => {
    for (const sql of [
      'CREATE TEMP TABLE customers (id int, ssn text)',
      secret,
      'DROP TABLE customers',
      secret,
    ]) {
      await a.query(sql);
    }
  },
  ...Object.fromEntries(
    ['COMMIT', 'COMMIT AND CHAIN', 'ROLLBACK', 'ROLLBACK AND CHAIN', 'ROLLBACK TO a'].flatMap(
      (end) => [
        [
          `a temporary table in front until ${end}`,
          async (a: Attacker) => {
            for (const sql of [
              'BEGIN',
              'SAVEPOINT a',
              'CREATE TEMP TABLE customers (id int, ssn text) ON COMMIT DROP',
              secret,
              end,
              secret,
            ]) {
              await a.query(sql);
            }
          },
        ],
        [
          `a temporary table in front until ${end}, in one write`,
          async (a: Attacker) => {
            for (const sql of [
              'BEGIN',
              'SAVEPOINT a',
              'CREATE TEMP TABLE customers (id int, ssn text) ON COMMIT DROP',
              secret,
            ]) {
              await a.query(sql);
            }
            await a.send([write.query(end), write.query(secret)], 2);
          },
        ],
        [
          `a temporary table in front until ${end}, in one text`,
          async (a: Attacker) => {
            for (const sql of [
              'BEGIN',
              'SAVEPOINT a',
              'CREATE TEMP TABLE customers (id int, ssn text) ON COMMIT DROP',
              secret,
            ]) {
              await a.query(sql);
            }
            await a.query(`${end}; ${secret}`);
          },
        ],
      ],
    ),
  ),
  'DISCARD TEMP': async (a) => {
    await a.query('CREATE TEMP TABLE customers (id int, ssn text)');
    await a.query(secret);
    await a.send([write.query('DISCARD TEMP'), write.query(secret)], 2);
  },
  'the session’s own DDL renames': async (a) => {
    await a.query('CREATE TABLE decoy.other (id int, ssn text)');
    await a.query('SET search_path = decoy, public');
    await a.query(secret);
    await a.query('BEGIN');
    await a.send(
      [
        write.query('ALTER TABLE decoy.customers RENAME TO away'),
        write.query(secret),
        write.query('ROLLBACK'),
      ],
      3,
    );
    await a.query('DROP TABLE decoy.other');
  },
  'a column comes into a view’s definition': async (a) => {
    const change = 'ALTER TABLE shade.x ADD COLUMN ssn text';
    await a.query(`${change}; SELECT leak FROM shade.merged; SELECT 1/0`);
    for (const sql of ['BEGIN', change, 'SELECT leak FROM shade.merged', 'ROLLBACK']) {
      await a.query(sql);
    }
  },
  'a column goes from before those that a view’s definition lists': (a) =>
    a.query('ALTER TABLE shade.base DROP COLUMN junk; SELECT leak FROM shade.listed; SELECT 1/0'),
  'CASCADE to the rule of a view': async (a) => {
    await a.query('SET search_path = shade, public');
    await a.query('DROP TABLE shade.target CASCADE; SELECT v FROM shadow; SELECT 1/0');
  },
  'CASCADE to the default of a view’s column': async (a) => {
    await a.query('SET search_path = shade, public');
    await a.query('DROP SEQUENCE shade.ids CASCADE; SELECT v FROM shadow; SELECT 1/0');
  },
  'PREPARE behind CREATE SCHEMA': async (a) => {
    for (const sql of [
      'SET search_path = late, public',
      'BEGIN',
      `CREATE SCHEMA late; PREPARE p AS ${secret}`,
      'CREATE TABLE late.customers (id int, ssn text)',
      'EXECUTE p',
      'ROLLBACK',
    ]) {
      await a.query(sql);
    }
  },
  'PREPARE behind the first temporary table': async (a) => {
    for (const sql of [
      'BEGIN',
      `CREATE TEMP TABLE junk (a int); PREPARE p AS ${secret}`,
      'CREATE TEMP TABLE customers (id int, ssn text)',
      'EXECUTE p',
      'ROLLBACK',
    ]) {
      await a.query(sql);
    }
  },
  'a name reused: PREPARE, undone by a later error': async (a) => {
    await a.query(`PREPARE p AS ${harmless}`);
    await a.query(`DEALLOCATE p; PREPARE p AS ${secret}; SELECT 1/0`);
    await a.query('EXECUTE p');
  },
  'a name reused: DEALLOCATE ALL, undone by a later error': async (a) => {
    await a.query(`PREPARE p AS ${harmless}`);
    await a.query(`DEALLOCATE ALL; PREPARE p AS ${secret}; SELECT 1/0`);
    await a.extended('EXECUTE p');
  },
  'a name reused within one text': async (a) => {
    await a.query(`PREPARE p AS ${harmless}`);
    await a.query(`DEALLOCATE p; PREPARE p AS ${secret}; EXECUTE p`);
  },
  'a cursor reused within one text': async (a) => {
    await a.query('BEGIN');
    await a.query(`DECLARE c CURSOR FOR ${harmless}`);
    await a.query(`CLOSE c; DECLARE c CURSOR FOR ${secret}; FETCH ALL FROM c`);
  },
  'a cursor redeclared between Bind and Execute': async (a) => {
    await a.query('BEGIN');
    await a.query(`DECLARE c CURSOR FOR ${harmless}`);
    await a.send([write.parse('f', 'FETCH ALL FROM c'), bind('f', { portal: 'p' }), write.sync]);
    await a.query('CLOSE c');
    await a.query(`DECLARE c CURSOR FOR ${secret}`);
    await a.send([write.execute('p', 0), write.sync]);
  },
  'a cursor redeclared in the same pipeline': async (a) => {
    await a.query('BEGIN');
    await a.query(`DECLARE c CURSOR FOR ${harmless}`);
    await a.send([
      write.parse('f', 'FETCH ALL FROM c'),
      bind('f', { portal: 'p' }),
      ...extended('CLOSE c', { portal: 'q' }),
      ...extended(`DECLARE c CURSOR FOR ${secret}`, { portal: 'r' }),
      write.execute('p', 0),
      write.sync,
    ]);
  },
  'EXECUTE’s name reused between Bind and Execute': async (a) => {
    await a.query('BEGIN');
    await a.query(`PREPARE p AS ${harmless}`);
    await a.send([write.parse('e', 'EXECUTE p'), bind('e', { portal: 'x' }), write.sync]);
    await a.query('DEALLOCATE p');
    await a.query(`PREPARE p AS ${secret}`);
    await a.send([write.execute('x', 0), write.sync]);
  },
  'a portal redefined between Bind and Execute': (a) =>
    a.send([
      write.parse('h', harmless),
      bind('h'),
      write.parse('s', secret),
      bind('s'),
      write.execute('', 0),
      write.sync,
    ]),
  'a portal and a cursor of one name': async (a) => {
    await a.query('BEGIN');
    await a.send([write.parse('h', harmless), bind('h', { portal: 'c' }), write.sync]);
    await a.query('CLOSE c');
    await a.query(`DECLARE c CURSOR FOR ${secret}`);
    await a.send([write.execute('c', 2), write.sync]);
    await a.query('FETCH ALL FROM c');
  },
  'the unnamed statement redefined': (a) =>
    a.send([
      write.parse('', harmless),
      write.parse('', secret),
      bind(''),
      write.execute('', 0),
      write.sync,
    ]),
  'the unnamed statement redefined after an error': async (a) => {
    await a.send([write.parse('', harmless), write.sync]);
    await a.send(
      [
        write.parse('', secret),
        write.parse('f', 'SELECT $1::int'),
        bind('f', { parameters: ['x'] }),
        write.sync,
        bind(''),
        write.execute('', 0),
        write.sync,
      ],
      2,
    );
  },
  'an undo that comes after the next pipeline': async (a) => {
    await a.send([write.parse('s', harmless), write.sync]);
    await a.send(
      [
        write.parse('f', 'SELECT $1::int'),
        bind('f', { parameters: ['x'] }),
        write.close('Statement', 's'),
        write.sync,
        write.close('Statement', 's'),
        write.parse('s', secret),
        write.sync,
        bind('s'),
        write.execute('', 0),
        write.sync,
      ],
      3,
    );
    await a.send([bind('s'), write.execute('', 0), write.sync]);
  },
  'names longer than the server keeps': async (a) => {
    await a.send([write.parse(`${long}1`, harmless), write.sync]);
    await a.send([
      write.close('Statement', `${long}3`),
      write.parse(`${long}2`, secret),
      write.sync,
    ]);
    await a.send([bind(`${long}1`), write.execute('', 0), write.sync]);
  },
  'names longer than the server keeps, cut within a character': async (a) => {
    const name = `${'n'.repeat(62)}é`;
    await a.send([write.parse(`${name}1`, harmless), write.sync]);
    await a.send([write.close('Statement', `${name}3`), write.parse(name, secret), write.sync]);
    await a.send([bind(`${name}1`), write.execute('', 0), write.sync]);
  },
  'names that differ in the byte they are cut at': async (a) => {
    await a.send([write.parse(`${'n'.repeat(62)}é`, harmless), write.sync]);
    await a.send([write.parse(`${'n'.repeat(62)}☃`, secret), write.sync]);
    await a.send([bind(`${'n'.repeat(62)}é`), write.execute('', 0), write.sync]);
    await a.send([bind(`${'n'.repeat(62)}☃`), write.execute('', 0), write.sync]);
  },
  'long portals': async (a) => {
    await a.query('BEGIN');
    await a.send([write.parse('h', harmless), bind('h', { portal: `${long}1` }), write.sync]);
    await a.send([
      write.close('Portal', `${long}3`),
      write.parse('s', secret),
      bind('s', { portal: `${long}2` }),
      write.sync,
    ]);
    await a.send([write.execute(`${long}1`, 0), write.sync]);
  },
  'a long portal and a cursor': async (a) => {
    await a.query('BEGIN');
    await a.send([write.parse('h', harmless), bind('h', { portal: `${long}1` }), write.sync]);
    await a.query(`CLOSE ${long}`);
    await a.query(`DECLARE ${long}xyz CURSOR FOR ${secret}`);
    await a.send([write.execute(`${long}1`, 0), write.sync]);
  },
  'our own names': async (a) => {
    for (const name of ['_chaperone_in_band', '_chaperone_refused', '_chaperone_write']) {
      await a.send([write.parse(name, secret), bind(name, { portal: name }), write.sync]);
      await a.query(`PREPARE ${name} AS ${secret}`);
      await a.query(`EXECUTE ${name}`);
      await a.send([write.execute(name, 0), write.sync]);
    }
  },
  'operators and functions of the caller’s in front of the catalog’s': async (a) => {
    await a.query('SET search_path = evil, pg_catalog, public');
    await a.query(secret);
    await a.query('SELECT lower(ssn) FROM customers');
    await a.query('SELECT ssn = ssn FROM customers');
    await a.query('SET search_path = evil, public, pg_catalog');
    await a.query(secret);
  },
  'no search_path at all': async (a) => {
    await a.query("SET search_path = ''");
    await a.query(secret);
    await a.query('SELECT ssn FROM public.customers UNION SELECT ssn FROM public.people');
  },
  'odd search paths': async (a) => {
    for (const path of [
      '"$user", public',
      'PUBLIC',
      '"PUBLIC", public',
      'pg_temp, public',
      'missing, public, decoy',
      "'decoy, public'",
      'public, "pg_temp"',
      '"public"',
      'shop.public, public',
    ]) {
      await a.query(`SET search_path = ${path}`);
      await a.query(secret);
    }
  },
};

const hostileSetup = [
  'CREATE SCHEMA evil',
  "CREATE FUNCTION evil.lower(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', $1; RETURN $1; END $$",
  "CREATE FUNCTION evil.textseen(text, text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '% %', $1, $2; RETURN true; END $$",
  'CREATE OPERATOR evil.= (FUNCTION = evil.textseen, LEFTARG = text, RIGHTARG = text)',
  'CREATE FUNCTION evil.oidseen(oid, oid) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN DELETE FROM public.order_items; RETURN true; END $$',
  'CREATE OPERATOR evil.= (FUNCTION = evil.oidseen, LEFTARG = oid, RIGHTARG = oid)',
  'CREATE OPERATOR evil.<> (FUNCTION = evil.oidseen, LEFTARG = oid, RIGHTARG = oid)',
  "CREATE FUNCTION evil.current_schemas(bool) RETURNS name[] LANGUAGE sql AS $$ SELECT '{decoy}'::name[] $$",
  "CREATE FUNCTION evil.current_setting(text) RETURNS text LANGUAGE sql AS $$ SELECT 'decoy' $$",
  'CREATE FUNCTION evil.json_build_object(VARIADIC "any") RETURNS json LANGUAGE internal AS \'json_build_object\'',
  'CREATE FUNCTION evil.has_schema_privilege(oid, text) RETURNS bool LANGUAGE sql AS $$ SELECT false $$',
  "CREATE VIEW evil.pg_class AS SELECT * FROM pg_catalog.pg_class WHERE relname <> 'customers'",
  "CREATE VIEW evil.pg_namespace AS SELECT * FROM pg_catalog.pg_namespace WHERE nspname <> 'public'",
];

/** What a text's own changes may make another thing of. */
const shadeSetup = [
  'CREATE SCHEMA shade',
  'CREATE TABLE shade.base (junk text, ssn text, note text)',
  "INSERT INTO shade.base SELECT 'junk', ssn, 'note' FROM customers",
  'CREATE VIEW shade.listed AS SELECT b AS leak FROM shade.base AS x (a, b, c)',
  'CREATE TABLE shade.other (ssn text)',
  'CREATE TABLE shade.x (n text)',
  'INSERT INTO shade.x VALUES (NULL)',
  'CREATE VIEW shade.merged AS SELECT (SELECT COALESCE(ssn, x.n) FROM shade.x LIMIT 1) AS leak FROM shade.base FULL JOIN shade.other USING (ssn)',
  'CREATE VIEW shade.shadow AS SELECT ssn AS v FROM customers',
  'CREATE TABLE public.shadow (v text)',
  'CREATE TABLE shade.target (a int)',
  'CREATE RULE r AS ON INSERT TO shade.shadow DO INSTEAD INSERT INTO shade.target VALUES (1)',
  'CREATE SEQUENCE shade.ids',
  "ALTER VIEW shade.shadow ALTER COLUMN v SET DEFAULT nextval('shade.ids')::text",
];

describe.each(await installedVersions())('PostgreSQL %i', (version) => {
  let lab: AttackLab;
  let before: unknown;
  beforeAll(async () => {
    lab = await AttackLab.start({ version, resources, setup: [...hostileSetup, ...shadeSetup] });
    before = await lab.state();
  }, 60_000);
  afterEach(() => lab.disconnect());
  afterAll(() => lab?.stop());

  test.each(Object.keys(attacks))('%s', async (name) => {
    const attacker = await lab.attacker();
    await attacks[name]!(attacker);
    expect(leaks(attacker.seen)).toEqual([]);
    expect(await lab.state()).toEqual(before);
  });

  test('the harmless twin is delivered, so that the names above stand for something', async () => {
    const attacker = await lab.attacker();
    await attacker.query(`PREPARE p AS ${harmless}`);
    expect((await attacker.query('EXECUTE p')).rows.length).toBeGreaterThan(2);
    await attacker.query('SET search_path = decoy');
    expect((await attacker.query(secret)).rows).toEqual([['decoy'], ['decoy']]);
  });

  test.each([
    ['SET', 'SET search_path = decoy'],
    ['startup', ''],
  ])('a denied relation under another path: %s', async (_, sql) => {
    const attacker = await lab.attacker(sql === '' ? { options: '-c search_path=decoy' } : {});
    if (sql !== '') await attacker.query(sql);
    expect((await attacker.query('SELECT ssn FROM customers')).rows).toEqual([['decoy']]);
    await attacker.query('SET search_path = public');
    expect((await attacker.query(destruction)).sqlstate).toBe('42501');
    expect(await lab.state()).toEqual(before);
  });
});

describe('between Parse and Execute', () => {
  let lab: AttackLab;
  beforeAll(async () => {
    lab = await AttackLab.start({ resources });
  }, 60_000);
  afterEach(async () => {
    lab.disconnect();
  });
  afterAll(() => lab?.stop());

  const denyRead = labPolicy({
    name: 'no-more',
    action: 'Deny',
    classes: ['Read'],
    resources: ['shop.public.orders'],
  });

  test('a policy that denies holds on the next Execute of what was prepared and bound', async () => {
    const attacker = await lab.attacker();
    await attacker.query('BEGIN');
    await attacker.send([write.parse('s', 'SELECT id FROM orders'), write.sync]);
    await attacker.send([bind('s', { portal: 'p' }), write.sync]);
    await attacker.send([bind('s', { portal: 'q' }), write.execute('q', 1), write.sync]);
    await attacker.query('DECLARE c CURSOR FOR SELECT id FROM orders');
    await attacker.query('PREPARE sql AS SELECT id FROM orders');
    await lab.applyPolicy([denyRead, builder, ...labMasks, identity('other')]);
    try {
      for (const messages of [
        [write.execute('p', 0)],
        [write.execute('q', 0)],
        [bind('s'), write.execute('', 0)],
        [write.query('FETCH c')],
        [write.query('EXECUTE sql')],
        extended('FETCH c'),
        extended('EXECUTE sql'),
        [write.execute('c', 0)],
      ]) {
        await attacker.query('SAVEPOINT s');
        const isQuery = messages[0]![0] === 0x51;
        const answer = await attacker.send(isQuery ? messages : [...messages, write.sync]);
        expect([answer.sqlstate, answer.rows, answer.status]).toEqual(['42501', [], 'E']);
        await attacker.query('ROLLBACK TO s');
      }
    } finally {
      await lab.applyPolicy(resources);
    }
  });

  test('a mask that is new holds on the next Execute, described or not', async () => {
    const [withoutSsn] = [labMasks.filter((mask) => !JSON.stringify(mask).includes('.ssn'))];
    await lab.applyPolicy([labPolicy(), builder, ...withoutSsn, identity('other')]);
    const attacker = await lab.attacker();
    const sql = 'SELECT ssn FROM people UNION ALL SELECT ssn FROM people';
    await attacker.query('BEGIN');
    await attacker.send([write.parse('s', sql), write.describe('Statement', 's'), write.sync]);
    await attacker.send([bind('s', { portal: 'p' }), write.execute('p', 1), write.sync]);
    await attacker.query(`DECLARE c CURSOR FOR ${sql}`);
    await attacker.query('FETCH c');
    await lab.applyPolicy(resources);
    attacker.takeSeen();
    const answers = [
      await attacker.send([write.execute('p', 0), write.sync]),
      await attacker.send([bind('s'), write.execute('', 0), write.sync]),
      await attacker.query('FETCH ALL FROM c'),
    ];
    expect(answers.every((answer) => answer.rows.length > 1)).toBe(true);
    expect(leaks(attacker.seen)).toEqual([]);
  });

  test('a session whose policies are withdrawn is cut and rolled back, whatever it has prepared', async () => {
    const attacker = await lab.attacker();
    await attacker.query('BEGIN');
    await attacker.query('INSERT INTO plain VALUES (99, $$from a cut session$$)');
    await attacker.send([write.parse('s', 'SELECT 1'), bind('s', { portal: 'p' }), write.sync]);
    await lab.applyPolicy([policy('nothing', [denyAll]), identity('other')]);
    const answer = await attacker.rest();
    expect(answer.errors.at(-1)?.get('S')).toBe('FATAL');
    await lab.applyPolicy(resources);
    expect(await lab.behind('SELECT count(*)::int FROM plain WHERE id = 99')).toEqual([[0]]);
  });

  test('a view that another session has replaced: catalogCheck Statement', async () => {
    const target = { catalogCheck: 'Statement' };
    const strict = await AttackLab.start({
      resources,
      target,
      setup: ['CREATE VIEW shifting AS SELECT id, name AS v FROM customers'],
    });
    try {
      const attacker = await strict.attacker();
      // What was read at login was read before this.
      await strict.behind('CREATE OR REPLACE VIEW shifting AS SELECT id, ssn AS v FROM customers');
      const first = await attacker.query('SELECT v FROM shifting UNION ALL SELECT v FROM shifting');
      expect(first.rows.length).toBeGreaterThan(2);
      await attacker.send([
        write.parse('s', 'SELECT v FROM shifting UNION ALL SELECT v FROM shifting'),
        write.sync,
      ]);
      for (const column of ['ssn', 'name', 'email', 'ssn']) {
        const change = `CREATE OR REPLACE VIEW shifting AS SELECT id, ${column} AS v FROM customers`;
        await strict.behind(change);
        const simple = await attacker.query(
          'SELECT v FROM shifting UNION ALL SELECT v FROM shifting',
        );
        const prepared = await attacker.send([bind('s'), write.execute('', 0), write.sync]);
        expect([simple.rows.length > 2, prepared.rows.length > 2]).toEqual([true, true]);
      }
      expect(leaks(attacker.seen)).toEqual([]);
    } finally {
      await strict.stop();
    }
  });
});

const denyAll = { name: 'none', action: 'Deny', classes: ['Read'], resources: ['shop.**'] };
