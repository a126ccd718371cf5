import { beforeAll, describe, expect, test } from '@jest/globals';
import { analyze } from './analyze.ts';
import { loadParser } from './parser.ts';
import { operationLines, statementsOf, unknownReasons } from './test-analysis.ts';
import { catalogOf, contextOf } from './test-catalog.ts';
import { shop } from './test-shop.ts';

beforeAll(loadParser);

const contacts = { 'public.contacts': { columns: [['id', 23], 'name', 'ssn'] } } as const;

describe('what is not understood is Unknown, with the reason', () => {
  test.each([
    ["select query_to_xml('select 1', true, true, '')", 'function query_to_xml'],
    ["select database_to_xml(true, true, '')", 'function database_to_xml'],
    ["select * from dblink('x', 'select 1') as t(a int)", 'function dblink'],
    ["select lo_export(1, '/tmp/x')", 'function lo_export'],
    ["select lo_import('/etc/passwd')", 'function lo_import'],
    ["select pg_read_file('/etc/passwd')", 'function pg_read_file'],
    ["select pg_catalog.pg_read_file('/etc/passwd')", 'function pg_read_file'],
    ["select * from pg_ls_dir('/')", 'function pg_ls_dir'],
    ['select pg_terminate_backend(1)', 'function pg_terminate_backend'],
    ['select pg_reload_conf()', 'function pg_reload_conf'],
    ["select ts_stat('select 1')", 'function ts_stat'],
    ["select ts_rewrite('a', 'select 1')", 'function ts_rewrite'],
    ['select pg_stat_get_activity(null)', 'function pg_stat_get_activity'],
    ['select app.reveal(ssn) from contacts', 'user function app.reveal'],
    ["select set_config($1, 'x', false)", 'set_config of a name that is not constant'],
    [
      "select set_config('search' || '_path', 'x', false)",
      'set_config of a name that is not constant',
    ],
    [
      "select set_config('standard_conforming_strings', $1, false)",
      'setting standard_conforming_strings: it must stay on',
    ],
    [
      'select current_setting(name) from contacts',
      'current_setting of a name that is not constant',
    ],
    ['select nextval($1)', 'nextval of a sequence that is not given by a constant name'],
    ['select 1 operator(app.+) 2', 'user operator app.+'],
    ['select ssn::app.secret from contacts', 'user type app.secret'],
    ['select ssn::mood from contacts', 'type mood'],
    ['select * from contacts tablesample app.mine (1)', 'sampling method app.mine'],
    ['select * from pg_stats', 'system relation pg_catalog.pg_stats'],
    [
      'select b from unnest((select array_agg(c) from contacts c)) with ordinality as t(a, b)',
      'the columns of unnest are not known: its elements may be rows',
    ],
    [
      'select x.*, ssn from (select array_agg(c) as l from contacts c) q, unnest(q.l) x, contacts',
      'the columns of unnest are not known: its elements may be rows',
    ],
    [
      'select * from unnest(array[row(1, 2)]) x',
      'the columns of unnest are not known: its elements may be rows',
    ],
    [
      "select * from unnest(to_tsvector('a b')) x",
      'the columns of unnest are not known: its elements may be rows',
    ],
    [
      'select c.* from (select array_agg(c) as conkey from contacts c) q, unnest(q.conkey) x, contacts c',
      'the columns of unnest are not known: its elements may be rows',
    ],
    ['select * from pg_catalog.pg_statistic', 'system relation pg_catalog.pg_statistic'],
    ['select query from pg_stat_activity', 'system relation pg_catalog.pg_stat_activity'],
    ['select * from pg_authid', 'system relation pg_catalog.pg_authid'],
    ['select * from pg_shadow', 'system relation pg_catalog.pg_shadow'],
    ['select * from pg_prepared_statements', 'system relation pg_catalog.pg_prepared_statements'],
    ['select * from pg_largeobject', 'system relation pg_catalog.pg_largeobject'],
    ['select * from pg_user_mappings', 'system relation pg_catalog.pg_user_mappings'],
    ['select * from pg_subscription', 'system relation pg_catalog.pg_subscription'],
    ['select * from pg_toast.pg_toast_1234', 'relation pg_toast.pg_toast_1234 does not resolve'],
    [
      "update pg_catalog.pg_settings set setting = 'off' where name = 'row_security'",
      'a write to system relation pg_catalog.pg_settings',
    ],
    ['delete from pg_class', 'a write to system relation pg_catalog.pg_class'],
    [
      'set standard_conforming_strings = off',
      'setting standard_conforming_strings: it must stay on',
    ],
    ['reset standard_conforming_strings', 'setting standard_conforming_strings: it must stay on'],
    ["set client_encoding = 'SJIS'", 'setting client_encoding: it must stay UTF8'],
    ["set names 'LATIN1'", 'setting client_encoding: it must stay UTF8'],
    ['set backslash_quote = on', 'setting backslash_quote: it changes how strings are read'],
    ['explain execute p', 'EXPLAIN EXECUTE'],
    ['create table t as execute p', 'CREATE TABLE AS EXECUTE'],
    ['create schema s create table t (a int)', 'CREATE SCHEMA with what it is to hold'],
    ['drop schema app cascade', 'DROP … CASCADE of app'],
    ['alter table contacts alter name type text using app.f(name)', 'user function app.f'],
    ['create view w as select app.f()', 'user function app.f'],
    ['create table t (a int default app.f())', 'user function app.f'],
    ['prepare p as select app.f()', 'user function app.f'],
    ['declare c cursor for select app.f()', 'user function app.f'],
    ['execute p (app.f())', 'user function app.f'],
    ['copy (select app.f()) to stdout', 'user function app.f'],
    ['copy contacts from stdin where app.f()', 'user function app.f'],
    ['call app.p(app.f())', 'user function app.f'],
    ['insert into contacts (id) values (app.f())', 'user function app.f'],
    [
      'insert into contacts values (1) on conflict (id) do update set name = app.f()',
      'user function app.f',
    ],
    ['update contacts set name = app.f()', 'user function app.f'],
    ['delete from contacts where app.f()', 'user function app.f'],
    ['delete from contacts returning app.f()', 'user function app.f'],
    ['select 1 order by app.f()', 'user function app.f'],
    ['select 1 limit app.f()', 'user function app.f'],
    ['select 1 from contacts join log on app.f()', 'user function app.f'],
    ['select count(*) filter (where app.f()) from contacts', 'user function app.f'],
    ['select count(*) over (partition by app.f()) from contacts', 'user function app.f'],
    ['select 1 group by grouping sets ((app.f()))', 'user function app.f'],
    ['values (app.f())', 'user function app.f'],
    ['with x as (select app.f()) select 1', 'user function app.f'],
    ['explain select app.f()', 'user function app.f'],
    ['select (array[1])[app.f()]', 'user function app.f'],
    [
      'merge into contacts c using log l on true when matched then update set name = app.f()',
      'user function app.f',
    ],
  ])('%s', (text, reason) => {
    expect(unknownReasons(text, shop)).toContain(reason);
  });

  test('it may have changed anything', () => {
    const [statement] = statementsOf('select app.f()', shop);
    expect(statement?.effects).toEqual({ catalog: true, resolution: true });
    expect(statement?.userCode).toBe(true);
  });
});

