import { beforeAll, describe, expect, test } from '@jest/globals';
import { loadParser } from './parser.ts';
import { statementOf, unknownReasons, useLines } from './test-analysis.ts';
import { shop } from './test-shop.ts';

beforeAll(loadParser);

const keptBy = (text: string): string | undefined => statementOf(text, shop).keepsCode;

describe('what keeps code is told, and is as understood as before', () => {
  test.each([
    "create function f() returns int language sql as 'select 1'",
    'create or replace function f() returns int language sql return 1',
    "create procedure p() language plpgsql as 'begin end'",
    'alter function app.f() set search_path = public',
    'alter procedure app.p() rename to q',
    'alter function app.f() set schema public',
    'alter operator app.=== (text, text) set schema public',
    'create aggregate a (int) (sfunc = int4pl, stype = int)',
    'create operator === (function = texteq, leftarg = text, rightarg = text)',
    'create type t (input = int4in, output = int4out)',
    'create type r as range (subtype = float8, subtype_diff = float8mi)',
    'create cast (text as app.t) with function app.f(text)',
    'create event trigger e on ddl_command_end execute function app.f()',
    'alter event trigger e enable always',
    "load 'x'",
    'create operator class c for type text using btree as function 1 app.f(text, text)',
    'create trigger t before insert on orders for each row execute function app.f()',
    'create or replace trigger t before insert on orders for each row when (new.id > 1) execute function app.f()',
    'create rule r as on insert to orders do also delete from log',
    "create rule r as on insert to orders where note = 'x' do instead nothing",
    'create or replace rule "_RETURN" as on select to named do instead select name, name from contacts',
    'create policy p on orders using (id = (select max(id) from customers))',
    'create policy p on orders with check (exists (select from customers))',
    'create policy p on orders using (app.mine(id))',
    "create policy p on orders using (query_to_xml('select 1', true, true, '') is not null)",
    'create policy p on no_such_table using (true)',
    'alter policy p on orders using (id in (select id from customers))',
  ])('%s', (text) => {
    expect(keptBy(text)).toEqual(expect.any(String));
    expect(unknownReasons(text, shop)).toEqual([]);
  });

  test.each([
    'create type t',
    "create type e as enum ('a')",
    'create type r as range (subtype = float8)',
    "create collation c (provider = icu, locale = 'de')",
    'create text search configuration c (copy = simple)',
    'create rule r as on insert to orders do instead nothing',
    'create policy p on orders using (true)',
    "create policy p on orders using (note = current_setting('app.tenant'))",
    'create policy p on orders using (note = current_user) with check (id > 0)',
    'alter policy p on orders to public',
    'drop function app.f()',
    'drop trigger t on orders',
    'alter table orders enable row level security',
    'create table t (a int)',
    'select 1',
  ])('nothing is kept: %s', (text) => {
    expect(keptBy(text)).toBeUndefined();
    expect(unknownReasons(text, shop)).toEqual([]);
  });
});

test.each([
  ["create policy p on contacts using (ssn = 'x')", ['Lookup contacts.ssn']],
  ["create policy p on contacts using (ssn like 'x%')", ['Any contacts.ssn']],
  [
    'create policy p on contacts using (true) with check (ssn > name)',
    ['Any contacts.name', 'Any contacts.ssn'],
  ],
  ["alter policy p on contacts using (contacts.ssn < 'x')", ['Any contacts.ssn']],
  [
    "create policy p on events_1a using (ssn = 'x')",
    ['Lookup events.ssn', 'Lookup events_1.ssn', 'Lookup events_1a.ssn'],
  ],
])('a policy is a filter: %s', (text, uses) => {
  expect(useLines(text, shop)).toEqual(uses);
});
