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
import { OperatorProcess } from '../support/operator-process.ts';

const factor = Number(process.argv[2] ?? 1);
const size = { policies: 500 * factor, identities: 200 * factor, targets: 50 * factor };
const namespaces = 10;
const restMs = 20_000;

const server = await startTestApiServer();
const api = apiOf(server.kubeconfig);
let controllers: OperatorProcess | undefined;

const ours = (kind: string, namespace: string, name: string, spec: object): object => ({
  apiVersion: 'chaperone.dev/v1alpha1',
  kind,
  metadata: { namespace, name },
  spec,
});

/** Eight at a time, as a person's tools would. */
async function createAll(type: ResourceType, count: number, make: (at: number) => object) {
  const left = Array.from({ length: count }, (_, at) => at).values();
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
  for (let at = 0; at < namespaces; at += 1) {
    await createNamespace(api, `data-${at}`);
    await createNamespace(api, `pay-${at}`);
  }
  await createAll(resourceTypes.Target, size.targets, (at) =>
    ours('Target', `data-${at % namespaces}`, `target-${at}`, {
      protocol: 'PostgreSQL',
      host: `db-${at}.data-${at % namespaces}.svc.cluster.local`,
      credentials: { secretRef: { name: `secret-${at}` } },
      allowedNamespaces: { from: 'All' },
    }),
  );
  await createAll(resourceTypes.MachineIdentity, size.identities, (at) =>
    ours('MachineIdentity', `pay-${at % namespaces}`, `identity-${at}`, {
      owner: { team: 'team' },
      purpose: 'To be counted',
      subjects: [{ serviceAccount: { name: `account-${at}` } }],
    }),
  );
  await createAll(resourceTypes.AccessPolicy, size.policies, (at) =>
    ours('AccessPolicy', `data-${(at % size.targets) % namespaces}`, `policy-${at}`, {
      targetRefs: [{ name: `target-${at % size.targets}` }],
      subjects: { namespaces: [`pay-${at % namespaces}`] },
      rules: [
        { name: 'read', action: 'Allow', classes: ['Read'], resources: ['shop.public.*'] },
        {
          name: 'write',
          action: 'Allow',
          classes: ['Write'],
          resources: ['shop.public.orders'],
          when: 'statement.hasWhere',
        },
      ],
    }),
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
