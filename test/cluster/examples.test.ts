/** README's way from `helm install` to the first refused statement, and the other workloads of examples/kubernetes. */
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { installChaperone, uninstallChaperone } from './support/chaperone.ts';
import { apply, kubectl } from './support/kubectl.ts';
import { deleteNamespace } from './support/namespaces.ts';
import { exec, jobEnd, podLogs, ready, restricted } from './support/pods.ts';

const examples = resolve(import.meta.dirname, '../../examples/kubernetes');
const applyFile = (file: string) => kubectl(['apply', '-f', join(examples, file)]);

beforeAll(async () => {
  await applyFile('shared/namespaces.yaml');
  await installChaperone({
    targetNamespaces: ['shop-data'],
    gateway: {
      enabled: true,
      targets: [{ namespace: 'shop-data', name: 'orders-db', port: 5432 }],
    },
  });
  await applyFile('shared/');
  const isReady = ['wait', '--for=condition=Ready', 'target/orders-db', '-n', 'shop-data'];
  await kubectl([...isReady, '--timeout=60s']);
  await ready('deployment/orders-db', 'shop-data');
});

afterAll(async () => {
  await deleteNamespace('shop', 'shop-data');
  await uninstallChaperone();
});

test('a Deployment is governed: allowed, masked, refused', async () => {
  await applyFile('deployment.yaml');
  await ready('deployment/storefront', 'shop');
  const psql = (statement: string) =>
    exec('shop', 'deploy/storefront', ['psql', '-At', '-c', statement], { container: 'app' });
  expect(await psql('SELECT name, email FROM customers ORDER BY id LIMIT 1')).toMatchObject({
    code: 0,
    stdout: 'Customer 1|cu*******************\n',
  });
  const refused = await psql('DELETE FROM orders');
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain(
    'ERROR:  Delete on shop.public.orders is refused to shop/storefront: no rule of any AccessPolicy allows it.',
  );
});

test('a Job completes', async () => {
  await applyFile('job.yaml');
  expect(await jobEnd('orders-import', 'shop')).toBe('Complete');
  expect(await podLogs('shop', 'job/orders-import', 'app')).toContain('INSERT 0 50');
});

test("a CronJob's Job completes", async () => {
  await applyFile('cronjob.yaml');
  await kubectl(['create', 'job', 'tonight', '--from=cronjob/nightly-report', '-n', 'shop']);
  expect(await jobEnd('tonight', 'shop')).toBe('Complete');
  expect(await podLogs('shop', 'job/tonight', 'app')).toContain('INSERT 0 1');
});

test('a StatefulSet reads what it may', async () => {
  await applyFile('statefulset.yaml');
  await ready('statefulset/ledger', 'shop');
  const psql = (statement: string) =>
    exec('shop', 'ledger-0', ['psql', '-At', '-c', statement], { container: 'app' });
  const paid = "WHERE status = 'paid' LIMIT 1";
  expect(await psql(`SELECT total FROM orders ${paid}`)).toMatchObject({ code: 0 });
  expect(await psql(`SELECT customer_id FROM orders ${paid}`)).toMatchObject({ code: 1 });
});

test('a pod without a sidecar comes through the gateway by its token, and verifies whom it shows it to', async () => {
  await kubectl(['label', 'namespace', 'shop', 'chaperone.dev/required-']);
  const token = '/var/run/secrets/chaperone.dev';
  const env = {
    PGHOST: 'chaperone-gateway-shop-data-orders-db.chaperone-system',
    PGUSER: 'shop/nightly-report',
    PGDATABASE: 'shop',
    PGSSLMODE: 'verify-full',
    PGSSLROOTCERT: '/ca/ca.crt',
  };
  const app = restricted({
    name: 'app',
    image: 'postgres:15',
    command: ['/bin/sh', '-c'],
    args: [`PGPASSWORD=$(cat ${token}/token) psql -At -c 'SELECT count(*) > 0 FROM orders'`],
    env: Object.entries(env).map(([name, value]) => ({ name, value })),
    volumeMounts: [
      { name: 'token', mountPath: token, readOnly: true },
      { name: 'ca', mountPath: '/ca', readOnly: true },
    ],
  });
  const audience = { audience: 'chaperone.dev', expirationSeconds: 600, path: 'token' };
  const template = {
    metadata: { labels: { 'chaperone.dev/inject': 'disabled' } },
    spec: {
      serviceAccountName: 'nightly-report',
      restartPolicy: 'Never',
      containers: [app],
      volumes: [
        { name: 'token', projected: { sources: [{ serviceAccountToken: audience }] } },
        { name: 'ca', configMap: { name: 'chaperone-ca' } },
      ],
    },
  };
  const metadata = { name: 'by-gateway' };
  const spec = { backoffLimit: 0, template };
  await apply([{ apiVersion: 'batch/v1', kind: 'Job', metadata, spec }], 'shop');
  expect(await jobEnd('by-gateway', 'shop')).toBe('Complete');
  expect(await podLogs('shop', 'job/by-gateway', 'app')).toBe('t\n');
});
