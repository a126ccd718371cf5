import { describe, expect, test } from '@jest/globals';
import { bundle, identity, nowMs, operation, statement } from '../testing/policy-fixtures.ts';
import {
  type ConditionScope,
  IdentityScope,
  OperationScope,
  RequestScope,
  StatementScope,
  TargetScope,
} from './condition-scope.ts';
import { checkCondition, compileCondition } from './conditions.ts';

function scope(relations: readonly string[] = ['shop.public.orders']): ConditionScope {
  return {
    identity: new IdentityScope(identity()),
    target: new TargetScope(bundle([]).target),
    operation: new OperationScope(
      operation('Select', 'shop.public.My Orders', { columns: ['id', 'note'], sideEffects: true }),
    ),
    statement: new StatementScope({
      ...statement([]).facts,
      relations,
      functions: ['pg_catalog.lower'],
    }),
    request: new RequestScope({ nowMs, sourceIP: '10.1.2.3' }),
  };
}

describe('what an expression sees', () => {
  test.each([
    ['identity.name == "nightly-report" && identity.namespace == "payments"', true],
    ['identity.owner.team == "payments-data" && identity.owner.contact == ""', true],
    ['"reporting" in identity.groups', true],
    ['has(identity.claims.repository)', false],
    ['"pci" in target.classification && target.name == "orders-db"', true],
    ['operation.verb == "Select" && operation.class == "Read"', true],
    ['operation.resource == "shop.public.My Orders"', true],
    ['"note" in operation.columns && operation.sideEffects', true],
    ['statement.hasWhere', false],
    ['statement.relations.exists(r, r.startsWith("shop.public."))', true],
    ['statement.relations.all(r, statement.functions.exists(f, f == r))', false],
    ['identity.groups.filter(g, g != "reporting").size() == 0', true],
    ['request.time.getHours("UTC") < 13', true],
    ['request.time.getHours("Asia/Tokyo") == 21', true],
    ['request.time < timestamp("2026-01-15T12:00:01Z")', true],
    ['request.sourceIP == "10.1.2.3" && request.ticket == ""', true],
    ['re2(identity.name, "^nightly-[a-z]+$")', true],
    ['re2(operation.resource, r"^shop\\.")', true],
    ['!re2(identity.name, "zzz") ? true : false', true],
  ])('%s: %s', (expression, expected) => {
    expect(compileCondition(expression).evaluate(scope())).toBe(expected);
  });
});

describe('what gives neither true nor false', () => {
  test.each([
    'identity.claims.repository == "acme/reports"',
    'identity.groups[9] == "x"',
    'request.time.getHours("Nowhere/Land") < 6',
    'int(identity.name) > 0',
  ])('%s', (expression) => {
    expect(compileCondition(expression).evaluate(scope())).toBeUndefined();
  });

  test('a text too long for a regular expression', () => {
    const condition = compileCondition('re2(statement.relations[0], "a$")');
    expect(condition.evaluate(scope(['a'.repeat(512)]))).toBe(true);
    expect(condition.evaluate(scope(['a'.repeat(513)]))).toBeUndefined();
  });

  test.each([
    ['statement.relations.all(r, r != "x")', 10_000, 50_000],
    ['statement.relations.all(r, statement.relations.exists(s, s == r))', 100, 500],
    ['statement.relations.all(r, re2(r, "^r"))', 100, 500],
    ['statement.relations.all(r, statement.relations.exists(s, re2(s, "^r")))', 10, 50],
  ])('%s with a list too long to be gone through', (expression, fits, tooMany) => {
    const condition = compileCondition(expression);
    const list = Array.from({ length: tooMany }, (_, index) => `r${index}`);
    expect(condition.evaluate(scope(list.slice(0, fits)))).toBe(true);
    expect(condition.evaluate(scope(list))).toBeUndefined();
  });
});

describe('what is not taken', () => {
  test.each([
    ['identity.name.matches("(a+)+$")', /matches\(\) is not available/],
    ['statement.relations.exists(r, r.matches("a"))', /matches/],
    ['matches(identity.name, "a")', /matches/],
    ['re2(identity.name, identity.namespace)', /literal/],
    ['re2(identity.name, "a" + "b")', /literal/],
    ['re2(identity.name, "(")', /re2/],
    ['re2(identity.name, "(?=a)b")', /re2/],
    [`re2(identity.name, "${'a'.repeat(257)}")`, /256/],
    ['re2(identity.name, "(a{1,100}){1,10}")', /repeats too much/],
    [Array.from({ length: 9 }, (_, i) => `re2(identity.name, "${i}")`).join(' || '), /too many/],
    ['cel.bind(x, identity.name, x == "a")', /bind\(\) is not available/],
    ['["x"].map(a, a + a).exists(a, a == "x")', /map\(\) is not available/],
    ['identity.name.split("").size() == 1', /split\(\) is not available/],
    ['dyn(identity.name) == 1', /dyn\(\) is not available/],
    ['{"a": 1}.size() == 1', /map|exceed/i],
    [
      'statement.relations.all(a, statement.relations.all(b, statement.relations.all(c, a == c)))',
      /nested/,
    ],
    ['(statement.relations + statement.relations).all(a, a != "")', /works on a field/],
    ['operation.verb', /gives string/],
    ['1', /gives int/],
    ['request.tme == timestamp("2026-01-01T00:00:00Z")', /tme/],
    ['secret == "x"', /secret/],
    ['identity.constructor == "x"', /constructor/],
    ['identity.name == 1', /overload/],
    ['this is no expression', /./],
    ['', /./],
    [`"${'x'.repeat(2048)}" == identity.name`, /2048/],
    [`1 < ${Array.from({ length: 300 }, () => '1').join('+')}`, /nodes/i],
    [`${'('.repeat(40)}true${')'.repeat(40)}`, /depth/i],
  ])('%s', (expression, problem) => {
    const result = checkCondition(expression);
    expect(result).toEqual({ ok: false, message: expect.stringMatching(problem) });
  });
});

describe('what is looked at besides the statement', () => {
  const none = { identity: false, time: false, sourceIP: false, ticket: false };
  test.each([
    ['statement.hasWhere', none],
    ['request.time.getHours("UTC") < 6', { ...none, time: true }],
    ['request.ticket == "" || request.sourceIP == ""', { ...none, ticket: true, sourceIP: true }],
    ['has(request.ticket)', { ...none, ticket: true }],
    ['identity.groups.exists(g, g == request.ticket)', { ...none, identity: true, ticket: true }],
    ['identity["name"] == "x"', { ...none, identity: true }],
    ['[identity].size() == 1', { ...none, identity: true }],
    ['request["ticket"] == ""', { ...none, time: true, sourceIP: true, ticket: true }],
    ['[request].size() == 1', { ...none, time: true, sourceIP: true, ticket: true }],
  ])('%s', (expression, uses) => {
    expect(checkCondition(expression)).toEqual({ ok: true, uses });
  });
});

test('conditions share nothing', () => {
  const first = compileCondition('re2(identity.name, "^nightly")');
  const second = compileCondition('re2(identity.name, "report$")');
  expect([first, second, first].map((condition) => condition.evaluate(scope()))).toEqual([
    true,
    true,
    true,
  ]);
});
