import { beforeAll, describe, expect, test } from '@jest/globals';
import { analyze } from './analyze.ts';
import { normalize } from './normalize.ts';
import { loadParser } from './parser.ts';
import { operationLine, statementsOf, unknownReasons } from './test-analysis.ts';
import { catalogOf } from './test-catalog.ts';
import { shop, shopCatalog } from './test-shop.ts';

beforeAll(() => loadParser());

/** The operations of a text's last statement, sorted. */
function lastOf(text: string, context = shop): readonly string[] {
  return (statementsOf(text, context).at(-1)?.operations ?? []).map(operationLine).sort();
}

const session = { ...shop, pathSetting: ['$user', 'public'] };
const bothSchemas = {
  ...shop,
  searchPath: ['pg_catalog', 'app', 'public'],
  pathSetting: ['app', 'public'],
};

describe('what a text makes', () => {
  test.each([
    ['create table t (a int); insert into t values (1)', ['Insert t (a)']],
    ['begin; create table t (a int); commit; update t set a = 1', ['Update t (a)']],
    ['create table t (a int); alter table t add b text; select * from t', ['Select t (a b)']],
    ['create table t (a int, b int); alter table t drop a; select * from t', ['Select t (b)']],
    ['create table t (a int); alter table t rename a to b; select b from t', ['Select t (b)']],
    ['create table t (a int); alter table t rename to u; select a from u', ['Select u (a)']],
    ['create table t (a int); create index i on t (a); drop index i', ['Drop i', '~Alter t']],
    [
      'create table t (a int constraint k primary key); alter index k rename to l',
      ['Alter k', 'Create l', '~Alter t'],
    ],
    ["create sequence s; select nextval('s')", ['Update s']],
    ["create table t (id serial); select setval('t_id_seq', 4)", ['Update t_id_seq']],
    [
      "create table t (id serial); select setval(pg_get_serial_sequence('t', 'id'), 4)",
      ['Select Catalog pg_catalog.pg_get_serial_sequence', 'Update t_id_seq'],
    ],
    ['create table t (id serial); drop sequence t_id_seq cascade', ['Drop t_id_seq', '~Alter t']],
    // What is dropped makes room for what is added.
    [
      'alter table contacts add column name int, drop column name; select name from contacts',
      ['Select contacts (name)'],
    ],
    [
      'alter table contacts enable row level security; select name from contacts',
      ['Select! contacts (name)'],
    ],
    // The first name that is free, as PostgreSQL chooses it.
    [
      "create sequence t_id_seq; create table t (id serial); select nextval('t_id_seq1')",
      ['Update t_id_seq1'],
    ],
    ["create type mood as enum ('a'); select 'a'::mood", []],
    [
      'create table t (a int references customers on delete cascade); delete from customers',
      [
        'Delete customers',
        '~Delete orders',
        '~Delete t',
        '~Update orders (customer_id doc id note total)',
        '~Update t (a)',
      ],
    ],
    [
      'create table t (a int primary key, up int references t on delete set null); delete from t',
      ['Delete t', '~Update t (a up)'],
    ],
    [
      'alter table contacts add foreign key (id) references app.customers on delete cascade; delete from app.customers',
      ['Delete app.customers', '~Delete contacts', '~Update contacts (id name ssn)'],
    ],
    [
      'create function f() returns trigger language plpgsql as $$ $$; create trigger g before insert on contacts for each row execute function f(); insert into contacts values (1)',
      ['Insert! contacts (id name ssn)'],
    ],
    [
      'create table t (a int references contacts); drop table contacts cascade',
      ['Drop contacts', '~Alter t'],
    ],
    [
      'create unique index k on contacts (id); create table t (a int references contacts (id)); drop index k cascade',
      ['Drop k', '~Alter contacts', '~Alter t'],
    ],
    [
      'create view v as select * from contacts; drop table contacts cascade',
      ['Drop contacts', '~Drop v'],
    ],
    ['create table t as select 1 as a; update contacts set name = $1', ['Update contacts (name)']],
  ])('%s', (text, operations) => {
    expect(lastOf(text)).toEqual(operations);
    expect(unknownReasons(text, shop)).toEqual([]);
  });
});

