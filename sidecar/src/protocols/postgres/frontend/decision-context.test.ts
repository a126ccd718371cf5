import { compileTarget, type TargetPolicy } from '@chaperone/core/policy/compile.ts';
import { loadParser } from '@chaperone/core/sql/postgres/parser.ts';
import { shop } from '@chaperone/core/sql/postgres/test-shop.ts';
import { bundle, identity, rule } from '@chaperone/core/testing/policy-fixtures.ts';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { type ContextKey, DecisionContexts } from './decision-context.ts';

beforeAll(() => loadParser());

const policyOf = (uid: string): TargetPolicy =>
  compileTarget(bundle([rule('read', { classes: ['Read'] })]), identity({ uid }));

const contexts = (): DecisionContexts => new DecisionContexts((normalForm) => normalForm);

function key(policy: TargetPolicy, currentUser = 'app'): ContextKey {
  const { catalog, database, searchPath } = shop;
  return { policy, policyDigest: 'digest', catalog, database, currentUser, searchPath };
}

describe('the contexts of one proxy', () => {
  test('sessions for which all is the same share one', () => {
    const held = contexts();
    const policy = policyOf('a');
    expect(held.get(key(policy))).toBe(held.get(key(policy)));
    expect(held.get(key(policy, 'other'))).not.toBe(held.get(key(policy)));
    expect(held.size).toBe(2);
  });

  test('what the search path names and does not find counts as well', () => {
    const held = contexts();
    const policy = policyOf('a');
    const inNone = { ...key(policy), pathSetting: ['public'] };
    const inLate = { ...key(policy), pathSetting: ['late', 'public'] };
    const text = 'CREATE SCHEMA late; CREATE TABLE t (a int)';
    const made = (of: ContextKey): unknown =>
      held.get(of).analyze(text).analysis.statements[1]?.operations[0]?.resource;
    expect(made(inNone)).toEqual(['shop', 'public', 't']);
    expect(made(inLate)).toEqual(['shop', 'late', 't']);
  });

  test('a new policy takes the place of the one before, of that identity alone', () => {
    const held = contexts();
    const other = held.get(key(policyOf('b')));
    const former = held.get(key(policyOf('a')));
    const analyzed = former.analyze('SELECT 1');
    for (let change = 0; change < 20; change += 1) held.get(key(policyOf('a')));
    expect(held.size).toBe(2);
    expect(held.get(other.key)).toBe(other);
    // What it held is given up, also where a session still holds it; that goes on.
    expect(former.analyze('SELECT 1')).not.toBe(analyzed);
  });

  test('of many roles those asked for last are held', () => {
    const held = contexts();
    const policy = policyOf('a');
    const often = held.get(key(policy));
    for (let role = 0; role < 300; role += 1) {
      held.get(key(policy, `role${role}`));
      expect(held.get(key(policy))).toBe(often);
    }
    expect(held.size).toBe(256);
  });
});
