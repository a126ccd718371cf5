import { describe, expect, test } from '@jest/globals';
import type { InvalidReference } from '../store/resource-store.ts';
import { closedBy } from './closed-targets.ts';
import { isOpenTo } from './open-targets.ts';
import { snapshotOf, stored } from './testing.ts';

const target = stored('Target', 'data/t', { policyNamespaces: ['sec'] });
const here = { targetRefs: [{ name: 't' }] };
const there = { targetRefs: [{ name: 't', namespace: 'data' }] };
const rules = (...actions: string[]) => ({ rules: actions.map((action) => ({ action })) });

function closed(kind: InvalidReference['kind'], namespace: string, spec: unknown): boolean {
  const snapshot = snapshotOf(target);
  const invalid = [{ kind, namespace, name: 'x', spec }];
  snapshot.apply({ events: [], resourceVersion: '8', invalid });
  const open = isOpenTo(target, 'data', snapshot, undefined);
  expect(closedBy(target, snapshot) !== undefined).toBe(!open);
  return !open;
}

describe('a target is closed by', () => {
  test.each<[string, InvalidReference['kind'], string, unknown, boolean]>([
    ['a mask that names it', 'MaskingRule', 'data', here, true],
    ['a mask that names another', 'MaskingRule', 'data', { targetRefs: [{ name: 'u' }] }, false],
    ['a mask by selector', 'MaskingRule', 'data', { selector: {} }, true],
    ['a mask of which nothing can be read', 'MaskingRule', 'data', 'nonsense', true],
    ['a mask with a reference of no form', 'MaskingRule', 'data', { targetRefs: [7] }, true],
    ['a mask of a namespace that it names', 'MaskingRule', 'sec', there, true],
    ['a mask of another namespace, which does not count', 'MaskingRule', 'pay', there, false],
    ['a policy that denies', 'AccessPolicy', 'data', { ...here, ...rules('Allow', 'Deny') }, true],
    [
      'one that asks for approval',
      'AccessPolicy',
      'data',
      { ...here, ...rules('RequireApproval') },
      true,
    ],
    ['one that only allows', 'AccessPolicy', 'data', { ...here, ...rules('Allow') }, false],
    [
      'one that only allows, and bounds sessions',
      'AccessPolicy',
      'data',
      { ...here, session: {} },
      true,
    ],
    [
      'one that only tries',
      'AccessPolicy',
      'data',
      { ...here, mode: 'DryRun', ...rules('Deny') },
      false,
    ],
    ['one whose rules cannot be read', 'AccessPolicy', 'data', { ...here, rules: 'x' }, true],
    ['one of elsewhere', 'AccessPolicy', 'pay', { ...there, ...rules('Deny') }, false],
    [
      'one elsewhere that selects',
      'AccessPolicy',
      'pay',
      { selector: {}, ...rules('Deny') },
      false,
    ],
    ['an identity', 'MachineIdentity', 'data', here, false],
    ['another target', 'Target', 'data', {}, false],
  ])('%s', (_, kind, namespace, spec, expected) => {
    expect(closed(kind, namespace, spec)).toBe(expected);
  });

  test('one of elsewhere for identities of its own namespace alone', () => {
    const open = stored('Target', 'data/t', { allowedNamespaces: { from: 'All' } });
    const snapshot = snapshotOf(open);
    const spec = { ...there, ...rules('Deny') };
    const invalid = [{ kind: 'AccessPolicy', namespace: 'pay', name: 'x', spec }] as const;
    snapshot.apply({ events: [], resourceVersion: '8', invalid });
    const to = (namespace: string) => isOpenTo(open, namespace, snapshot, undefined);
    expect([to('pay'), to('data'), to('other')]).toEqual([false, true, true]);
  });

  test('nothing any more, once it is mended', () => {
    const snapshot = snapshotOf(target);
    const invalid = [{ kind: 'MaskingRule', namespace: 'data', name: 'x', spec: here }] as const;
    expect(snapshot.apply({ events: [], resourceVersion: '8', invalid })).toBe(true);
    expect(snapshot.apply({ events: [], resourceVersion: '9' })).toBe(false);
    expect(closedBy(target, snapshot)).toMatchObject({ name: 'x' });
    expect(snapshot.apply({ events: [], resourceVersion: '10', invalid: [] })).toBe(true);
    expect(closedBy(target, snapshot)).toBeUndefined();
  });
});