describe('what stands already', () => {
  test.each([
    [
      'create table if not exists contacts (x int); insert into contacts values (1)',
      ['Insert contacts (id name ssn)'],
    ],
    [
      'create table if not exists named (x int); select name from named',
      ['Select named (name)', '~Select customers (age name)'],
    ],
    ['create index if not exists customers_pkey on contacts (name); select 1', []],
    [
      'alter table contacts add column if not exists ssn int; select * from contacts',
      ['Select contacts (id name ssn)'],
    ],
    [
      'drop table if exists nothing; create table nothing (a int); delete from nothing',
      ['Delete nothing'],
    ],
    [
      'drop table contacts; create table contacts (a int); select * from contacts',
      ['Select contacts (a)'],
    ],
  ])('%s', (text, operations) => {
    expect(lastOf(text)).toEqual(operations);
  });
});

describe('names that mean another thing afterwards', () => {
  test.each([
    ['create table app.contacts (a int); select * from contacts', ['Select app.contacts (a)']],
    ['drop table app.customers; delete from customers where false', 'Delete customers'],
    [
      'alter table app.customers rename to c; delete from customers where false',
      'Delete customers',
    ],
    ['alter table app.only_here rename to contacts; delete from contacts', 'Delete app.contacts'],
    ['create sequence app.ids; select nextval($$ids$$)', 'Update app.ids'],
    [
      'create table x (id serial); create table public.x (id serial); drop table x; select nextval($$x_id_seq$$)',
      ['Update x_id_seq'],
    ],
    [
      'create table x (a int); create index i on x (a); create table public.y (a int); create index i on public.y (a); drop table x; drop index i',
      ['Drop i', '~Alter y'],
    ],
    ['set search_path = public; delete from customers where false', 'Delete customers'],
    [
      "select set_config('search_path', '', false); delete from app.only_here",
      'Delete app.only_here',
    ],
  ])('%s', (text, expected) => {
    const operations = lastOf(text, bothSchemas);
    if (typeof expected === 'string') expect(operations).toContain(expected);
    else expect(operations).toEqual(expected);
    expect(unknownReasons(text, bothSchemas)).toEqual([]);
  });

  test('a schema that the search path names comes into it when it is made', () => {
    const context = { ...session, pathSetting: ['late', '$user', 'public'] };
    expect(lastOf('create schema late; create table t (a int)', context)).toEqual([
      'Create late.t',
    ]);
    expect(lastOf('create schema other; create table t (a int)', context)).toEqual(['Create t']);
    expect(lastOf('create schema if not exists app; create table t (a int)', context)).toEqual([
      'Create t',
    ]);
    // What the setting is has to be known.
    expect(unknownReasons('create schema late; create table t (a int)', shop)).not.toEqual([]);
  });

  test('but not where its maker may not be able to use it', () => {
    const privileges = 'alter default privileges revoke usage on schemas from app';
    const text = 'create schema late; create table t (a int)';
    const context = { ...session, pathSetting: ['late', '$user', 'public'] };
    const withDefaults = {
      ...context,
      catalog: { ...context.catalog, hasSchemaDefaults: true },
    };
    expect(unknownReasons(text, withDefaults)).not.toEqual([]);
    expect(unknownReasons(`${privileges}; ${text}`, context)).not.toEqual([]);
    expect(
      unknownReasons(
        `create schema late; ${privileges}; set search_path = late, public; select id from contacts`,
        session,
      ),
    ).not.toEqual([]);
    // Those of other kinds have no part in how names resolve.
    const others = 'alter default privileges revoke all on tables from app';
    expect(lastOf(`${others}; ${text}`, context)).toEqual(['Create late.t']);
  });

  test('a temporary schema that the path begins with need not be there yet', () => {
    const context = { ...session, pathSetting: ['pg_temp', 'public'] };
    expect(lastOf('create table t (a int)', context)).toEqual(['Create pg_temp.t']);
    expect(
      lastOf('create table t (a int)', { ...context, pathSetting: ['public', 'pg_temp'] }),
    ).toEqual(['Create t']);
  });
});

