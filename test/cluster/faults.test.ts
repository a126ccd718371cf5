/**
 * What the guide's page on high availability promises, with each part of Chaperone and of the cluster killed in turn
 * while a load runs. After each, the load's own tally is held against the database and the record.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  injectEnabled,
  injectLabel,
  sidecarContainer,
  spoolDirectory,
} from '@chaperone/core/injection/names.ts';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { type Account, takeAccount } from './faults/account.ts';
import type { SidecarLoss } from './faults/contradictions.ts';
import { type Load, type LoadPod, startLoad, startLoadPod } from './faults/load.ts';
import { admitPod, isStarted, newPod, newPodIsGoverned, podIsGoverned } from './faults/new-pod.ts';
import { outageOf } from './faults/outage.ts';
import { allowProbes, editsTakeEffect, forbidProbes, probesAre } from './faults/policy-edit.ts';
import {
  killContainer,
  leaseHolder,
  loseContainer,
  podNames,
  restarts,
  scale,
} from './faults/processes.ts';
import { printTable } from './faults/table.ts';
import type { Tally } from './faults/tally.ts';
import { waitFor } from './node/wait-for.ts';
import {
  type ChartValues,
  chart,
  installChaperone,
  releaseNamespace,
  uninstallChaperone,
} from './support/chaperone.ts';
import { type Database, startDatabase } from './support/database.ts';
import { apply, applyRefused, get, kubectl, patch } from './support/kubectl.ts';
import { deleteNamespace, makeNamespace } from './support/namespaces.ts';
import { ready } from './support/pods.ts';
import {
  type ShopAccess,
  shopIdentity,
  shopPolicies,
  shopTarget,
} from './support/shop-resources.ts';
import { makeNodeVolume, type NodeVolume } from './support/storage.ts';

let data: string;
let tenant: string;
let database: Database;
let access: ShopAccess;
let volume: NodeVolume;
let pod: LoadPod;
let loads = 0;
const table = new Map<string, Account['figures']>();
/** Printed below the table. */
const notes: string[] = [];

beforeAll(async () => {
  data = await makeNamespace('data');
  tenant = await makeNamespace('tenant', {
    [injectLabel]: injectEnabled,
    'chaperone.dev/foreign-targets': 'accept',
  });
  volume = await makeNodeVolume();
  database = await startDatabase(data);
  const values = parse(readFileSync(join(chart, 'values-ha.yaml'), 'utf8')) as ChartValues;
  await installChaperone({ ...values, ...volume.collectorValues, targetNamespaces: [data] });
  access = { namespace: tenant, serviceAccount: 'load' };
  await apply([
    ...shopTarget(database, [tenant]),
    shopIdentity(access),
    ...shopPolicies(database, access),
  ]);
  pod = await startLoadPod(tenant, access.serviceAccount);
});

afterAll(async () => {
  printTable(table);
  process.stderr.write(`${notes.join('\n')}\n`);
  await deleteNamespace(tenant, data);
  await uninstallChaperone();
  await deleteNamespace(releaseNamespace);
  await volume?.remove();
});

/** Runs a load from before a fault until it flows again after it, and takes account. */
async function underLoad(
  title: string,
  fault: (load: Load) => Promise<void>,
  loss?: SidecarLoss,
): Promise<Account['figures']> {
  const load = await startLoad(pod, database, ++loads * 1_000_000);
  try {
    await fault(load);
    await load.flows();
  } finally {
    await load.stop();
  }
  const tally = load.tally();
  const identity = `${access.namespace}/${access.serviceAccount}`;
  const account = await takeAccount({ load, tally, database, identity, ...(loss && { loss }) });
  table.set(title, account.figures);
  expect(account.contradictions).toEqual([]);
  return account.figures;
}

function stopwatch(): () => string {
  const start = Date.now();
  return () => `${((Date.now() - start) / 1000).toFixed(1)} s`;
}

/** Nobody who was connected or connected anew noticed. */
const unnoticed = { broken: 0, 'connections failed': 0 };

test('without a fault', async () => {
  const figures = await underLoad('none', (load) => editsTakeEffect(load, database, access));
  expect(figures).toMatchObject(unnoticed);
});

test("the controllers' leader is killed: another leads", async () => {
  const figures = await underLoad("controllers' leader", async () => {
    const lease = 'chaperone-controllers';
    const before = await leaseHolder(lease);
    const leader = (await podNames('controllers')).find((name) => before.startsWith(name));
    await killContainer(releaseNamespace, leader!, 'controllers');
    const took = stopwatch();
    await waitFor(async () => ![before, ''].includes(await leaseHolder(lease)), {
      what: 'another leader',
    });
    notes.push(`another leads after ${took()}`);
    // Whoever leads works: the status is the controllers' to write.
    await forbidProbes(database, access);
    await waitFor(async () => {
      const { status } = await get('accesspolicy', 'no-products', '-n', data);
      return status?.observedGeneration === 1;
    });
    await allowProbes(database);
  });
  expect(figures).toMatchObject(unnoticed);
});

test('a replica of the webhook is killed: the other admits pods', async () => {
  const figures = await underLoad('one webhook', async () => {
    const [replica] = await podNames('webhook');
    await killContainer(releaseNamespace, replica!, 'webhook');
    await newPodIsGoverned('one-webhook', database, access);
    await ready('deployment/chaperone-webhook', releaseNamespace);
  });
  expect(figures).toMatchObject(unnoticed);
});

