import { beforeAll, describe, expect, test } from '@jest/globals';
import { loadParser } from './parser.ts';
import { operationLines, outputLines, statementOf, unknownReasons } from './test-analysis.ts';
import { contextOf } from './test-catalog.ts';
import { shop, shopCatalog } from './test-shop.ts';

beforeAll(loadParser);

describe('what a query reads', () => {
  test.each([
    ['select 1', []],
    ['select name from customers', ['Select customers (name)']],
    ['select CUSTOMERS.NAME from Customers', ['Select customers (name)']],
    ['select count(*) from customers', ['Select customers ()']],
    ['select 1 from customers where ssn = $1', ['Select customers (ssn)']],
    ['select * from contacts', ['Select contacts (id name ssn)']],
    ['table contacts', ['Select contacts (id name ssn)']],
    ['select c.* from contacts c, orders', ['Select contacts (id name ssn)', 'Select orders ()']],
    ['select c from contacts c', ['Select contacts (id name ssn)']],
    ['select (c).name from contacts c', ['Select contacts (name)']],
    ['select ctid, xmin from contacts', ['Select contacts (ctid xmin)']],
    ['select name from customers order by ssn', ['Select customers (name ssn)']],
    [
      'select name from customers group by name having max(ssn) > $1',
      ['Select customers (name ssn)'],
    ],
    [
      'select sum(age) over (partition by ssn order by email) from customers',
      ['Select customers (age email ssn)'],
    ],
    [
      'select sum(age) over w from customers window w as (order by ssn)',
      ['Select customers (age ssn)'],
    ],
    ['select count(*) filter (where ssn is null) from customers', ['Select customers (ssn)']],
    ['select a from customers c(i, a)', ['Select customers (name)']],
    [
      'select 1 from customers join orders using (id)',
      ['Select customers (id)', 'Select orders (id)'],
    ],
    [
      'select 1 from customers natural join contacts',
      ['Select contacts (id name ssn)', 'Select customers (id name ssn)'],
    ],
    [
      'select 1 from orders o where exists (select from customers c where c.ssn = o.note)',
      ['Select customers (ssn)', 'Select orders (note)'],
    ],
    ['select (select max(ssn) from customers)', ['Select customers (ssn)']],
    ['select * from (select ssn from customers) s', ['Select customers (ssn)']],
    ['select x.l from orders o, lateral (select o.note as l) x', ['Select orders (note)']],
    ['select l from orders o, unnest(array[o.note]) l', ['Select orders (note)']],
    ['with c as (select ssn from customers) select 1', ['Select customers (ssn)']],
    ['with customers as (select 1 as one) select one from customers', []],
    [
      'with customers as (select 1 as one) select name from public.customers',
      ['Select customers (name)'],
    ],
    [
      'with recursive t(n) as (select id from orders union all select n + 1 from t) select n from t',
      ['Select orders (id)'],
    ],
    [
      'with recursive b as (select * from a), a as (select note from orders) select * from b',
      ['Select orders (note)'],
    ],
    ['select 1 union select id from orders', ['Select orders (id)']],
    ['values ((select max(id) from orders))', ['Select orders (id)']],
    ['select 1 limit (select max(id) from orders)', ['Select orders (id)']],
    ['select case when ssn is null then 1 end from customers', ['Select customers (ssn)']],
    ['select 1 from customers tablesample system (1)', ['Select customers ()']],
    [
      'select grouping(name) from customers group by rollup (name, (ssn, age))',
      ['Select customers (age name ssn)'],
    ],
    [
      'select xmlelement(name x, xmlattributes(ssn), name) from customers',
      ['Select customers (name ssn)'],
    ],
    [
      "select * from customers, xmltable('/r' passing xmlparse(content ssn) columns a text path 'a')",
      ['Select customers (age email id name ssn)'],
    ],
    [
      "select j.* from orders, json_table(doc, '$[*]' columns (a int path '$.a', nested '$.b' columns (c text))) j",
      ['Select orders (doc)'],
    ],
    [
      "select json_object('a': ssn), json_arrayagg(name order by age) from customers group by ssn",
      ['Select customers (age name ssn)'],
    ],
    [
      "select json_value(doc, '$.a' passing note as n default total on empty) from orders",
      ['Select orders (doc note total)'],
    ],
    [
      'select * from json_to_recordset((select doc::json from orders)) as t(a int, b text)',
      ['Select orders (doc)'],
    ],
    ['select (array_agg(ssn))[1:age] from customers group by age', ['Select customers (age ssn)']],
    ['select name from customers for update', ['Lock customers', 'Select customers (name)']],
    [
      'select 1 from customers c, orders o for no key update of o skip locked',
      ['Lock orders', 'Select customers ()', 'Select orders ()'],
    ],
    ['select last_value from ids', ['Select ids (last_value)']],
    ["select nextval('ids'), currval('public.ids'::regclass)", ['Select ids', 'Update ids']],
    ['select "ssn" from "public"."customers"', ['Select customers (ssn)']],
    ['select shop.public.customers.ssn from shop.public.customers', ['Select customers (ssn)']],
    ['select U&"s\\0073n" from customers', ['Select customers (ssn)']],
    ['select /* a /* b */ c */ ssn -- d\n from customers', ['Select customers (ssn)']],
  ])('%s', (text, expected) => {
    expect(operationLines(text, shop)).toEqual(expected);
  });
});