describe('search paths as PostgreSQL takes them', () => {
  const long = 'l'.repeat(63);
  const context = {
    ...session,
    searchPath: ['pg_catalog', long, 'public'],
    pathSetting: [long, 'public'],
  };

  test('a name in it is cut to 63 bytes', () => {
    const text = `set search_path to '${long}and more', public; create table t (a int)`;
    expect(lastOf(text, context)).toEqual([`Create ${long}.t`]);
  });

  test.each([
    'set search_path = pg_toast, public',
    'set search_path = pg_temp_7, public',
    `set search_path = ${Array.from({ length: 65 }, (_, index) => `n${index}`).join(', ')}, public`,
    `select set_config('search_path', '${'public,'.repeat(3000)}public', false)`,
  ])('one that is not known is not followed: %.60s', (set) => {
    expect(unknownReasons(`${set}; select id from contacts`, session)).not.toEqual([]);
  });

  test('a name in it counts once', () => {
    const set = `set search_path = ${'public, '.repeat(200)}public`;
    expect(unknownReasons(`${set}; select id from contacts`, session)).toEqual([]);
  });

  test('with one that is not known nothing unqualified resolves', () => {
    const unknown = { ...session, searchPath: [] };
    for (const text of [
      'select id from contacts',
      'select 1 + 1',
      'select lower($1)',
      'select $1::date',
      'drop function f()',
      'create table t (a int)',
    ]) {
      expect([text, unknownReasons(text, { ...unknown, pathSetting: [] })]).not.toEqual([text, []]);
    }
    const qualified = 'select pg_catalog.lower(id::pg_catalog.text) from public.contacts';
    expect(unknownReasons(qualified, unknown)).toEqual([]);
  });

  test.each(['pg_catalog', 'information_schema'])('what is made in %s is Unknown', (schema) => {
    const text = `set search_path = ${schema}, public; create table t (a int); select 1`;
    const within = { ...session, searchPath: [schema, 'public'], pathSetting: [schema, 'public'] };
    expect(unknownReasons(text, within)).not.toEqual([]);
    expect(unknownReasons('create table t (a int)', within)).not.toEqual([]);
  });
});

test.each(['none', 'app.b.i'])(
  'a sequence owned by %s after all is not dropped with its former table',
  (owner) => {
    const text = `create table app.a (i int); create table app.b (i int);
      create sequence app.q owned by app.a.i; create sequence public.q;
      alter sequence app.q owned by ${owner}; drop table app.a; select nextval('q')`;
    expect(unknownReasons(text, bothSchemas)).not.toEqual([]);
  },
);

test('so many changes and no more are followed', () => {
  const text = (tables: number): string =>
    Array.from({ length: tables }, (_, index) => `create table t${index} (a int)`).join(';');
  expect(unknownReasons(`${text(500)}; select 1`, session)).toEqual([]);
  expect(unknownReasons(`${text(501)}; select 1`, session)).not.toEqual([]);
});

