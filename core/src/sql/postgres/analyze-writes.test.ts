import { beforeAll, describe, expect, test } from '@jest/globals';
import { loadParser } from './parser.ts';
import { operationLines, unknownReasons, useLines } from './test-analysis.ts';
import { shop } from './test-shop.ts';

beforeAll(loadParser);

describe('what a statement writes', () => {
  test.each([
    ["insert into contacts (id, name) values (1, 'x')", ['Insert contacts (id name)']],
    ['insert into contacts values ($1, $2, $3)', ['Insert contacts (id name ssn)']],
    ['insert into contacts default values', ['Insert contacts ()']],
    [
      'insert into contacts (id) values (1) returning ssn',
      ['Insert contacts (id)', 'Select contacts (ssn)'],
    ],
    [
      'insert into contacts (name) select note from orders',
      ['Insert contacts (name)', 'Select orders (note)'],
    ],
    [
      'insert into contacts (id, name) values (1, $1) on conflict (id) do update set name = excluded.name where contacts.ssn is null',
      ['Insert contacts (id name)', 'Select contacts (id ssn)', 'Update contacts (name)'],
    ],
    ['insert into contacts (id) values (1) on conflict do nothing', ['Insert contacts (id)']],
    ['update contacts set name = $1', ['Update contacts (name)']],
    [
      'update contacts set name = upper(name) where id = 1',
      ['Select contacts (id name)', 'Update contacts (name)'],
    ],
    [
      'update contacts c set (name, ssn) = (select note, $1 from orders where id = c.id) returning *',
      ['Select contacts (id name ssn)', 'Select orders (id note)', 'Update contacts (name ssn)'],
    ],
    [
      'update contacts set (name, ssn) = ($1, note) from orders',
      ['Select orders (note)', 'Update contacts (name ssn)'],
    ],
    ['update contacts set name = $1 where current of c', ['Update contacts (name)']],
    ['delete from contacts', ['Delete contacts']],
    [
      'delete from only contacts using orders o where o.id = contacts.id',
      ['Delete contacts', 'Select contacts (id)', 'Select orders (id)'],
    ],
    [
      'with d as (delete from contacts returning id) insert into log (id) select id from d',
      ['Delete contacts', 'Insert! log (id)', 'Select contacts (id)'],
    ],
    ['with u as (update contacts set name = $1) select 1', ['Update contacts (name)']],
    [
      'merge into contacts c using orders o on c.id = o.id when matched and o.total > 5 then update set name = o.note when matched then delete when not matched then insert (id) values (o.id)',
      [
        'Delete contacts',
        'Insert contacts (id)',
        'Merge contacts',
        'Select contacts (id)',
        'Select orders (id note total)',
        'Update contacts (name)',
      ],
    ],
    ['truncate contacts, log', ['Truncate contacts', 'Truncate! log']],
    ['select name into copied from contacts', ['Create copied', 'Select contacts (name)']],
    [
      'select 1 into app.copied union select id from orders',
      ['Create app.copied', 'Select orders (id)'],
    ],
    ['create table copied as select ssn from contacts', ['Create copied', 'Select contacts (ssn)']],
    [
      'create temp table copied as table contacts',
      ['Create pg_temp.copied', 'Select contacts (id name ssn)'],
    ],
    [
      'create materialized view m as select ssn from contacts',
      ['Create m', 'Select contacts (ssn)'],
    ],
    ['explain delete from contacts where ssn = $1', ['Select contacts (ssn)']],
    [
      'explain (verbose) update contacts set name = note from orders',
      ['Select contacts ()', 'Select orders (note)'],
    ],
    ['explain analyze delete from contacts', ['Delete contacts']],
    ['explain (analyze, buffers) delete from contacts', ['Delete contacts']],
    ['explain (analyze off) delete from contacts', ['Select contacts ()']],
    ['explain (analyze false, analyze on) delete from contacts', ['Delete contacts']],
    [
      'explain (analyze 1) create table t as select ssn from contacts',
      ['Create t', 'Select contacts (ssn)'],
    ],
    [
      'copy contacts to stdout',
      ['CopyOut contacts (id name ssn)', 'Select contacts (id name ssn)'],
    ],
    ['copy contacts (id) to stdout', ['CopyOut contacts (id)', 'Select contacts (id)']],
    [
      'copy (select upper(ssn) from contacts) to stdout',
      ['CopyOut contacts (ssn)', 'Select contacts (ssn)'],
    ],
    [
      'copy (delete from contacts returning id) to stdout',
      ['CopyOut contacts (id)', 'Delete contacts', 'Select contacts (id)'],
    ],
    ['copy contacts from stdin', ['CopyIn contacts (id name ssn)']],
    ['copy contacts (id) from stdin where id > 1', ['CopyIn contacts (id)']],
    [
      "copy contacts (id) to '/tmp/x'",
      ['CopyOut contacts (id)', 'Select contacts (id)', 'ServerFile'],
    ],
    ["copy contacts (id) from program 'id'", ['CopyIn contacts (id)', 'ServerProgram']],
    ["copy (select 1) to program 'sh'", ['ServerProgram']],
    ['prepare p as delete from contacts', ['Delete contacts']],
    ['declare c cursor for select ssn from contacts', ['Select contacts (ssn)']],
    ['execute p (1)', []],
    ["execute p (nextval('ids'))", ['Update ids']],
    ['lock table contacts in share mode', ['Lock contacts']],
    ['listen jobs', ['Listen jobs']],
    ["notify jobs, 'x'", ['Notify jobs']],
    ["select pg_notify('jobs', $1)", ['Notify jobs']],
    ['select pg_advisory_xact_lock(1)', ['Lock advisory']],
    ['select pg_advisory_unlock(1)', ['Lock advisory']],
    ['select pg_advisory_unlock_all()', []],
    ['analyze contacts (ssn)', ['Maintain contacts']],
    ['reindex table contacts', ['Maintain contacts']],
    ['cluster contacts using i', ['Maintain contacts']],
    ['refresh materialized view stored', ['Refresh stored', '~Select customers (ssn)']],
    ['do $$ begin delete from contacts; end $$', ['Do']],
    ['call app.purge(1)', ['Call app.purge']],
    ['alter system set work_mem = 1', ['System']],
    ['checkpoint', ['System']],
    ["load 'x'", ['System']],
    ["create role r login password 'x'", ['System']],
    ['alter role r superuser', ['System']],
    ['alter role r set search_path = x', ['System']],
    ['set role admin', ['SetRole admin']],
    ['set session authorization admin', ['SetRole admin']],
    ['grant select on contacts to r', ['Grant contacts']],
    ['revoke all on contacts, log from public', ['Revoke contacts', 'Revoke log']],
    [
      'grant all on all tables in schema app to r',
      ['Grant app', '~Grant app.customers', '~Grant app.only_here'],
    ],
    ['grant r1 to r2', ['Grant r1']],
    ['alter default privileges grant select on tables to r', ['Grant']],
    [
      'create table t (id int primary key, parent int references contacts, check (id > 0))',
      ['Create t', 'Select contacts ()'],
    ],
    [
      'create table t (like contacts) inherits (log)',
      ['Alter log', 'Create t', 'Select contacts ()'],
    ],
    [
      'create table app.t partition of events for values in (1)',
      ['Alter events', 'Create app.t', '~Alter events_1', '~Alter events_1a'],
    ],
    ['create view w as select ssn from contacts', ['Create w', 'Select contacts (ssn)']],
    ['create index i on contacts (lower(ssn)) where id > 1', ['Alter contacts', 'Create i']],
    ['create function f() returns int language sql as $$ select 1 $$', ['Create f']],
    ['create trigger t after insert on contacts execute function f()', ['Create contacts']],
    ['create rule r as on insert to contacts do instead nothing', ['Create contacts']],
    ['create policy p on contacts using (true)', ['Create contacts']],
    ["create type mood as enum ('a')", ['Create mood']],
    ['create domain d as int check (value > 0)', ['Create d']],
    ['create schema s', ['Create s']],
    ['create sequence s', ['Create s']],
    [
      'alter table contacts add column x int, alter name type text using upper(name)',
      ['Alter contacts'],
    ],
    ['alter table contacts rename to people', ['Alter contacts', 'Create people']],
    ['alter table contacts set schema app', ['Alter contacts', 'Create app.contacts']],
    ['alter sequence ids restart', ['Alter ids']],
    ['drop table contacts, if_gone cascade', ['Drop contacts', 'Drop if_gone']],
    ['drop table if exists contacts', ['Drop contacts']],
    ['drop view named', ['Drop named']],
    ['drop trigger t on contacts', ['Drop contacts']],
    ['drop function app.f(int)', ['Drop app.f']],
    ['drop schema app', ['Drop app']],
    ["comment on column contacts.ssn is 'x'", ['Comment contacts']],
    ["comment on table contacts is 'x'", ['Comment contacts']],
  ])('%s', (text, expected) => {
    const named = operationLines(text, shop).filter((line) => line !== '');
    expect(named).toEqual(expected);
    expect(unknownReasons(text, shop)).toEqual([]);
  });
});