describe('what shadows pg_catalog', () => {
  const context = contextOf(
    catalogOf({
      relations: contacts,
      functions: { lower: ['public'], upper: ['elsewhere'], md5: ['pg_catalog'] },
      operators: { '=': ['public'], '+': ['elsewhere'], '>=': ['public'] },
      types: { date: ['public'], uuid: ['elsewhere'] },
    }),
  );

  test.each([
    ['select lower(ssn) from contacts', ['user function public.lower']],
    ['select upper(ssn) from contacts', []],
    ['select pg_catalog.lower(ssn) from contacts', []],
    ['select pg_catalog.md5(ssn) from contacts', ['user function pg_catalog.md5']],
    ["select 1 from contacts where ssn = 'x'", ['operator = may be that of schema public']],
    ["select 1 from contacts where ssn operator(pg_catalog.=) 'x'", []],
    ["select 1 from contacts where ssn in ('x')", ['operator = may be that of schema public']],
    [
      "select case ssn when 'x' then 1 end from contacts",
      ['operator = may be that of schema public'],
    ],
    ["select nullif(ssn, 'x') from contacts", ['operator = may be that of schema public']],
    ["select ssn is distinct from 'x' from contacts", ['operator = may be that of schema public']],
    [
      'select 1 from contacts a join contacts b using (id)',
      ['operator = may be that of schema public'],
    ],
    ['select 1 from contacts where id in (select 1)', ['operator = may be that of schema public']],
    ['select id between 1 and 2 from contacts', ['operator >= may be that of schema public']],
    ['select id + 1 from contacts', []],
    ["select 'x'::date", ['type date may be public.date']],
    ["select 'x'::pg_catalog.date", []],
    ["select date('x')", ['user function public.date']],
    ["select 'x'::uuid", []],
  ])('%s', (text, reasons) => {
    expect(unknownReasons(text, context)).toEqual(reasons);
  });

  test.each([
    ['select lower(name) from contacts', ['a user-defined cast may apply to function lower']],
    ["select name = 'x' from contacts", ['a user-defined cast may apply to an operator']],
    ['select name::int from contacts', ['a user-defined cast may apply to a cast']],
    ['select row_to_json(c) from contacts c', ['a user-defined cast may apply to a whole row']],
    // The type of what abs gives is not known here, so any cast of a built-in type counts.
    ['select abs(id) + 1 from contacts', ['a user-defined cast may apply to an operator']],
    ['select id + 1 from contacts', []],
    ['select name from contacts', []],
  ])('a user-defined cast of text: %s', (text, reasons) => {
    const withCast = contextOf(catalogOf({ relations: contacts, castTypes: [25] }));
    expect(unknownReasons(text, withCast)).toEqual(expect.arrayContaining(reasons));
    if (reasons.length === 0) expect(unknownReasons(text, withCast)).toEqual([]);
  });
});

