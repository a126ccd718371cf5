import { beforeAll, describe, expect, test } from '@jest/globals';
import { loadParser } from './parser.ts';
import { operationLines, statementOf, unknownReasons } from './test-analysis.ts';
import { shop } from './test-shop.ts';

beforeAll(loadParser);

const allOfOrders = '(customer_id doc id note total)';

describe('what stands beneath', () => {
  test.each([
    // Only what the columns asked for need, and the view's own condition.
    ['select name from named', ['Select named (name)', '~Select customers (age name)']],
    ['select tax_id from named', ['Select named (tax_id)', '~Select customers (age ssn)']],
    [
      'select who from named_twice',
      ['Select named_twice (who)', '~Select customers (age name)', '~Select named (name)'],
    ],
    ['select ssn from stored', ['Select stored (ssn)', '~Select customers (ssn)']],
    [
      'copy (select tax_id from named) to stdout',
      [
        'CopyOut named (tax_id)',
        'Select named (tax_id)',
        '~CopyOut customers (age ssn)',
        '~Select customers (age ssn)',
      ],
    ],
    [
      'select ssn from events',
      ['Select events (ssn)', '~Select events_1 (ssn)', '~Select events_1a (ssn)'],
    ],
    ['select ssn from only events', ['Select events (ssn)']],
    [
      'select ssn from events_1',
      ['Select events_1 (ssn)', '~Select events (ssn)', '~Select events_1a (ssn)'],
    ],
    ['select ssn from only events_1', ['Select events_1 (ssn)', '~Select events (ssn)']],
    [
      'update events set kind = $1',
      ['Update events (kind)', '~Update events_1 (kind)', '~Update events_1a (kind)'],
    ],
    [
      'insert into events_1a (id) values (1)',
      ['Insert events_1a (id)', '~Insert events (id)', '~Insert events_1 (id)'],
    ],
    ['delete from events', ['Delete events', '~Delete events_1', '~Delete events_1a']],
    ['truncate events', ['Truncate events', '~Truncate events_1', '~Truncate events_1a']],
    ['drop table events', ['Drop events', '~Drop events_1', '~Drop events_1a']],
    [
      'delete from customers',
      ['Delete customers', '~Delete orders', `~Update orders ${allOfOrders}`],
    ],
    ['update customers set id = 2', ['Update customers (id)', `~Update orders ${allOfOrders}`]],
    ['insert into customers (id) values (1)', ['Insert customers (id)']],
    ['truncate customers cascade', ['Truncate customers', '~Truncate orders']],
    [
      'insert into named (name) values ($1)',
      ['Insert named (name)', '~Insert customers (name)', '~Select customers (age)'],
    ],
    [
      'update named set tax_id = $1',
      [
        'Update named (tax_id)',
        '~Select customers (age)',
        '~Update customers (ssn)',
        `~Update orders ${allOfOrders}`,
      ],
    ],
    [
      'delete from named',
      [
        'Delete named',
        '~Delete customers',
        '~Delete orders',
        '~Select customers (age)',
        `~Update orders ${allOfOrders}`,
      ],
    ],
  ])('%s', (text, expected) => {
    expect(operationLines(text, shop)).toEqual(expected);
  });

  test.each([
    'insert into ruled values (1)',
    'update ruled set id = 1',
    'delete from ruled',
    'copy ruled from stdin',
  ])('%s goes through rules, so it is not understood', (text) => {
    expect(unknownReasons(text, shop)).toEqual(['rules of public.ruled']);
  });

  test('reading a relation with rules is plain reading', () => {
    expect(operationLines('select line from ruled', shop)).toEqual(['Select ruled (line)']);
  });
});

describe("code of the target's owner", () => {
  test.each([
    ['insert into log values (1)', true],
    ['delete from log', true],
    ['select line from log', false],
    ['select line from guarded', true],
    ['delete from guarded', true],
    ['insert into derived (ssn) values ($1)', true],
    ['insert into derived (id, ssn) values (1, $1)', false],
    ['select secret from by_owner', true],
    ['select name from named', false],
  ])('%s: side effects %s', (text, expected) => {
    const { operations, userCode } = statementOf(text, shop);
    expect(operations.some((operation) => operation.sideEffects === true)).toBe(expected);
    expect(userCode).toBe(expected);
    expect(unknownReasons(text, shop)).toEqual([]);
  });
});