describe('what is not followed leaves the rest Unknown', () => {
  test.each([
    "create sequence q; create domain d as int check (value > 0 and nextval('q') > 0); select 1::d",
    'create table t (like contacts); insert into t values (1)',
    'create table t () inherits (contacts); select * from contacts',
    'create table t partition of events default; select * from events',
    'create table t (a contacts); drop table contacts cascade',
    'create table t (a contacts, like log); drop table contacts cascade',
    'create table t as select 1 as a; select a from t',
    'select 1 as a into t; select a from t',
    'create temp table contacts (a int); select a from contacts',
    'create view v as select * from contacts; select * from v',
    'create table t (a int primary key); drop index t_pkey',
    'create table t (a int); create index on t (a); drop index t_a_idx',
    'create table t (a int primary key, like contacts); drop index t_pkey',
    'create index on contacts (name); create table if not exists contacts_name_idx (a int); delete from contacts_name_idx',
    'create index i on events (id); drop index i',
    'create unique index i on contacts (id); alter table contacts add constraint c unique using index i; drop index i',
    'create table t (a int constraint k unique); alter table t rename constraint k to l; drop index k',
    'create table t (a int constraint k unique); alter table t rename constraint k to l; drop index l',
    'create view v as select id from contacts; alter table contacts drop column name cascade; comment on view v is $$x$$',
    "create table t (id serial, b int); alter table t drop column id; select nextval('t_id_seq')",
    "create table t (a int generated always as identity (sequence name s)); select nextval('t_a_seq')",
    `create table ${'a'.repeat(30)} (${'b'.repeat(30)} serial); select nextval('${'a'.repeat(30)}_${'b'.repeat(30)}_seq')`,
    "create sequence s owned by contacts.id; drop table contacts; select nextval('s')",
    "create table t (a oid default 'contacts'::regclass); drop table contacts cascade",
    "create table t (a bigint default pg_relation_size('contacts')); drop table contacts cascade",
    "create domain d as oid check (value <> 'contacts'::regclass); drop table contacts cascade",
    "create view v as select 'contacts'::regclass; drop table contacts cascade",
    "create table t (a int); create trigger g before insert on t for each row when ('contacts'::regclass = 1) execute function f(); drop table contacts cascade",
    'create function f() returns bigint language sql return (select count(*) from contacts); drop table contacts cascade',
    "create function f(a oid default 'contacts'::regclass) returns int language sql as $$ select 1 $$; drop table contacts cascade",
    'drop table events_1; select * from events',
    'alter table contacts drop constraint contacts_ssn_key; drop index contacts_ssn_key',
    'alter table customers rename name to full_name; select * from named',
    'alter table events add column a int; select * from events',
    'alter table contacts add column a regclass default $$customers$$::regclass; drop table contacts cascade; select a from contacts',
    'alter function public.f(text) rename to lower; select lower($1)',
    'alter type mood rename to int8; select 1',
    'create rule r as on insert to contacts do also delete from log; insert into contacts values (1)',
    'create policy p on contacts using (true); select * from contacts',
    'create function f(contacts) returns int language sql as $$ select 1 $$; drop table contacts cascade',
    'revoke usage on schema public from app; select name from contacts',
    'create schema authorization app; select name from contacts',
    'alter schema public owner to other; select name from contacts',
    'set local search_path = public; select name from contacts',
    'set search_path = elsewhere, app; select name from contacts',
    "select set_config('search_path', 'public', true); select name from contacts",
    "select set_config('search_path', $1, false); select name from contacts",
    'create table t (a int); savepoint s; rollback to s; select a from t',
    // Kept for later, when the text would be read by the catalog of then.
    'create table t (a int); prepare p as insert into t values (1)',
    'create table t (a int); declare c cursor for select a from t',
    'set search_path = public; prepare p as select name from contacts',
    'alter table contacts add foreign key (id) references customers; execute p',
    'create table t as select 1 as a; grant select on all tables in schema public to other',
  ])('%s', (text) => {
    expect(lastOf(text, session).join()).toContain('Unknown');
  });

  test.each([
    // A view's definition has the old name, which may be another column's by now.
    'alter table b rename a to x; alter table b add column a text; select a from v',
    // Sequences go with what was not followed.
    "alter table parted drop column id; select nextval('parted_id_seq')",
    'drop type if exists mood; select $1::mood',
    // Of a column whose type is not told, any user-defined cast may apply.
    'create table t (a citext); select lower(a) from t',
  ])('%s', (text) => {
    const catalog = catalogOf({
      relations: {
        'public.b': { columns: ['a', 'c'], dependents: ['public.v'] },
        'public.v': { columns: ['a'], definition: 'SELECT b.a FROM public.b' },
        'public.parted': { kind: 'p', columns: ['id'], dependents: ['public.parted_id_seq'] },
        'public.part': { columns: ['id'], parents: ['public.parted'] },
        'public.parted_id_seq': { kind: 'S' },
      },
      types: { citext: ['public'] },
      plainTypes: { mood: ['public'] },
      castTypes: [25],
    });
    expect(lastOf(text, { ...session, catalog }).join()).toContain('Unknown');
  });

  test.each([
    'create table int8 (a int); select $1::int8',
    'create table int8 (like contacts); select $1::int8',
  ])('a type of that name comes first: %s', (text) => {
    const context = { ...session, searchPath: ['public', 'pg_catalog'] };
    expect(lastOf(text, context).join()).toContain('Unknown');
  });

  test.each([
    'create view t as select id from scratch; comment on view t is $$x$$',
    'set search_path = pg_temp, public; create table t (a int)',
    'set search_path = pg_temp_3, public; create table t (a int)',
  ])('what is temporary: %s', (text) => {
    const context = { ...session, searchPath: ['pg_temp_3', 'pg_catalog', 'public'] };
    expect(lastOf(text, context).join()).toContain('Unknown');
  });

  test('with event triggers, nothing is followed', () => {
    const text = 'create table t (a int); insert into t values (1)';
    const catalog = catalogOf({ relations: {}, eventTriggers: true });
    expect(unknownReasons(text, { ...shop, catalog })).not.toEqual([]);
    expect(unknownReasons(text, { ...shop, catalog: catalogOf({ relations: {} }) })).toEqual([]);
  });
});