describe('what each output carries', () => {
  test.each([
    ['select ssn, ssn as x from customers', ['ssn=customers.ssn', 'x=customers.ssn']],
    [
      'select ssn::text, email::text from customers',
      ['ssn=customers.ssn', 'email=customers.email'],
    ],
    // A length may cut the value to what a mask would have kept.
    [
      'select ssn::varchar(4), ssn::char from customers',
      ['ssn=<customers.ssn', 'ssn=<customers.ssn'],
    ],
    ['select age::text from customers', ['age=<customers.age']],
    ["select ssn || 'x' from customers", ['?column?=<customers.ssn']],
    ['select upper(ssn) from customers', ['upper=<customers.ssn']],
    ['select max(ssn) from customers', ['max=<customers.ssn']],
    ['select array_agg(ssn) from customers', ['array_agg=<customers.ssn']],
    ['select lag(ssn) over () from customers', ['lag=<customers.ssn']],
    [
      'select percentile_disc(0.5) within group (order by ssn) from customers',
      ['percentile_disc=<customers.ssn'],
    ],
    [
      'select row_to_json(c) from contacts c',
      ['row_to_json=<contacts.id contacts.name contacts.ssn'],
    ],
    ['select c from contacts c', ['c=<contacts.id contacts.name contacts.ssn']],
    ['select (c).ssn from contacts c', ['ssn=contacts.ssn']],
    ['select (c).* from contacts c', ['id=contacts.id', 'name=contacts.name', 'ssn=contacts.ssn']],
    ['select row(ssn, name) from contacts', ['row=<contacts.name contacts.ssn']],
    ['select coalesce(ssn, name) from contacts', ['coalesce=contacts.name contacts.ssn']],
    [
      'select case when age > 1 then ssn else name end from customers',
      ['name=customers.name customers.ssn<customers.age'],
    ],
    ["select case ssn when 'x' then 1 else 0 end from customers", ['case=<customers.ssn']],
    ['select nullif(ssn, name) from contacts', ['nullif=<contacts.name contacts.ssn']],
    ['select greatest(ssn, name) from contacts', ['greatest=<contacts.name contacts.ssn']],
    ['select ssn collate "C" from contacts', ['ssn=contacts.ssn']],
    ['select (select ssn from customers limit 1)', ['ssn=customers.ssn']],
    ['select array(select ssn from customers)', ['array=<customers.ssn']],
    ['select exists (select from customers where ssn = $1)', ['exists=']],
    ['select $1 in (select ssn from customers)', ['?column?=<customers.ssn']],
    ['select count(*) from customers', ['count=']],
    ['select x from (select ssn from customers) s(x)', ['x=customers.ssn']],
    ['with c(x) as (select ssn from customers) select x from c', ['x=customers.ssn']],
    [
      'select name from contacts union all select ssn from customers',
      ['name=contacts.name customers.ssn'],
    ],
    ['select null union all select ssn from customers', ['?column?=customers.ssn']],
    ['select ssn from customers join contacts using (ssn)', ['ssn=contacts.ssn customers.ssn']],
    ['select j.ssn from (customers natural join contacts) j', ['ssn=contacts.ssn customers.ssn']],
    [
      'select u.ssn from customers join contacts using (ssn) as u',
      ['ssn=contacts.ssn customers.ssn'],
    ],
    [
      "with recursive t(n, s) as (select 1, 'x' union all select n + 1, ssn from t, customers) select s from t",
      ['s=customers.ssn'],
    ],
    [
      "with recursive t(a, b) as (select '', ssn from customers union all select b, a from t) select a from t",
      ['a=customers.ssn'],
    ],
    [
      'with recursive t(n) as (select ssn from customers union all select n from t) search depth first by n set o select o from t',
      ['o=<customers.ssn'],
    ],
    ['select value from orders, jsonb_each(doc)', ['value=<orders.doc']],
    [
      'select e.value from customers c, jsonb_each(to_jsonb(c)) e',
      ['value=<customers.age customers.email customers.id customers.name customers.ssn'],
    ],
    ['select s from customers, unnest(array[ssn]) with ordinality u(s, n)', ['s=<customers.ssn']],
    ["select p from orders, json_table(doc, '$' columns (p text)) t", ['p=<orders.doc']],
    ['select ctid from customers', ['ctid=']],
    ['select tax_id from named', ['tax_id=customers.ssn named.tax_id']],
    [
      'select code, who from named_twice',
      [
        'code=named_twice.code<customers.ssn named.tax_id',
        'who=customers.name named.name named_twice.who',
      ],
    ],
    ['select ssn from stored', ['ssn=customers.ssn stored.ssn']],
    ['select ssn from events', ['ssn=events.ssn events_1.ssn events_1a.ssn']],
    ['select ssn from events_1a', ['ssn=events.ssn events_1.ssn events_1a.ssn']],
    ['select last4 from derived', ['last4=derived.last4<derived.ssn']],
    ['select secret from by_owner', ['secret=by_owner.secret<customers.ssn']],
    ['insert into contacts values (1) returning ssn', ['ssn=contacts.ssn']],
    [
      'update contacts c set name = $1 from customers u returning c.*, u.ssn',
      ['id=contacts.id', 'name=contacts.name', 'ssn=contacts.ssn', 'ssn=customers.ssn'],
    ],
    [
      'delete from contacts returning upper(ssn), old.ssn',
      ['upper=<contacts.ssn', 'ssn=contacts.ssn'],
    ],
    [
      'update contacts set name = $1 returning with (old as o, new as n) o.name, n.ssn',
      ['name=contacts.name', 'ssn=contacts.ssn'],
    ],
    [
      'merge into contacts c using customers u on c.id = u.id when matched then delete returning merge_action(), u.ssn, c.name',
      ['merge_action=', 'ssn=customers.ssn', 'name=contacts.name'],
    ],
    ['with d as (delete from contacts returning ssn) select * from d', ['ssn=contacts.ssn']],
    ['copy (select ssn from customers) to stdout', ['ssn=customers.ssn']],
    ['copy contacts (ssn, id) to stdout', ['ssn=contacts.ssn', 'id=contacts.id']],
    ['explain select ssn from customers', ['QUERY PLAN=']],
    ['show search_path', ['search_path=']],
  ])('%s', (text, expected) => {
    expect(outputLines(text, shop)).toEqual(expected);
  });

  test('types are those that the backend announces', () => {
    const { outputs } = statementOf(
      'select id, ssn, email, ssn::varchar, upper(ssn) from customers',
      shop,
    );
    expect(outputs?.map(({ typeOid }) => typeOid)).toEqual([23, 25, 1043, 1043, undefined]);
  });

  test.each([
    'insert into contacts values (1)',
    'select 1 into t',
    'create table t as select 1',
    'begin',
  ])('%s returns no rows', (text) => {
    expect(statementOf(text, shop).outputs).toBeUndefined();
  });
});