describe('enums and domains of the owner', () => {
  const context = contextOf(
    catalogOf({
      relations: contacts,
      types: { mixed: ['public', 'app'] },
      plainTypes: { mood: ['public'], mixed: ['app'], date: ['public'] },
    }),
  );

  test.each([
    ["select 'x'::mood, $1::public.mood, cast($2 as mood[])", []],
    ['select 1 from contacts where name::mood = $1::mood', []],
    ["select 'x'::mixed", ['type mixed may be public.mixed']],
    ["select 'x'::app.mixed", []],
    ["select 'x'::public.mixed", ['user type public.mixed']],
    ["select 'x'::date", ['type date may be public.date']],
  ])('%s', (text, reasons) => {
    expect(unknownReasons(text, context)).toEqual(reasons);
  });
});

describe('grammar newer than the backend', () => {
  test.each([
    [15, 'merge into contacts c using contacts d on c.id = d.id when matched then delete', true],
    [
      15,
      'merge into contacts c using contacts d on c.id = d.id when matched then delete returning c.id',
      false,
    ],
    [
      17,
      'merge into contacts c using contacts d on c.id = d.id when matched then delete returning c.id',
      true,
    ],
    [
      16,
      'merge into contacts c using contacts d on c.id = d.id when not matched by source then delete',
      false,
    ],
    [15, "select json_object('a': 1)", false],
    [16, "select json_object('a': 1)", true],
    [16, "select * from json_table('1', '$' columns (a int)) t", false],
    [17, "select * from json_table('1', '$' columns (a int)) t", true],
    [16, "select json_value('1', '$')", false],
    [15, "select '1' is json", false],
    [17, 'update contacts set name = $1 returning old.name', false],
    [17, 'update contacts set name = $1 returning with (old as o) o.name', false],
    [18, 'update contacts set name = $1 returning old.name, new.name', true],
    [17, 'create table t (a int, primary key (a without overlaps))', false],
    [17, 'create table t (a int, b int generated always as (a + 1) virtual)', false],
    [18, 'create table t (a int, b int generated always as (a + 1) virtual)', true],
  ])('on PostgreSQL %i: %s', (major, text, understood) => {
    const context = contextOf(catalogOf({ relations: contacts, serverVersion: major * 10_000 }));
    expect(unknownReasons(text, context).length === 0).toBe(understood);
  });
});

describe('several statements in one text', () => {
  test.each([
    ['select name from contacts; select name from contacts', [true, true]],
    ['begin; update contacts set name = $1; commit', [true, true, true]],
    ['create table t (a int); insert into t values (1)', [true, true]],
    ['create table t (like contacts); insert into t values (1)', [true, false]],
    ['create table contacts_2 (a int); select name from contacts', [true, true]],
    ['alter table contacts rename to c2; select name from contacts', [true, false]],
    ['create table app.contacts (a int); select name from contacts', [true, true]],
    ['create table app.contacts (like log); select name from contacts', [true, false]],
    ['drop view named; select name from named', [true, false]],
    // The view is not named in the second statement, but stands beneath.
    ['drop table customers; select name from named', [true, false]],
    [
      "create function lower(text) returns text language sql as 'select 1'; select lower('x')",
      [true, false],
    ],
    ['set search_path = app; select name from contacts', [true, false]],
    ['set search_path = app; select 1 + 1', [true, false]],
    ["select set_config('search_path', 'app', false); select name from contacts", [true, false]],
    ['reset role; select name from contacts', [true, false]],
    ['begin; rollback; select name from contacts', [true, true, false]],
    ['set search_path = app; set statement_timeout = 1; commit', [true, true, true]],
    ['do $$ $$; select name from contacts', [true, false]],
    ['select app.f(); select name from contacts', [false, false]],
    ['set statement_timeout = 1; select name from contacts', [true, true]],
    ['discard all; select name from contacts', [true, false]],
  ])('%s', (text, understood) => {
    expect(
      statementsOf(text, shop).map(
        ({ operations }) => !operations.some(({ verb }) => verb === 'Unknown'),
      ),
    ).toEqual(understood);
  });

  test('each is told apart', () => {
    expect(
      operationLines("select ';' from contacts; delete from log where line = $q$;$q$", shop),
    ).toEqual(['Delete! log', 'Select contacts ()', 'Select log (line)']);
  });
});

describe('texts that yield no analysis', () => {
  test('a syntax error keeps its words and position', () => {
    expect(analyze('select from from', shop).failure).toEqual({
      kind: 'Syntax',
      message: 'syntax error at or near "from"',
      position: 13,
    });
  });

  test('a text beyond the caps is not parsed', () => {
    const deep = `select ${'('.repeat(100_000)}1${')'.repeat(100_000)}`;
    expect(analyze(deep, shop).failure?.kind).toBe('Cap');
    expect(analyze('select 1', shop).failure).toBeUndefined();
  });

  test.each(['', ';', '-- nothing', '/* nothing */'])('%j has no statement', (text) => {
    expect(analyze(text, shop)).toEqual({ statements: [] });
  });
});
