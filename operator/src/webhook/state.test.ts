import { governanceRules } from '@chaperone/control/controllers/host-rules.ts';
import { snapshotOf, stored } from '@chaperone/control/controllers/testing.ts';
import {
  foreignTargetsAccepted,
  foreignTargetsFromAnnotation,
  foreignTargetsLabel,
} from '@chaperone/core/injection/names.ts';
import { describe, expect, test } from '@jest/globals';
import type { InjectionNamespace } from '../injection/eligibility.ts';
import type { InjectionSettings } from '../injection/settings.ts';
import { type AdmissionState, injectionContext } from './state.ts';

const open = { allowedNamespaces: { from: 'All' } };
const targets = ['data', 'other'].map((namespace) =>
  stored('Target', `${namespace}/db`, { ...open, host: `db.${namespace}.svc` }),
);
const narrowed = { [foreignTargetsFromAnnotation]: 'data' };
const accepting = { [foreignTargetsLabel]: foreignTargetsAccepted };

/** The Targets for a pod of namespace `pay`, which the cache does not have yet. */
async function targetsFor(
  foreignTargets: 'Accepted' | 'ByLabel',
  now: Omit<InjectionNamespace, 'name'>,
): Promise<string[]> {
  const state: AdmissionState = {
    snapshot: snapshotOf(...targets),
    rules: governanceRules({
      clusterDomain: 'cluster.local',
      allowedHosts: [],
      oidcIssuers: [],
      foreignTargets,
    }),
    maxTargetsPerNamespace: 100,
    unready: () => undefined,
    services: () => [],
    namespaceNow: async (name) => ({ name, ...now }),
  };
  const context = await injectionContext(state, {} as InjectionSettings, 'pay', 'namespace');
  return context.targets.map(({ metadata }) => metadata.namespace);
}

describe('a pod made right after its namespace has the Targets', () => {
  test('of those namespaces alone that it lists', async () => {
    expect(await targetsFor('Accepted', { labels: {}, annotations: narrowed })).toEqual(['data']);
  });

  test('of all, where the administrator accepts for it', async () => {
    expect(await targetsFor('Accepted', { labels: {} })).toEqual(['data', 'other']);
  });

  test('that its label accepts', async () => {
    expect(await targetsFor('ByLabel', { labels: accepting })).toEqual(['data', 'other']);
    expect(await targetsFor('ByLabel', { labels: accepting, annotations: narrowed })).toEqual([
      'data',
    ]);
    expect(await targetsFor('ByLabel', { labels: {} })).toEqual([]);
  });
});
