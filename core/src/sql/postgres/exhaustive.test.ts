import { beforeAll, describe, expect, test } from '@jest/globals';
import type { RawStmt } from 'libpg-query';
import { analyzeTree } from './analyze.ts';
import { loadParser, parseSql } from './parser.ts';
import { operationLine } from './test-analysis.ts';
import { shop } from './test-shop.ts';

beforeAll(loadParser);

/** Together they hold nearly every node that a query or a write can be made of. */
const corpus = [
  'select distinct on (c.name) c.*, upper(ssn) as u, $1::text, -age, not true, ssn is null, (age > 1) is true from customers c, only orders o where age in (1, 2) and c.id between 1 and 2 or c.name like $2 group by c.id, rollup (c.name, o.note), () having count(*) filter (where age > 1) > 1 window w as (partition by age order by ssn desc nulls last) order by 1, u using < limit 1 offset 2 for update of c nowait',
  'with recursive a(x) as materialized (select 1 union all select x + 1 from a) search depth first by x set o cycle x set k to 1 default 0 using p, b as (delete from contacts where id = 1 returning id) select (select max(x) from a), array(select id from b), exists (select 1), 1 = any (select x from a), row_number() over (order by x rows between 1 preceding and current row) from a',
  "select * from customers c join contacts using (id) as u natural left join (select 1 as one) s cross join lateral (select c.ssn) l join log on log.id = c.id, generate_series(1, 2) with ordinality g(n, o), rows from (unnest(array[1]), json_to_record('{}') as (a int)) r, log tablesample system (1) repeatable (2)",
  "select case c.age when 1 then 'a' else c.ssn collate \"C\" end, coalesce(ssn, name), greatest(1, 2), nullif(1, 2), row(1, 2), (array[1, 2])[1:2], (c).ssn, current_date, grouping(age), percentile_disc(0.5) within group (order by age), make_interval(days => 1), age at time zone 'utc', extract(day from now()), overlay('a' placing 'b' from 1), c.name similar to 'a' escape 'b', c.age is distinct from 1, 'a' ilike any (array['b']) from customers c group by age, ssn, name, c.*",
  "select xmlelement(name a, xmlattributes(ssn as b), xmlforest(name as n)), xmlserialize(content null as text), xmlparse(content 'x') is document from customers, xmltable(xmlnamespaces('x' as y), '/r' passing null columns a int path 'a' default 1, n for ordinality) x",
  "select json_object('a': ssn absent on null returning text), json_array(1, 2), json_array(select 1), json_objectagg('a': ssn), json_arrayagg(ssn order by id), json_query('{}', '$' passing ssn as s default '1' on empty), json('{}'), json_scalar(1), json_serialize('{}'), '1' is json from customers, json_table('{}', '$' passing 1 as p columns (a int default 1 on error, nested '$' columns (b text))) t",
  'insert into contacts as c (id, name) overriding system value select id, note from orders on conflict (id, lower(name)) where id > 0 do update set name = excluded.name, ssn = default where c.id = 1 returning with (old as o) o.id, c.*',
  'insert into contacts values (1, default, $1), (2, $2, $3)',
  'update contacts c set name = u.name, (ssn) = (select ssn from customers limit 1) from customers u where c.id = u.id returning c.*, old.name',
  'update contacts set (ssn) = row($1)',
  'delete from contacts c using customers u where c.id = u.id and current_user = $1 returning u.*',
  'merge into contacts c using (values (1)) v(id) on c.id = v.id when matched and c.id > 1 then update set name = $1 when matched then delete when not matched then insert (id) values (v.id) returning merge_action(), c.*',
  "values (1, 'a'), (2, 'b') order by column1",
  'select 1 union (select 2 except all select 3) order by 1',
  'explain analyze select ssn from customers',
  'copy (select ssn from customers where id = 1) to stdout',
  'declare c cursor for select ssn from customers',
  'prepare p as select ssn from customers',
  'create table t as select ssn from customers',
  'create view w as select ssn from customers where id = 1',
  'create table t (a int default 1 + 1 check (a > 0), b text generated always as (upper(a::text)) stored, foreign key (a) references contacts, like log)',
  'alter table contacts add x int default 1 + 1, alter name type text using upper(name)',
  'create index on contacts (upper(name)) where id > 1',
];