describe('what a column is used for', () => {
  test.each([
    ["select 1 from contacts where ssn = 'x'", ['Lookup contacts.ssn']],
    ['select 1 from contacts where $1::text = ssn', ['Lookup contacts.ssn']],
    [
      "select 1 from contacts where ssn in ('a', 'b')",
      ['Lookup contacts.ssn', 'Lookup contacts.ssn'],
    ],
    [
      "select 1 from contacts where ssn = any (array['a', $1])",
      ['Lookup contacts.ssn', 'Lookup contacts.ssn'],
    ],
    // Any number of guesses in one parameter.
    ['select 1 from contacts where ssn = any ($1)', ['Any contacts.ssn']],
    [
      'select 1 from contacts where (ssn, name) = ($1, $2)',
      ['Lookup contacts.name', 'Lookup contacts.ssn'],
    ],
    [
      'select 1 from contacts c join customers u on c.ssn = u.ssn',
      ['Lookup contacts.ssn', 'Lookup customers.ssn'],
    ],
    [
      'select 1 from contacts join customers using (ssn)',
      ['Lookup contacts.ssn', 'Lookup customers.ssn'],
    ],
    [
      'select 1 from contacts where ssn in (select ssn from customers)',
      ['Lookup contacts.ssn', 'Lookup customers.ssn'],
    ],
    [
      'select 1 from contacts where ssn = (select max(ssn) from customers)',
      ['Any contacts.ssn', 'Any customers.ssn'],
    ],
    // To the primary key, whichever that is.
    [
      'create table t (x text references contacts)',
      ['Lookup contacts.id', 'Lookup contacts.name', 'Lookup contacts.ssn'],
    ],
    // A list of guesses made by the statement itself.
    [
      'select g from contacts, generate_series(0, 999999999) g where ssn = g::text',
      ['Any contacts.ssn'],
    ],
    ["select 1 from contacts, (values ('a'), ('b')) v(x) where ssn = x", ['Any contacts.ssn']],
    ["select 1 from contacts where ssn in (values ('a'), ('b'))", ['Any contacts.ssn']],
    [
      'with g as (select generate_series(1, 9)::text x) select 1 from contacts, g where ssn = x',
      ['Any contacts.ssn'],
    ],
    ['select 1 from contacts where ssn = random()::text', ['Any contacts.ssn']],
    ["select 1 from contacts where ssn like '1%'", ['Any contacts.ssn']],
    ["select 1 from contacts where not ssn = 'x'", ['Any contacts.ssn']],
    ["select 1 from contacts where ssn <> 'x'", ['Any contacts.ssn']],
    ["select 1 from contacts where ssn not in ('x')", ['Any contacts.ssn']],
    ["select 1 from contacts where ssn between 'a' and 'b'", ['Any contacts.ssn']],
    ["select 1 from contacts where lower(ssn) = 'x'", ['Any contacts.ssn']],
    ["select 1 from contacts where substr(ssn, 1, 1) in ('1')", ['Any contacts.ssn']],
    ["select 1 from contacts where substr(ssn, 1, 1) in ('1', '2', '3')", ['Any contacts.ssn']],
    [
      "select 1 from contacts where ssn in ('1', $1, '2', name, ssn || 'x')",
      [
        ...['Any contacts.ssn', 'Lookup contacts.name'],
        ...Array.from({ length: 4 }, () => 'Lookup contacts.ssn'),
      ],
    ],
    ['select 1 from contacts where ssn is null', ['Any contacts.ssn']],
    ["select 1 from contacts where case when ssn = 'x' then true end", ['Any contacts.ssn']],
    ["select 1 from contacts where (ssn = 'x') = true", ['Any contacts.ssn']],
    [
      "select 1 from contacts where (ssn = 'x') or name like 'a'",
      ['Any contacts.name', 'Lookup contacts.ssn'],
    ],
    ['select name from contacts order by ssn', ['Any contacts.ssn']],
    ['select ssn from contacts order by 1', ['Any contacts.ssn']],
    ['select ssn as x from contacts order by x', ['Any contacts.ssn']],
    ['select name from contacts group by ssn, name', ['Any contacts.name', 'Any contacts.ssn']],
    ['select upper(ssn) as u from contacts group by u', ['Any contacts.ssn']],
    ['select distinct ssn from contacts', ['Any contacts.ssn']],
    ['select distinct on (ssn) name from contacts', ['Any contacts.ssn']],
    [
      'select ssn from contacts union select name from customers',
      ['Any contacts.ssn', 'Any customers.name'],
    ],
    ['select ssn from contacts union all select name from customers', []],
    [
      'select ssn from contacts except all select name from customers',
      ['Any contacts.ssn', 'Any customers.name'],
    ],
    ['select rank() over (order by ssn) from contacts', ['Any contacts.ssn']],
    ['select count(*) filter (where ssn > $1) from contacts', ['Any contacts.ssn']],
    ['select count(distinct ssn) from contacts', ['Any contacts.ssn']],
    ['select string_agg(name, $1 order by ssn) from contacts', ['Any contacts.ssn']],
    [
      'select name from contacts group by name having max(ssn) > $1',
      ['Any contacts.name', 'Any contacts.ssn'],
    ],
    ['select 1 limit (select length(max(ssn)) from contacts)', ['Any contacts.ssn']],
    ["select exists (select from contacts where ssn = 'x')", ['Lookup contacts.ssn']],
    ['select ssn from contacts', []],
    [
      'select count(*) from (select generate_series(1, length(ssn)) from contacts) x',
      ['Any contacts.ssn'],
    ],
    ["select ssn = 'x' from contacts", []],
    ['select tax_id from named', []],
    ["select 1 from named where tax_id = 'x'", ['Lookup customers.ssn', 'Lookup named.tax_id']],
    ['update contacts set name = ssn', ['Store contacts.ssn']],
    ['update contacts set ssn = ssn, name = name', []],
    ['update contacts set ssn = upper(ssn)', ['Store contacts.ssn']],
    ['update contacts c set ssn = u.ssn from customers u', ['Store customers.ssn']],
    ['insert into log (line) select ssn from contacts', ['Store contacts.ssn']],
    ['insert into log (line) values ((select max(ssn) from contacts))', ['Store contacts.ssn']],
    [
      'insert into contacts (id, ssn) values (1, $1) on conflict (ssn) do nothing',
      ['Lookup contacts.ssn'],
    ],
    [
      'insert into contacts (id) values (1) on conflict (id) do update set name = contacts.ssn',
      ['Lookup contacts.id', 'Store contacts.ssn'],
    ],
    ['select ssn into t from contacts', ['Store contacts.ssn']],
    ['create table t as select upper(ssn) from contacts', ['Store contacts.ssn']],
    ['create materialized view t as select ssn from contacts', ['Store contacts.ssn']],
    ['create view w as select ssn from contacts', ['Store contacts.ssn']],
    [
      'merge into log l using contacts c on l.id = c.id when not matched then insert (line) values (c.ssn)',
      ['Lookup contacts.id', 'Lookup log.id', 'Store contacts.ssn'],
    ],
    ['alter table contacts alter name type text using ssn', ['Store contacts.ssn']],
    ['alter table contacts rename ssn to harmless', ['Store contacts.ssn']],
    ["select pg_notify('c', ssn) from contacts", ['Any contacts.ssn', 'Store contacts.ssn']],
    [
      "select count(*) from (select set_config('application_name', ssn, false) from contacts) q",
      ['Any contacts.ssn', 'Store contacts.ssn'],
    ],
    ['select pg_advisory_lock(id) from customers', ['Any customers.id', 'Store customers.id']],
    ["select setval('order_ids', id) from customers", ['Any customers.id', 'Store customers.id']],
    ['with q as (select 1 / id from customers) select count(*) from q', ['Any customers.id']],
    ['select upper(name), name || name, name::text, name like $$a%$$ from contacts', []],
    ['select name::int from contacts', ['Any contacts.name']],
    ["select case when name > 'M' then 1 / 0 end from contacts", ['Any contacts.name']],
    ["select case when name > 'M' then 'x' end from contacts", []],
    ["select name > 'M' and 1 / 0 = 1 from contacts", ['Any contacts.name']],
    ['alter table contacts alter name type varchar(3)', ['Any contacts.name']],
    [
      'alter table events_1 detach partition events_1a',
      ['events', 'events_1', 'events_1a'].flatMap((table) =>
        ['id', 'kind', 'ssn'].map((column) => `Store ${table}.${column}`),
      ),
    ],
    ['create unique index on contacts (name)', ['Lookup contacts.name']],
    ['alter table contacts add unique (name)', ['Lookup contacts.name']],
    [
      'alter table contacts add foreign key (name) references customers (name)',
      ['Lookup contacts.name', 'Lookup customers.name'],
    ],
    ['alter table contacts add exclude using btree (name with =)', ['Any contacts.name']],
    ['explain select ssn from contacts', ['Any contacts.ssn']],
    [
      "explain analyze select name from contacts where ssn = 'x'",
      ['Any contacts.name', 'Any contacts.ssn', 'Lookup contacts.ssn'],
    ],
    ['delete from contacts where ssn = $1', ['Lookup contacts.ssn']],
  ])('%s', (text, expected) => {
    expect(useLines(text, shop)).toEqual(expected);
  });
});
