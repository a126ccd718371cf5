import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { ColumnId, StatementAnalysis } from '../operation.ts';
import { analyze } from './analyze.ts';
import { loadParser } from './parser.ts';
import { operationLine, statementOf } from './test-analysis.ts';
import { shop } from './test-shop.ts';

beforeAll(loadParser);

const name = (column: ColumnId) => column.name.join('.');

/** What policy and masking see of a statement, without the outputs' names. */
function meaning(analysis: StatementAnalysis) {
  return {
    operations: analysis.operations.map(operationLine).sort(),
    outputs: analysis.outputs?.map(({ values, derived }) => [
      values.map(name).sort(),
      derived.map(name).sort(),
    ]),
    uses: analysis.uses.map(({ column, usage }) => `${usage} ${name(column)}`).sort(),
  };
}

/** Statements as tokens; `{a}` stands for a table alias. */
const statements = [
  'select {a} . ssn , {a} . * from contacts {a} where {a} . id = $1 order by {a} . name',
  'select count ( * ) , max ( {a} . ssn ) from contacts as {a} join customers {b} using ( id ) group by {b} . name',
  'with {a} as ( select ssn , name from customers ) select * from {a} where ssn in ( $1 , $2 )',
  'update contacts {a} set name = {b} . name from customers {b} where {a} . id = {b} . id returning {a} . ssn',
  'delete from contacts {a} using orders {b} where {a} . id = {b} . customer_id',
  'insert into log ( id , line ) select {a} . id , {a} . ssn from contacts {a}',
  'select ( select {b} . ssn from customers {b} where {b} . id = {a} . id ) from contacts {a}',
  'select tax_id from named {a} union all select {b} . note from orders {b}',
];

const space = fc.constantFrom(
  ' ',
  '\n',
  '\t',
  '  ',
  ' /* x */ ',
  ' /* a /* b */ */ ',
  ' -- y\n',
  '\r\n',
  '\f',
);
const alias = fc.stringMatching(/^[a-z]{3}_[a-z]{3}$/);
const quotable = /^[a-z_]+$/;
const keywords = new Set(
  'select where order by from count max as join using group with in update set returning delete insert into union all'.split(
    ' ',
  ),
);

function write(
  statement: string,
  aliases: readonly [string, string],
  spaces: readonly string[],
  spelling: readonly number[],
): string {
  let at = 0;
  return statement
    .split(' ')
    .map((token, index) => {
      let text = token.replace('{a}', aliases[0]).replace('{b}', aliases[1]);
      const how = spelling[index % spelling.length] ?? 0;
      if (how === 1) text = text.toUpperCase();
      else if (how === 2 && quotable.test(text) && !keywords.has(text)) text = `"${text}"`;
      at += 1;
      return text + spaces[at % spaces.length];
    })
    .join('');
}

describe('what a statement means does not depend on how it is written', () => {
  test.each(statements)('%s', (statement) => {
    const plain = meaning(statementOf(write(statement, ['aaa', 'bbb'], [' '], [0]), shop));
    fc.assert(
      fc.property(
        alias,
        alias,
        fc.array(space, { minLength: 1, maxLength: 9 }),
        fc.array(fc.nat(2), { minLength: 1, maxLength: 9 }),
        (a, b, spaces, spelling) => {
          fc.pre(a !== b);
          const text = write(statement, [a, b], spaces, spelling);
          expect(meaning(statementOf(text, shop))).toEqual(plain);
        },
      ),
      { numRuns: 60 },
    );
  });
});

test('whatever the text, an analysis comes back, and never an empty one for a statement', () => {
  const words = [
    ...new Set(statements.join(' ').split(/[ {}]+/)),
    'app.f()',
    '::',
    "'x'",
    ';',
    '(',
    ')',
    'drop',
    'table',
  ];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...words), { maxLength: 25 }), (tokens) => {
      const { failure, statements: found } = analyze(tokens.join(' '), shop);
      if (failure !== undefined) expect(failure.kind).toBe('Syntax');
      for (const { kind } of found) expect(kind).toMatch(/Stmt$/);
    }),
    { numRuns: 500 },
  );
});

test('a sub-query tells as much as its query', () => {
  const column = fc.constantFrom(
    'id',
    'name',
    'ssn',
    'upper(ssn)',
    'ssn || name',
    'coalesce(ssn, name)',
  );
  fc.assert(
    fc.property(fc.array(column, { minLength: 1, maxLength: 4 }), (columns) => {
      const list = columns.map((text, index) => `${text} as c${index}`).join(', ');
      const query = `select ${list} from contacts where ssn = $1`;
      const plain = meaning(statementOf(query, shop));
      for (const wrapped of [
        `select * from (${query}) q`,
        `with q as (${query}) select q.* from q`,
        `select * from (select * from (${query}) a) b`,
        `with a as (${query}), b as (select * from a) table b`,
        `select l.* from (select 1) one, lateral (${query}) l`,
      ]) {
        expect(meaning(statementOf(wrapped, shop))).toEqual(plain);
      }
    }),
    { numRuns: 60 },
  );
});
