/**
 * A growing cluster: what it costs to converge, to be at rest, and to carry to each sidecar. The figures are
 * printed; what is asserted holds on any machine.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { readCluster } from '@chaperone/cli/kubernetes/cluster-view.ts';
import { Kubectl } from '@chaperone/cli/kubernetes/kubectl.ts';
import { bundleFor } from '@chaperone/control/policy-api/bundle.ts';
import { foreignTargetsAccepted, foreignTargetsLabel } from '@chaperone/core/injection/names.ts';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  manyIdentity,
  manyPolicy,
  manyResources,
  manyTarget,
  range,
} from '../support/many-resources.ts';
import { waitFor } from './node/wait-for.ts';
import {
  componentPods,
  installChaperone,
  releaseNamespace,
  uninstallChaperone,
} from './support/chaperone.ts';
import { clusterContext } from './support/context.ts';
import { kubectl, list } from './support/kubectl.ts';
import { deleteNamespace, makeNamespace } from './support/namespaces.ts';

const parts = [0.25, 0.5, 1];
const pairs = 10;
/** Over which CPU at rest is measured. */
const restMs = 10_000;

interface Row {
  readonly part: number;
  /** Of `kubectl create`, admission included. */
  readonly madeMs: number;
  /** From then on until every status was written. */
  readonly convergedMs: number;
  readonly bundleBytes: number;
  readonly use: readonly { readonly pod: string; readonly rssMiB: number; readonly cpu: number }[];
}

const data: string[] = [];
const tenants: string[] = [];
const rows: Row[] = [];

beforeAll(async () => {
  for (let at = 0; at < pairs; at += 1) {
    data.push(await makeNamespace(`data-${at}`));
    tenants.push(
      await makeNamespace(`tenant-${at}`, { [foreignTargetsLabel]: foreignTargetsAccepted }),
    );
  }
  await installChaperone({ targetNamespaces: data, logLevel: 'info' });
});

afterAll(async () => {
  await uninstallChaperone();
  await deleteNamespace(...data, ...tenants, releaseNamespace);
});

/** How to make each. A tenant after the other has a policy on each target. */
const make = {
  targets: (at: number) => manyTarget(at, data),
  identities: (at: number) => manyIdentity(at, tenants),
  policies: (at: number) => {
    const { targets } = manyResources;
    return manyPolicy(at, data, targets, tenants[Math.floor(at / targets) % pairs]!);
  },
};

/** Makes what `part` has more than `before`, and waits until every status is written. */
async function growTo(part: number, before: number): Promise<Pick<Row, 'madeMs' | 'convergedMs'>> {
  const kinds = Object.keys(make) as (keyof typeof make)[];
  const made = kinds.flatMap((kind) => {
    const count = manyResources[kind];
    return range(Math.round(count * before), Math.round(count * part)).map<object>(make[kind]);
  });
  const startMs = performance.now();
  await kubectl(['create', '-f', '-'], {
    input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: made }),
    timeoutMs: 300_000,
  });
  const madeMs = performance.now() - startMs;
  await waitFor(
    async () => {
      const objects = await list('targets,machineidentities,accesspolicies', '-A');
      return objects.every(
        ({ metadata, status }) => status?.observedGeneration === metadata.generation,
      );
    },
    { what: 'every status', timeoutMs: 300_000, intervalMs: 500 },
  );
  return { madeMs, convergedMs: performance.now() - startMs - madeMs };
}

interface Usage {
  readonly rssMiB: number;
  readonly cpuSeconds: number;
}

async function usage(pod: string): Promise<Usage> {
  const path = `/api/v1/namespaces/${releaseNamespace}/pods/${pod}:9790/proxy/metrics`;
  const text = await kubectl(['get', '--raw', path]);
  const value = (name: string): number =>
    Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
  return {
    rssMiB: value('process_resident_memory_bytes') / 2 ** 20,
    cpuSeconds: value('process_cpu_seconds_total'),
  };
}

async function atRest(): Promise<Row['use']> {
  const pods = (
    await Promise.all(['controllers', 'policy-api', 'webhook'].map(componentPods))
  ).flat();
  const names = pods.map(({ metadata }): string => metadata.name);
  const before = await Promise.all(names.map(usage));
  await delay(restMs);
  const after = await Promise.all(names.map(usage));
  return names.map((pod, at) => ({
    pod: pod.replace(/-[a-z0-9]+-[a-z0-9]+$/, ''),
    rssMiB: after[at]!.rssMiB,
    cpu: (after[at]!.cpuSeconds - before[at]!.cpuSeconds) / (restMs / 1000),
  }));
}

/** Of the largest bundle that a sidecar gets, as JSON. */
async function largestBundle(): Promise<number> {
  const { kubeconfig } = clusterContext();
  const { snapshot, invalid } = await readCluster(
    new Kubectl({ kubeconfig }),
    undefined,
    Date.now(),
  );
  expect(invalid).toEqual([]);
  const rules = {
    clusterDomain: 'cluster.local',
    allowedHosts: new Map(),
    oidcIssuers: new Map(),
    foreignTargets: 'ByLabel' as const,
  };
  const sizes = snapshot
    .all('MachineIdentity')
    .map((each) => JSON.stringify(bundleFor(each, snapshot, Buffer.alloc(32), rules)).length);
  return Math.max(...sizes);
}

test.each(parts)('%p of 500 policies, 200 identities and 50 targets converges', async (part) => {
  const times = await growTo(part, rows.at(-1)?.part ?? 0);
  const use = await atRest();
  rows.push({ part, ...times, bundleBytes: await largestBundle(), use });
  for (const component of ['controllers', 'policy-api', 'webhook']) {
    for (const { status } of await componentPods(component)) {
      expect(status.containerStatuses[0].restartCount).toBe(0);
    }
  }
});

test('the cost of a sidecar grows no faster than what it is told of', () => {
  expect(rows).toHaveLength(parts.length);
  const lines = rows.map(({ part, madeMs, convergedMs, bundleBytes, use }) => {
    const counts = Object.entries(manyResources).map(
      ([kind, size]) => `${Math.round(size * part)} ${kind}`,
    );
    const costs = use.map(
      ({ pod, rssMiB, cpu }) => `${pod} ${rssMiB.toFixed(0)} MiB ${(cpu * 100).toFixed(1)} % CPU`,
    );
    return `${counts.join(', ')}: made in ${(madeMs / 1000).toFixed(1)} s, converged ${(convergedMs / 1000).toFixed(1)} s later, bundle ${(bundleBytes / 1024).toFixed(1)} KiB; at rest ${costs.join(', ')}`;
  });
  process.stdout.write(`\n${lines.join('\n')}\n`);
  const [first, last] = [rows[0]!, rows.at(-1)!];
  const growth = last.part / first.part;
  expect(last.bundleBytes).toBeLessThan(first.bundleBytes * growth * 1.1);
});