describe('a table that its own definition names', () => {
  test.each([
    ['create table t (a int primary key, up int references t)', shop, ['Create t']],
    ['create table t (a int, foreign key (a) references public.t (a))', shop, ['Create t']],
    ['create table t (a int references t)', bothSchemas, ['Create app.t']],
    // Another schema's is found first, or meant.
    [
      'create table public.only_here (a int references only_here)',
      bothSchemas,
      ['Create only_here', 'Select app.only_here ()'],
    ],
    [
      'create table app.contacts (a int references public.contacts)',
      bothSchemas,
      ['Create app.contacts', 'Select contacts ()'],
    ],
    [
      'create table if not exists contacts (a int references contacts)',
      shop,
      ['Create contacts', 'Select contacts ()'],
    ],
  ])('%s', (text, context, operations) => {
    expect(lastOf(text, context)).toEqual(operations);
  });
});

test('values that are copied into what a text makes are used as such', () => {
  const [, insert] = statementsOf(
    'create table t (a text); insert into t select ssn from customers',
    shop,
  );
  expect(insert?.uses).toMatchObject([
    { usage: 'Store', column: { name: ['shop', 'public', 'customers', 'ssn'] } },
  ]);
});

test('each statement still says that it changes the catalog', () => {
  const statements = statementsOf(
    'create table t (a int); create index i on t (a); select 1',
    shop,
  );
  expect(statements.map(({ effects }) => effects.catalog)).toEqual([true, true, undefined]);
});

// A normal form may stand for texts with other literals, which would be followed otherwise.
test.each([
  "create table t (a text default 'x'); insert into t values (1)",
  "select set_config('search_path', 'public', false); select name from contacts where id = 1",
  "set search_path = 'public'; select name from contacts where id = 1",
])('only the exact text is a key: %s', (text) => {
  expect(normalize(text).safe).toBe(false);
});

describe('work is bounded', () => {
  test.each([
    ['columns of one table', 'create table t ();', (n: number) => `alter table t add c${n} int;`],
    [
      'keys to one table',
      'create table t (a int);',
      (n: number) => `create table u${n} (a int references t);`,
    ],
    ['views read anew', '', (n: number) => `create table u${n} (); select * from named_twice;`],
  ])('%s', (_what, first, each) => {
    let text = first;
    for (let n = 0; text.length < 900_000; n += 1) text += each(n);
    // It ends, in whatever way.
    const { failure, statements } = analyze(text, { ...shop, catalog: shopCatalog });
    expect(failure?.kind ?? statements.length).toBeTruthy();
  });
});
