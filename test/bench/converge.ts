/**
 * How long a new cluster's statuses take, and what the operator costs: 500 policies, 200 identities and 50
 * targets on a real etcd and kube-apiserver, with the controllers' role as a process.
 *
 *     node test/bench/converge.ts [FACTOR]
 */

import { setTimeout as delay } from 'node:timers/promises';
import type { KubernetesObject } from '@chaperone/operator/kubernetes/object.ts';
import { type ResourceType, resourceTypes } from '@chaperone/operator/kubernetes/resource-types.ts';
import { waitFor } from '../cluster/node/wait-for.ts';
import { startTestApiServer } from '../support/api-server.ts';
import { apiOf, applyCrds, createNamespace } from '../support/kubernetes.ts';
import {
  manyIdentity,
  manyPolicy,
  manyResources,
  manyTarget,
  range,
} from '../support/many-resources.ts';
import { OperatorProcess } from '../support/operator-process.ts';

const factor = Number(process.argv[2] ?? 1);
const size = {
  policies: manyResources.policies * factor,
  identities: manyResources.identities * factor,
  targets: manyResources.targets * factor,
};
const data = range(0, 10).map((at) => `data-${at}`);
const tenants = range(0, 10).map((at) => `pay-${at}`);
const restMs = 20_000;

const server = await startTestApiServer();
const api = apiOf(server.kubeconfig);
let controllers: OperatorProcess | undefined;

/** Eight at a time, as a person's tools would. */
async function createAll(type: ResourceType, count: number, make: (at: number) => object) {
  const left = range(0, count).values();
  const worker = async (): Promise<void> => {
    for (const at of left) await api.create(type, make(at) as never);
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}

async function observed(type: ResourceType): Promise<number> {
  const { items } = await api.list<KubernetesObject & { status?: { conditions?: unknown } }>(type);
  return items.filter(({ status }) => status?.conditions !== undefined).length;
}

/** Of a process: bytes resident, and CPU ms used so far. */
async function usage(port: number): Promise<{ rss: number; cpuMs: number }> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const value = (name: string): number =>
    Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${name} `))
        ?.split(' ')[1],
    );
  return {
    rss: value('process_resident_memory_bytes'),
    cpuMs: value('process_cpu_seconds_total') * 1000,
  };
}

try {
  await applyCrds(api);
  await createNamespace(api, 'chaperone-system');
  for (const namespace of [...data, ...tenants]) await createNamespace(api, namespace);
  await createAll(resourceTypes.Target, size.targets, (at) => manyTarget(at, data));
  await createAll(resourceTypes.MachineIdentity, size.identities, (at) =>
    manyIdentity(at, tenants),
  );
  await createAll(resourceTypes.AccessPolicy, size.policies, (at) =>
    manyPolicy(at, data, size.targets, tenants[Math.floor(at / size.targets) % tenants.length]!),
  );

  const startMs = performance.now();
  controllers = new OperatorProcess('controllers', {
    kubeconfig: server.kubeconfig,
    sidecarImage: 'none',
    policyApiUrl: 'https://none',
    collectorUrl: 'https://none',
    logLevel: 'warn',
    opsPort: '29790',
  });
  await waitFor(
    async () =>
      (await observed(resourceTypes.AccessPolicy)) === size.policies &&
      (await observed(resourceTypes.MachineIdentity)) === size.identities,
    { timeoutMs: 300_000, what: 'all statuses' },
  );
  const convergedMs = performance.now() - startMs;

  const version = async (): Promise<string> =>
    (await api.listPage(resourceTypes.AccessPolicy, { limit: 1 })).metadata.resourceVersion;
  await delay(2000);
  const before = await usage(29790);
  const versionBefore = await version();
  await delay(restMs);
  const after = await usage(29790);
  const versionAfter = await version();
  process.stdout.write(
    [
      `${size.policies} policies, ${size.identities} identities, ${size.targets} targets`,
      `all statuses written ${(convergedMs / 1000).toFixed(1)} s after the start of the process`,
      `at rest: ${Math.round(after.rss / 2 ** 20)} MiB resident, ${(((after.cpuMs - before.cpuMs) / restMs) * 100).toFixed(1)} % of a CPU`,
      `writes of anything within ${restMs / 1000} s of rest: ${Number(versionAfter) - Number(versionBefore)}, the Lease's included`,
      '',
    ].join('\n'),
  );
} finally {
  await controllers?.end('SIGKILL');
  await api.config.close();
  await server.stop();
}
