/** Going around the sidecar on a real cluster: with lockdown nowhere, without it no further than the database's login. */
import {
  egressAnnotation,
  egressLockdown,
  lockdownContainer,
  sidecarUid,
} from '@chaperone/core/injection/names.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { waitFor } from './node/wait-for.ts';
import { installChaperone, releaseNamespace } from './support/chaperone.ts';
import { type Database, databaseAddress } from './support/database.ts';
import { apply, get, type KubernetesObject, list } from './support/kubectl.ts';
import { exec, podLogs, ready } from './support/pods.ts';
import { removeShop, shopNamespaces, startShop } from './support/shop.ts';
import { shopResources, shopTarget } from './support/shop-resources.ts';
import { podTemplate, psql, serviceAccount, workloadDeployment } from './support/workloads.ts';

const account = 'shop';
const shop = shopNamespaces();
const { data, tenant } = shop;
let database: Database;
/** Of the Service, and of the pod behind it. */
let service: string;
let pod: string;

beforeAll(async () => {
  database = await startShop(shop);
  await installChaperone({ targetNamespaces: [data] });
  const access = { namespace: tenant, serviceAccount: account };
  await apply(
    shopResources(database, access).map((object) =>
      object.kind === 'Target'
        ? { ...object, spec: { ...object.spec, lockdownPorts: [5432] } }
        : object,
    ),
  );
  await apply(
    [
      serviceAccount(account),
      workloadDeployment({ name: 'open', serviceAccount: account }),
      workloadDeployment({
        name: 'locked',
        serviceAccount: account,
        annotations: { [egressAnnotation]: egressLockdown },
      }),
    ],
    tenant,
  );
  await ready('deployment/open', tenant);
  await ready('deployment/locked', tenant);
  service = (await get('service', database.name, '-n', data)).spec.clusterIP;
  pod = await databaseAddress(database);
});

afterAll(() => removeShop(shop));

/** With the host's own name given for TLS, as an attacker who knows it would. */
const direct = (workload: string, address: string, parameters = '') =>
  psql(
    tenant,
    `deployment/${workload}`,
    database,
    'SELECT ssn FROM customers',
    `hostaddr=${address} sslmode=require ${parameters}`,
  );

test.each(['open', 'locked'])('by name, %s is governed', async (workload) => {
  const ask = (sql: string) => psql(tenant, `deployment/${workload}`, database, sql);
  expect(await ask('SELECT count(*) FROM orders')).toMatchObject({ ok: true, rows: '200' });
  expect((await ask('SELECT ssn FROM customers WHERE id = 1')).rows).toMatch(/^\*{7}\d{4}$/);
  expect((await ask('SELECT * FROM employees')).error).toContain('42501');
});

describe('by address, past the sidecar', () => {
  test('without lockdown there is a server, and no password for it', async () => {
    for (const address of [service, pod]) {
      const answer = await direct('open', address);
      expect(answer.ok).toBe(false);
      expect(answer.error).toMatch(/no password supplied/);
    }
  });

  test('with lockdown there is nothing, not even with the password', async () => {
    const { user, password } = database.shop;
    const login = `user=${user} password=${password}`;
    for (const address of [service, pod]) {
      // The password is right: without lockdown it opens the database.
      expect(await direct('open', address, login)).toMatchObject({ ok: true });
      for (const parameters of ['', login]) {
        const answer = await direct('locked', address, parameters);
        expect(answer.ok).toBe(false);
        expect(answer.error).toMatch(/Connection refused/);
      }
    }
  });

  test('with lockdown the rest of the world is as before', async () => {
    const argv = ['getent', 'hosts', `chaperone-policy-api.${releaseNamespace}.svc.cluster.local`];
    expect(await exec(tenant, 'deployment/locked', argv, { container: 'app' })).toMatchObject({
      code: 0,
    });
  });
});

test("a container that could become the sidecar's user is not let in", async () => {
  const { metadata, spec } = podTemplate({
    name: 'root',
    serviceAccount: account,
    annotations: { [egressAnnotation]: egressLockdown },
  });
  const pod = (securityContext: object) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...metadata, name: 'root' },
    spec: { ...spec, containers: [{ ...spec.containers[0], securityContext }] },
  });
  const attempts = [
    [{}, 'UnsafeForLockdown'],
    [{ runAsUser: 0 }, 'UnsafeForLockdown'],
    [{ runAsUser: 1000 }, 'UnsafeForLockdown'],
    [{ runAsUser: sidecarUid }, 'ReservedUser'],
  ] as const;
  for (const [securityContext, reason] of attempts) {
    await expect(apply([pod(securityContext)], tenant)).rejects.toThrow(reason);
  }
});

test('a pod whose way to a target cannot be closed does not start', async () => {
  const [, target] = shopTarget(database, [tenant]);
  const gone = {
    ...target!,
    metadata: { name: 'gone', namespace: data },
    spec: { ...target!.spec, host: `gone.${data}.svc.cluster.local` },
  };
  await apply([gone]);
  await waitFor(async () => (await get('target', 'gone', '-n', data)).status?.conditions);
  const annotations = { [egressAnnotation]: egressLockdown };
  const name = 'late';
  await apply([workloadDeployment({ name, serviceAccount: account, annotations })], tenant);
  const failed = await waitFor(async () => {
    const [pod] = await list('pods', '-n', tenant, '-l', `app=${name}`);
    const [lockdown] = pod?.status.initContainerStatuses ?? [];
    return lockdown?.restartCount > 0 && pod;
  });
  // One that was just started again has said nothing yet.
  await waitFor(async () => {
    const said = await podLogs(tenant, failed.metadata.name, lockdownContainer);
    return said.includes(`gone.${data}.svc.cluster.local has no address in DNS`);
  });
  const started = failed.status.containerStatuses.map(({ started }: KubernetesObject) => started);
  expect(started).toEqual([false]);
});
