/** The chart's way through a cluster's life: installed, used, upgraded, uninstalled. Its tests are steps. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { waitFor } from './node/wait-for.ts';
import {
  chart,
  componentPods,
  installChaperone,
  releaseNamespace,
  uninstallChaperone,
} from './support/chaperone.ts';
import { askDatabase, type Database } from './support/database.ts';
import { inventory } from './support/inventory.ts';
import { apply, get, kubectl, list } from './support/kubectl.ts';
import { deleteNamespace } from './support/namespaces.ts';
import { ready } from './support/pods.ts';
import { recordedEvents } from './support/record.ts';
import { removeShop, shopNamespaces, startShop } from './support/shop.ts';
import { shopResources } from './support/shop-resources.ts';
import { psql, serviceAccount, workloadDeployment } from './support/workloads.ts';

const reports = 'reports';

let before: ReadonlySet<string>;
const shop = shopNamespaces();
const { data, tenant } = shop;
let database: Database;
const access = { namespace: tenant, serviceAccount: reports };

beforeAll(async () => {
  database = await startShop(shop, { 'pod-security.kubernetes.io/enforce': 'restricted' });
  await apply([serviceAccount(reports)], tenant);
  // What is there before; the tenant's and the database's own are part of it.
  before = await inventory();
});

afterAll(() => removeShop(shop));

test('helm install ends with everything ready', async () => {
  await installChaperone({ targetNamespaces: [data] });
  for (const component of ['controllers', 'webhook', 'policy-api', 'collector']) {
    const pods = await componentPods(component);
    expect(pods.length).toBeGreaterThan(0);
    for (const { metadata, status } of pods) {
      const restarts = status.containerStatuses.map(
        ({ restartCount }: { restartCount: number }) => restartCount,
      );
      expect([metadata.name, ...restarts]).toEqual([metadata.name, 0]);
    }
  }
});

test('resources are accepted and become Ready', async () => {
  await apply(shopResources(database, access));
  await waitFor(
    async () => {
      const objects = await list('targets,machineidentities,accesspolicies,maskingrules', '-A');
      return objects.every(({ status }) =>
        status?.conditions?.some(
          ({ type, status: value }: { type: string; status: string }) =>
            (type === 'Ready' || type === 'Accepted') && value === 'True',
        ),
      );
    },
    { what: 'the resources to be Ready' },
  );
});

test('a stock client of the tenant, unchanged, is governed: allowed, masked, refused', async () => {
  await apply(
    [workloadDeployment({ name: reports, serviceAccount: reports, inject: false })],
    tenant,
  );
  await ready(`deployment/${reports}`, tenant);
  const ask = (sql: string) => psql(tenant, `deployment/${reports}`, database, sql);

  expect(await ask('SELECT count(*) FROM orders')).toMatchObject({ ok: true, rows: '200' });
  const { rows } = await ask('SELECT id, ssn FROM customers WHERE id = 1');
  expect(rows).toMatch(/^1\|\*{7}\d{4}$/);
  const refusal = await ask('SELECT * FROM employees');
  expect(refusal.ok).toBe(false);
  expect(refusal.error).toContain('42501');
  expect(await ask("UPDATE orders SET status = 'paid' WHERE id = 4")).toMatchObject({ ok: true });
  expect(await askDatabase(database, 'SELECT status FROM orders WHERE id = 4')).toBe('paid');

  const decided = await waitFor(
    async () => {
      const question = { identity: `${tenant}/${reports}`, type: 'OperationDecided' };
      const events = await recordedEvents(question);
      return events.length >= 4 && events;
    },
    { what: 'four decisions to be on record' },
  );
  const verdicts = decided.map(({ verdict, operations }) => [
    verdict,
    operations[0].verb,
    operations[0].resource.at(-1),
  ]);
  expect(verdicts).toEqual([
    ['Allow', 'Select', 'orders'],
    ['Allow', 'Select', 'customers'],
    ['Deny', 'Select', 'employees'],
    ['Allow', 'Update', 'orders'],
  ]);
});

test('an upgrade brings a changed resource definition, and what was governed stays so', async () => {
  const work = mkdtempSync(join(tmpdir(), 'chaperone-chart-'));
  try {
    cpSync(chart, work, { recursive: true });
    const file = join(work, 'templates/crds/targets.yaml');
    const text = readFileSync(file, 'utf8');
    const column =
      '    - name: Database kind\n      type: string\n      jsonPath: .spec.protocol\n';
    const changed = text.replace('additionalPrinterColumns:\n', (line) => line + column);
    expect(changed).not.toBe(text);
    writeFileSync(file, changed);
    await installChaperone({ targetNamespaces: [data] }, work);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  expect(await kubectl(['get', 'targets', '-n', data])).toContain('DATABASE KIND');
  const { spec } = await get('target', database.name, '-n', data);
  expect(spec.host).toBe(database.host);
  const answer = await psql(tenant, `deployment/${reports}`, database, 'SELECT * FROM employees');
  expect(answer.error).toContain('42501');
});

test('uninstalling leaves no object behind, and namespaces with governed pods can be deleted', async () => {
  await uninstallChaperone();
  await kubectl(['delete', 'deployment', reports, '-n', tenant, '--wait', '--timeout=60s']);
  await kubectl(['delete', 'secret', `${database.name}-login`, '-n', data]);
  await deleteNamespace(releaseNamespace);
  // The garbage collector takes a moment for what belonged to what is gone.
  const left = async () => [...(await inventory())].filter((object) => !before.has(object)).sort();
  await waitFor(async () => (await left()).length === 0, { timeoutMs: 60_000 }).catch(() => {});
  expect(await left()).toEqual([]);
  await deleteNamespace(tenant, data);
});