test('without any webhook, pods that opted in are refused and others are not', async () => {
  const figures = await underLoad('all webhooks', async () => {
    const what = 'deployment/chaperone-webhook';
    try {
      await scale(what, 0);
      expect(await applyRefused([newPod('no-webhook')], tenant)).toContain(
        'failed calling webhook "namespace.inject.chaperone.dev"',
      );
      await apply([newPod('plain')], data);
      await ready('pod/plain', data);
      await kubectl(['delete', 'pod', 'plain', '-n', data, '--wait=false']);
    } finally {
      await scale(what, 2);
    }
    await newPodIsGoverned('webhook-again', database, access);
  });
  expect(figures).toMatchObject(unnoticed);
});

test('a replica of the policy API is killed: the other serves', async () => {
  const figures = await underLoad('one policy API', async (load) => {
    for (const replica of await podNames('policy-api')) {
      await killContainer(releaseNamespace, replica, 'policy-api');
      await editsTakeEffect(load, database, access);
      await newPodIsGoverned(`after-${replica}`, database, access);
      await ready('deployment/chaperone-policy-api', releaseNamespace);
    }
  });
  expect(figures).toMatchObject(unnoticed);
});

test('without any policy API, sessions go on, new ones are opened and pods wait; then it catches up', async () => {
  const figures = await underLoad('all policy APIs', async (load) => {
    const what = 'deployment/chaperone-policy-api';
    try {
      await scale(what, 0);
      await admitPod('waits', access);
      await forbidProbes(database, access);
      await load.flows();
      expect(await isStarted('waits', access)).toBe(false);
    } finally {
      await scale(what, 2);
    }
    await podIsGoverned('waits', database, access);
    await probesAre(load, 'Refused');
    await allowProbes(database);
    await probesAre(load, 'Done');
  });
  expect(figures).toMatchObject(unnoticed);
});

test('the collector is killed, and away for a while: pods start, and spools keep what it then gets', async () => {
  const figures = await underLoad('collector', async (load) => {
    const what = 'statefulset/chaperone-collector';
    await killContainer(releaseNamespace, 'chaperone-collector-0', 'collector');
    await load.flows();
    await ready(what, releaseNamespace);
    try {
      await scale(what, 0);
      await newPodIsGoverned('without-collector', database, access);
      await load.flows();
    } finally {
      await scale(what, 1);
    }
  });
  expect(figures).toMatchObject(unnoticed);
});

test('a pod is deleted while the collector is away: what it had not shipped comes by way of the policy API', async () => {
  const load = await startLoad(pod, database, ++loads * 1_000_000);
  const collector = 'statefulset/chaperone-collector';
  let tally: Tally;
  try {
    await scale(collector, 0);
    await load.flows();
    tally = await load.stop();
    // The spool goes with it; the one that takes its place has one of its own.
    await kubectl(['delete', 'pod', pod.pod, '-n', tenant, '--timeout=120s']);
    pod = await startLoadPod(tenant, access.serviceAccount);
  } finally {
    await scale(collector, 1);
  }
  const identity = `${access.namespace}/${access.serviceAccount}`;
  const account = await takeAccount({ load, tally, database, identity });
  table.set('pod, collector away', account.figures);
  expect(account.contradictions).toEqual([]);
  expect(account.figures).toMatchObject(unnoticed);
});

/** Sessions that the load has at any time. */
const cutOff = 4;

/** The sidecar of the load's pod is started anew, and nothing else of the pod. */
async function sidecarRestarts(kill: () => Promise<void>): Promise<void> {
  const before = await restarts(tenant, [pod.pod]);
  await kill();
  const sidecar = `${pod.pod}/${sidecarContainer}`;
  const after = { ...before, [sidecar]: before[sidecar]! + 1 };
  await waitFor(
    async () => {
      const now = await restarts(tenant, [pod.pod]);
      return now[sidecar] !== before[sidecar] && now;
    },
    { what: 'the sidecar to be started anew', timeoutMs: 120_000 },
  );
  expect(await restarts(tenant, [pod.pod])).toEqual(after);
  await ready(`pod/${pod.pod}`, tenant);
}

test("the sidecar is killed: its sessions break, it is back, and its spool's events arrive", async () => {
  const kill = () => killContainer(tenant, pod.pod, sidecarContainer);
  await underLoad('sidecar', () => sidecarRestarts(kill), { cutOff, spoolLost: false });
});

test('the sidecar is lost with its spool: with durability Collector, what ran is on record', async () => {
  const [{ metadata }] = shopPolicies(database, access);
  const session = (value: object | null) =>
    patch('accesspolicy', metadata.name, { spec: { session: value } }, data);
  const lose = () => loseContainer(tenant, pod.pod, sidecarContainer, spoolDirectory);
  await session({ durability: 'Collector' });
  await underLoad(
    'sidecar and spool',
    async (load) => {
      await editsTakeEffect(load, database, access); // and so what was edited before
      await sidecarRestarts(lose);
    },
    { cutOff, spoolLost: true },
  );
  await session(null);
});

test.each([
  ['kube-apiserver', 60_000],
  ['etcd', 20_000],
] as const)(
  '%s is away for %d ms: sessions go on and new ones are opened; then edits take effect',
  async (component, ms) => {
    const servers = async () => ({
      ...(await restarts(releaseNamespace, [
        ...(await podNames('webhook')),
        ...(await podNames('policy-api')),
        ...(await podNames('collector')),
      ])),
      ...(await restarts(tenant, [pod.pod])),
    });
    const before = await servers();
    const figures = await underLoad(component, async (load) => {
      await outageOf(component, ms, load);
      const took = stopwatch();
      await editsTakeEffect(load, database, access);
      notes.push(`after the return of ${component}, two edits are in force within ${took()}`);
      await newPodIsGoverned(`after-${component}`, database, access);
    });
    expect(figures).toMatchObject(unnoticed);
    expect(await servers()).toEqual(before);
  },
);