describe('names resolve as the session would resolve them', () => {
  test('the first schema of the path that has the name wins', () => {
    const context = contextOf(shopCatalog, ['pg_catalog', 'app', 'public']);
    expect(operationLines('select * from customers', context)).toEqual([
      'Select app.customers (hidden id)',
    ]);
    expect(operationLines('select * from contacts', context)).toEqual([
      'Select contacts (id name ssn)',
    ]);
  });

  test('a temporary table hides a lasting one of its name', () => {
    const context = contextOf(shopCatalog, ['pg_temp_3', 'pg_catalog', 'public']);
    const expected = ['Select pg_temp_3.scratch (ssn)'];
    expect(operationLines('select ssn from scratch', context)).toEqual(expected);
    expect(operationLines('select ssn from pg_temp.scratch', context)).toEqual(expected);
    expect(unknownReasons('select ssn from pg_temp.scratch', shop)).not.toEqual([]);
  });

  test.each([
    'select * from nowhere',
    'select * from only_here',
    'select * from other.public.customers',
    'select nothing from customers',
    'select customers.nothing from customers',
    'select c.name from customers',
    'select id from customers, orders',
    'select x.* from customers',
    'select (c).nothing from customers c',
    // `t.f` calls f(t) where there is no column f.
    'select c.row_to_json from contacts c',
    'select (c).to_json from contacts c',
    'select * from customers_pkey',
    'select * from (select ssn from customers) s, lateral (select t.ssn) u',
    'with a as (select * from b), b as (select 1) select * from a',
    'select setting from pg_file_settings',
    'select * from broken',
    'select v from stats',
  ])('%s is not understood', (text) => {
    expect(unknownReasons(text, shop)).not.toEqual([]);
  });
});
