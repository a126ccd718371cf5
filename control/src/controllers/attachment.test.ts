import type { AccessPolicySubjects } from '@chaperone/core/resources/types.ts';
import { describe, expect, test } from '@jest/globals';
import type { Stored } from '../store/resource-store.ts';
import { appliesTo, attachment, isOfferedTo } from './attachment.ts';
import { snapshotOf, stored } from './testing.ts';

const target = (spec: Record<string, unknown> = {}): Stored<'Target'> =>
  stored('Target', 'data/orders', spec, { tier: 'one' });
const policy = (namespace: string, spec: Record<string, unknown>): Stored<'AccessPolicy'> =>
  stored('AccessPolicy', `${namespace}/p`, spec);
const byName = { targetRefs: [{ name: 'orders', namespace: 'data' }] };
const bySelector = { targetRefs: undefined, selector: { matchLabels: { tier: 'one' } } };

describe('attachment: who may grant on a target', () => {
  test.each<[string, string, Record<string, unknown>, string[] | undefined, string | undefined]>([
    ['its own namespace', 'data', byName, undefined, 'Granting'],
    [
      'its own, named without namespace',
      'data',
      { targetRefs: [{ name: 'orders' }] },
      undefined,
      'Granting',
    ],
    ['a namespace that the target names', 'sec', byName, ['sec'], 'Granting'],
    ['another namespace', 'sec', byName, undefined, 'DenyOnly'],
    ['another than the one named', 'ops', byName, ['sec'], 'DenyOnly'],
    [
      'another, without namespace: its own orders',
      'sec',
      { targetRefs: [{ name: 'orders' }] },
      ['sec'],
      undefined,
    ],
    ['another target', 'data', { targetRefs: [{ name: 'other' }] }, undefined, undefined],
    ['its own, by label', 'data', bySelector, undefined, 'Granting'],
    ['a namespace that it names, by label', 'sec', bySelector, ['sec'], 'Granting'],
    ['another namespace, by label', 'sec', bySelector, undefined, undefined],
    [
      'by a label that it lacks',
      'data',
      { ...bySelector, selector: { matchLabels: { tier: 'two' } } },
      undefined,
      undefined,
    ],
  ])('%s', (_, namespace, spec, policyNamespaces, expected) => {
    const of = target(policyNamespaces && { policyNamespaces });
    expect(attachment(policy(namespace, spec), of)).toBe(expected);
  });
});

describe('appliesTo: whom a policy is about', () => {
  const identity = stored('MachineIdentity', 'pay/report', { groups: ['g', 'h'] }, { env: 'x' });

  test.each<[string, AccessPolicySubjects | undefined, boolean]>([
    ['nobody where there are no subjects', undefined, false],
    ['an identity by name', { identities: [{ name: 'report', namespace: 'pay' }] }, true],
    ['its namesake elsewhere', { identities: [{ name: 'report', namespace: 'other' }] }, false],
    ['everybody of its namespace', { namespaces: ['a', 'pay'] }, true],
    ['another namespace', { namespaces: ['a'] }, false],
    ['its group in its namespace', { namespaces: ['pay'], groups: ['h', 'z'] }, true],
    ['its group in another namespace', { namespaces: ['a'], groups: ['g'] }, false],
    ['its group without any namespace', { groups: ['g'] }, false],
    ['another group', { namespaces: ['pay'], groups: ['z'] }, false],
    [
      'its label in its namespace',
      { namespaces: ['pay'], selector: { matchLabels: { env: 'x' } } },
      true,
    ],
    [
      'its label in another namespace',
      { namespaces: ['a'], selector: { matchLabels: { env: 'x' } } },
      false,
    ],
    [
      'its label but another group',
      { namespaces: ['pay'], groups: ['z'], selector: { matchLabels: { env: 'x' } } },
      false,
    ],
    [
      'its group but another label',
      { namespaces: ['pay'], groups: ['g'], selector: { matchLabels: { env: 'y' } } },
      false,
    ],
    [
      'by name, whatever the rest says',
      { identities: [{ name: 'report', namespace: 'pay' }], namespaces: ['a'], groups: ['z'] },
      true,
    ],
  ])('%s', (_, subjects, expected) => {
    expect(appliesTo(policy('data', { subjects }), identity)).toBe(expected);
  });
});

describe('isOfferedTo: who may connect at all', () => {
  const namespace = stored('Namespace', 'pay', {}, { team: 'payments' });
  const bySelectorOf = (key: string, value: string): Record<string, unknown> => ({
    allowedNamespaces: { from: 'Selector', selector: { matchLabels: { [key]: value } } },
  });

  test.each<[string, Record<string, unknown>, string, boolean]>([
    ['its own namespace', {}, 'data', true],
    ['another namespace', {}, 'pay', false],
    ['any namespace', { allowedNamespaces: { from: 'All' } }, 'pay', true],
    ['a namespace by its label', bySelectorOf('team', 'payments'), 'pay', true],
    ['a namespace without the label', bySelectorOf('team', 'payments'), 'other', false],
    [
      'a namespace by its name',
      bySelectorOf('kubernetes.io/metadata.name', 'other'),
      'other',
      true,
    ],
    [
      'its own namespace, where the selector leaves it out',
      bySelectorOf('team', 'payments'),
      'data',
      false,
    ],
  ])('%s', (_, spec, from, expected) => {
    expect(isOfferedTo(target(spec), from, snapshotOf(namespace))).toBe(expected);
  });

  test('a namespace cannot take another one’s name by a label', () => {
    const liar = stored('Namespace', 'liar', {}, { 'kubernetes.io/metadata.name': 'pay' });
    const open = target(bySelectorOf('kubernetes.io/metadata.name', 'pay'));
    expect(isOfferedTo(open, 'liar', snapshotOf(liar))).toBe(false);
  });
});