/** Fields of which every content is harmless by itself: names of types, options of a command, locks. */
const opaqueFields: ReadonlySet<string> = new Set([
  'typeName',
  'typmods',
  'options',
  'lockedRels',
  'colNames',
  'attlist',
  'funcname',
  'name',
  'pathspec',
  'format',
  'cycle_mark_value',
  'cycle_mark_default',
  'collname',
  'operName',
  'useOp',
  'method',
  'fields',
  'opclass',
]);

const leaves: ReadonlySet<string> = new Set([
  'String',
  'Integer',
  'Float',
  'Boolean',
  'BitString',
  'A_Const',
  'A_Star',
  'ParamRef',
  'TypeName',
  'RoleSpec',
  'List',
]);

type Json = { [key: string]: unknown };
type Change = (holder: Json, key: string) => void;

/** Calls `visit` for each place in the tree that holds a tagged node. */
function eachNode(value: unknown, visit: (holder: Json, tag: string) => void): void {
  if (Array.isArray(value)) {
    for (const item of value) eachNode(item, visit);
  } else if (typeof value === 'object' && value !== null) {
    const holder = value as Json;
    for (const key of Object.keys(holder)) {
      if (opaqueFields.has(key)) continue;
      if (/^[A-Z]/.test(key) && !leaves.has(key)) visit(holder, key);
      eachNode(holder[key], visit);
    }
  }
}

function tree(text: string): RawStmt {
  const [statement] = parseSql(text).statements ?? [];
  if (statement === undefined) throw new Error(`does not parse: ${text}`);
  return statement;
}

function countNodes(text: string): number {
  let count = 0;
  eachNode(tree(text).stmt, () => (count += 1));
  return count;
}

/** The analysis of `text` with its nth node changed. */
function changed(text: string, position: number, change: Change) {
  const statement = tree(text);
  let at = 0;
  let found: [Json, string] | undefined;
  eachNode(statement.stmt, (holder, key) => {
    if (at === position) found = [holder, key];
    at += 1;
  });
  if (found !== undefined) change(...found);
  return { tag: found?.[1], analysis: analyzeTree(statement, shop) };
}

const secret = { FuncCall: { funcname: [{ String: { sval: 'app' } }, { String: { sval: 'f' } }] } };

describe('no part of a statement is skipped', () => {
  test.each(corpus)('understood as it is: %s', (text) => {
    const { operations } = analyzeTree(tree(text), shop);
    expect(operations.filter(({ verb }) => verb === 'Unknown').map(operationLine)).toEqual([]);
  });

  test.each(corpus)('with any node of another kind it is Unknown: %s', (text) => {
    const missed: unknown[] = [];
    for (let position = 0; position < countNodes(text); position += 1) {
      const { tag, analysis } = changed(text, position, (holder, key) => {
        holder.NodeOfTomorrow = holder[key];
        delete holder[key];
      });
      if (!analysis.operations.some(({ verb }) => verb === 'Unknown')) missed.push([position, tag]);
    }
    expect(missed).toEqual([]);
  });

  test.each(corpus)('with a clause more on any node it is Unknown: %s', (text) => {
    const missed: unknown[] = [];
    for (let position = 0; position < countNodes(text); position += 1) {
      const { tag, analysis } = changed(text, position, (holder, key) => {
        (holder[key] as Json).clause_of_tomorrow = secret;
      });
      if (!analysis.operations.some(({ verb }) => verb === 'Unknown')) missed.push([position, tag]);
    }
    expect(missed).toEqual([]);
  });
});

test.each(['AlterRoleStmt', 'NodeOfTomorrow', 'PLAssignStmt', 'ReturnStmt', 'Query'])(
  'a statement of kind %s alone: never nothing',
  (tag) => {
    const statement = { stmt: { [tag]: {} } } as unknown as RawStmt;
    expect(analyzeTree(statement, shop).operations.length).toBeGreaterThan(0);
  },
);
