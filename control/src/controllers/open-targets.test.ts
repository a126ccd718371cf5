import { describe, expect, test } from '@jest/globals';
import type { Stored } from '../store/resource-store.ts';
import { governanceRules } from './host-rules.ts';
import { displacements, isOpenTo, targetsOf } from './open-targets.ts';
import { snapshotOf, stored } from './testing.ts';

const rules = governanceRules({
  clusterDomain: 'cluster.local',
  allowedHosts: ['*=db.example.com'],
  oidcIssuers: [],
  foreignTargets: 'ByLabel',
});
const all = { allowedNamespaces: { from: 'All' } };
const target = (path: string, host: string, spec = {}, created = '2026-01-01T00:00:00Z') =>
  stored('Target', path, { ...all, host, ...spec }, {}, { creationTimestamp: created });
const accepting = stored('Namespace', 'pay', {}, { 'chaperone.dev/foreign-targets': 'accept' });
/** What is known of one version must not be told of the next. */
test('isOpenTo follows the snapshot', () => {
  const own = target('data/own', 'db.data.svc.cluster.local');
  const snapshot = snapshotOf(own);
  expect(isOpenTo(own, 'pay', snapshot, rules)).toBe(false);
  const events = [{ type: 'Added' as const, object: accepting }];
  snapshot.apply({ events, resourceVersion: '8' });
  expect(isOpenTo(own, 'pay', snapshot, rules)).toBe(true);
  expect(isOpenTo(own, 'pay', snapshot, { ...rules, allowedHosts: new Map() })).toBe(true);
  snapshot.apply({ events: [{ type: 'Deleted', object: accepting }], resourceVersion: '9' });
  expect(isOpenTo(own, 'pay', snapshot, rules)).toBe(false);
});

const open = (namespace: string, ...objects: Stored[]): string[] =>
  targetsOf(namespace, snapshotOf(...objects), rules).open.map(({ metadata }) => metadata.name);

describe('targetsOf', () => {
  const own = target('data/own', 'db.data.svc.cluster.local');

  test('a namespace has its own targets, and foreign ones only if it accepts them', () => {
    expect(open('data', own)).toEqual(['own']);
    expect(open('pay', own)).toEqual([]);
    expect(open('pay', own, accepting)).toEqual(['own']);
    const unconditional = { ...rules, foreignTargets: 'Accepted' as const };
    expect(targetsOf('pay', snapshotOf(own), unconditional).open).toHaveLength(1);
  });

  test('a target that is not offered stays closed, accepted or not', () => {
    const closed = target('data/closed', 'db.data.svc', { allowedNamespaces: { from: 'Same' } });
    expect(open('pay', closed, accepting)).toEqual([]);
  });

  test.each([
    ['a Service of another namespace', { host: 'db.other.svc' }],
    ['the API server', { host: 'kubernetes.default.svc' }],
    ['an alias of another namespace', { aliases: ['api.other'] }],
  ])('a target that names %s is nobody’s', (_, spec) => {
    expect(open('data', target('data/t', 'db.data.svc', spec))).toEqual([]);
    // Without rules nothing changes: a directory's author wrote all of it.
    const snapshot = snapshotOf(target('data/t', 'db.data.svc', spec));
    expect(targetsOf('data', snapshot, undefined).open).toHaveLength(1);
  });

  test.each<[string, object, object, boolean]>([
    ['the same host and port', { host: 'db.data.svc' }, { host: 'db.data.svc' }, true],
    ['another port', { host: 'db.data.svc' }, { host: 'db.data.svc', port: 5433 }, false],
    ['the other form', { host: 'db.data.svc' }, { host: 'db.data.svc.cluster.local' }, true],
    [
      'an alias',
      { host: 'db.data.svc', aliases: ['x'] },
      { host: 'e.data.svc', aliases: ['x'] },
      true,
    ],
    [
      'an alias for a host',
      { host: 'db.data.svc' },
      { host: 'e.data.svc', aliases: ['db.data'] },
      true,
    ],
  ])('of two with %s the older stays', (_, first, second, conflict) => {
    const older = target('data/z', '', first, '2025-01-01T00:00:00Z');
    const younger = target('data/a', '', second);
    expect(open('data', older, younger)).toEqual(conflict ? ['z'] : ['a', 'z']);
    const found = displacements(snapshotOf(older, younger), rules);
    expect([...found.keys()]).toEqual(conflict ? ['data/a'] : []);
  });

  test('a claim that is not allowed displaces nobody', () => {
    const liar = target('other/liar', 'db.data.svc', {}, '2020-01-01T00:00:00Z');
    expect(open('data', liar, own)).toEqual(['own']);
  });

  test('a conflict is one where both are open, and only there', () => {
    const older = target('data/t', 'db.example.com', {}, '2025-01-01T00:00:00Z');
    const younger = target('other/t', 'db.example.com');
    expect(displacements(snapshotOf(older, younger), rules).size).toBe(0);
    const found = displacements(snapshotOf(older, younger, accepting), rules);
    expect(found.get('other/t')).toMatchObject({ host: 'db.example.com', namespaces: ['pay'] });
    expect(isOpenTo(younger, 'pay', snapshotOf(older, younger, accepting), rules)).toBe(false);
    expect(isOpenTo(older, 'pay', snapshotOf(older, younger, accepting), rules)).toBe(true);
  });

  test('a namespace may list those whose targets it accepts', () => {
    const from = (text: string) =>
      stored(
        'Namespace',
        'pay',
        {},
        { 'chaperone.dev/foreign-targets': 'accept' },
        { annotations: { 'chaperone.dev/foreign-targets-from': text } },
      );
    const other = target('other/o', 'db.other.svc');
    expect(open('pay', own, other, from('data'))).toEqual(['own']);
    expect(open('pay', own, other, from('data, other'))).toEqual(['own', 'o']);
    expect(open('pay', own, other, from(''))).toEqual([]);
    const { notAccepted } = targetsOf('pay', snapshotOf(own, other, from('data')), rules);
    expect(notAccepted).toEqual([other]);
  });

  test("a namespace's own target stands before an older one of others", () => {
    const foreign = target('data/t', 'db.example.com', {}, '2020-01-01T00:00:00Z');
    const mine = target('pay/t', 'db.example.com');
    const snapshot = snapshotOf(foreign, mine, accepting);
    expect(targetsOf('pay', snapshot, rules)).toMatchObject({
      open: [mine],
      displaced: [{ target: foreign, by: mine }],
    });
  });
});
