/** `(row).field`: a column of what the row is of, or Unknown. */
import { beforeAll, expect, test } from '@jest/globals';
import { loadParser } from './parser.ts';
import { operationLines, outputLines, unknownReasons, useLines } from './test-analysis.ts';
import { shop } from './test-shop.ts';

beforeAll(loadParser);

test.each([
  ['select (q.r).ssn from (select c as r from contacts c) q', ['ssn=contacts.ssn']],
  ['select (r).name from (select contacts as r from contacts) q', ['name=contacts.name']],
  [
    'select (q.r).* from (select c as r from contacts c) q',
    ['id=contacts.id', 'name=contacts.name', 'ssn=contacts.ssn'],
  ],
  ['with q as (select c as r from contacts c) select (r).ssn from q', ['ssn=contacts.ssn']],
  ['select ((select c from contacts c limit 1)).ssn', ['ssn=contacts.ssn']],
  ['select (coalesce(c)).ssn from contacts c', ['ssn=contacts.ssn']],
  [
    'select (q.r).code from (select n as r from named_twice n) q',
    ['code=named_twice.code<customers.ssn named.tax_id'],
  ],
  [
    'select (q.r).x from (select s as r from (select ssn as x from contacts) s) q',
    ['x=contacts.ssn'],
  ],
  [
    'select ((q.r).s).x from (select t as r from (select s from (select ssn as x from contacts) s) t) q',
    ['x=contacts.ssn'],
  ],
  ['select ((q.r).doc)[$1] from (select o as r from orders o) q', ['doc=<orders.doc']],
  [
    'with w as (update contacts set id = 1 returning contacts) select (contacts).ssn from w',
    ['ssn=contacts.ssn'],
  ],
  ['select (json_each_text(doc)).value from orders', ['value=<orders.doc']],
  ['select (jsonb_each(doc)).* from orders', ['key=<orders.doc', 'value=<orders.doc']],
  ['select (information_schema._pg_expandarray(i.indkey)).n from pg_index i', ['n=']],
  [
    'select (i).x from (select information_schema._pg_expandarray(indkey) i from pg_index) q',
    ['x='],
  ],
  ['select (aclexplode(relacl)).grantee from pg_class', ['grantee=']],
  ["select (pg_identify_object('pg_class'::regclass, 1, 0)).identity", ['identity=']],
])('%s', (text, expected) => {
  expect(unknownReasons(text, shop)).toEqual([]);
  expect(outputLines(text, shop)).toEqual(expected);
});

test('the row is read whole', () => {
  expect(operationLines('select (q.r).id from (select c as r from contacts c) q', shop)).toEqual([
    'Select contacts (id name ssn)',
  ]);
});

test('a field is compared as its column is, and with a list of guesses as such', () => {
  const from = 'from (select c as r from contacts c) q';
  expect(useLines(`select 1 ${from} where (q.r).ssn = $1`, shop)).toEqual(['Lookup contacts.ssn']);
  expect(
    useLines(
      'select 1 from contacts c, (select s as r from (select $1::text as x) s) q where c.ssn = (q.r).x',
      shop,
    ),
  ).toEqual(['Any contacts.ssn']);
});

test.each([
  // A function of that name would be called.
  'select (q.r).nothing from (select c as r from contacts c) q',
  'select (q.r).ssn.x from (select c as r from contacts c) q',
  'select (name).x from contacts',
  'select (json_array_elements(doc)).value from orders',
  'select (jsonb_array_elements(doc)).* from orders',
  'select (pg_partition_ancestors(1)).relid',
  'select (lower(name)).lower from contacts',
  'select (evil(name)).x from contacts',
  'select (row(ssn, name)).f1 from contacts',
  // By its type's names, which are not those of the query.
  'select (q.r).name from (select c as r from contacts c (id, ssn, name)) q',
  'select (q.r).* from (select c as r from contacts c (id, ssn, name)) q',
  // Of several rows, or of one that is chosen.
  'select (q.r).ssn from (select c as r from contacts c union select c from contacts c) q',
  'select (coalesce(c, d)).ssn from contacts c, contacts d',
  "select (case when c.ssn = 'x' then c end).name from contacts c",
  'select (max(c)).ssn from contacts c',
  'select ((array_agg(c))[1]).ssn from contacts c',
  'select (q.r).a from (select s as r from (select ssn as a, name as a from contacts) s) q',
  `with recursive q as (select s as r from (select ssn as b, name as a from contacts) s
     union all select t from (select name as b, ssn as a from contacts) t where false)
   select (q.r).a from q`,
  `with recursive q as (select s as r, s.a as x from (select ssn as b, name as a from contacts) s
     union all select t, (q.r).a from (select name as b, ssn as a from contacts) t, q)
   select x from q`,
])('%s is not understood', (text) => {
  expect(unknownReasons(text, shop)).not.toEqual([]);
});
