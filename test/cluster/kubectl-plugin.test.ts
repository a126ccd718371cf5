/** `kubectl chaperone` on a real cluster, as kubectl's plug-in. */
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { injectEnabled, injectLabel, sidecarUid } from '@chaperone/core/injection/names.ts';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { waitFor } from './node/wait-for.ts';
import { installChaperone, releaseNamespace, uninstallChaperone } from './support/chaperone.ts';
import { type Database, startDatabase } from './support/database.ts';
import {
  apply,
  type CommandResult,
  command,
  type KubernetesObject,
  kubectl,
  list,
} from './support/kubectl.ts';
import { deleteNamespace, makeNamespace } from './support/namespaces.ts';
import { ready } from './support/pods.ts';
import { shopIdentity, shopPolicies, shopTarget } from './support/shop-resources.ts';
import { podTemplate, serviceAccount, workloadDeployment } from './support/workloads.ts';

const account = 'shop';
let plugins: string;
let data: string;
let tenant: string;
let database: Database;

beforeAll(async () => {
  plugins = mkdtempSync(join(tmpdir(), 'chaperone-plugin-'));
  symlinkSync(
    resolve(import.meta.dirname, '../../bin/chaperone'),
    join(plugins, 'kubectl-chaperone'),
  );
  data = await makeNamespace('data');
  tenant = await makeNamespace('tenant', {
    [injectLabel]: injectEnabled,
    'chaperone.dev/foreign-targets': 'accept',
  });
  database = await startDatabase(data);
  const early = workloadDeployment({ name: 'early', serviceAccount: account });
  await apply([serviceAccount(account), early], tenant);
  await ready('deployment/early', tenant);
  await installChaperone({ targetNamespaces: [data] });
  const access = { namespace: tenant, serviceAccount: account };
  await apply([
    ...shopTarget(database, [tenant]),
    shopIdentity(access),
    ...shopPolicies(database, access),
  ]);
  await apply([workloadDeployment({ name: 'shop', serviceAccount: account })], tenant);
  await ready('deployment/shop', tenant);
});

afterAll(async () => {
  rmSync(plugins, { recursive: true, force: true });
  await uninstallChaperone();
  await deleteNamespace(tenant, data, releaseNamespace);
});

const chaperone = (...args: readonly string[]): Promise<CommandResult> =>
  command('env', [
    `PATH=${plugins}${delimiter}${process.env.PATH}`,
    'kubectl',
    'chaperone',
    ...args,
  ]);

interface Status {
  readonly workloads: readonly object[];
  readonly broken: readonly { readonly what: string; readonly reason: string }[];
}

async function statusUntil(fits: (status: Status) => boolean): Promise<Status> {
  return waitFor(async () => {
    const { stdout } = await chaperone('status', '-n', tenant, '-o', 'json');
    const status = JSON.parse(stdout) as Status;
    return fits(status) && status;
  });
}

const withRestart = ({ spec, ...template }: KubernetesObject): KubernetesObject => ({
  ...template,
  spec: { ...spec, restartPolicy: 'Never' },
});

test('status tells what is governed, and what to do about what is not', async () => {
  const status = await statusUntil(({ broken }) => broken.length === 1);
  expect(status.workloads).toEqual([
    expect.objectContaining({ workload: 'Deployment/early', pods: 1, governed: 0 }),
    expect.objectContaining({ workload: 'Deployment/shop', governed: 1, state: 'Governed' }),
  ]);
  const { stdout, code } = await chaperone('status', '-n', tenant, '--exit-code');
  expect(code).toBe(1);
  expect(stdout).toContain(`> kubectl -n ${tenant} rollout restart deployment early`);
  expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);

  // What it says mends it.
  await kubectl(['-n', tenant, 'rollout', 'restart', 'deployment', 'early']);
  await ready('deployment/early', tenant);
  await statusUntil(({ broken }) => broken.length === 0);
  expect((await chaperone('status', '-n', tenant, '--exit-code')).code).toBe(0);
});

test('why tells who a pod is and what counts for it', async () => {
  const [pod] = await list('pods', '-n', tenant, '-l', 'app=shop');
  const { stdout } = await chaperone('why', pod!.metadata.name, '-n', tenant);
  expect(stdout).toContain(`identity     ${tenant}/${account}`);
  expect(stdout).toContain(`Target ${data}/${database.name} (Enforce)`);
  expect(stdout).toMatch(/reached at +127\.0\.\d+\.\d+:5432 as .*orders-db/);
  expect(stdout).toMatch(/Allow +\S+\/read-shop/);
  expect(stdout).toContain('shop.public.customers.ssn');
  expect(stdout).toContain('Partial keepLast 4');
  expect(stdout).not.toContain(database.shop.password);
});

test('a Secret that lost its mark: the command that is shown mends it', async () => {
  const secret = `${database.name}-login`;
  await kubectl(['-n', data, 'label', 'secret', secret, 'chaperone.dev/target-']);
  const { broken } = await statusUntil((status) => status.broken.length > 0);
  expect(broken).toEqual([expect.objectContaining({ what: `Target ${data}/${database.name}` })]);
  await kubectl(['-n', data, 'label', 'secret', secret, `chaperone.dev/target=${database.name}`]);
  await statusUntil((status) => status.broken.length === 0);
});

test('pods that are refused at admission are told of, though there are none', async () => {
  const podSpec = { securityContext: { runAsUser: sidecarUid } };
  const options = { name: 'refused', serviceAccount: account, podSpec };
  const job = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'refused' },
    spec: { template: withRestart(podTemplate({ ...options, name: 'refused-job' })) },
  };
  await apply([workloadDeployment(options), job], tenant);
  const { broken } = await statusUntil((status) => status.broken.length === 2);
  expect(broken).toEqual(
    ['Deployment', 'Job'].map((kind) =>
      expect.objectContaining({
        what: `${kind} ${tenant}/refused`,
        reason: 'NotAdmitted',
        message: expect.stringMatching(/^its pods are not admitted: CHP-8001 ReservedUser: /),
      }),
    ),
  );
  await apply([workloadDeployment({ ...options, podSpec: {} })], tenant);
  await kubectl(['delete', 'job', 'refused', '-n', tenant]);
  await ready('deployment/refused', tenant);
  await statusUntil((status) => status.broken.length === 0);
  await kubectl(['delete', 'deployment', 'refused', '-n', tenant]);
});

test('who may see one namespace alone is told what he does not see', async () => {
  const user = `system:serviceaccount:${tenant}:viewer`;
  await apply([serviceAccount('viewer')], tenant);
  const binding = ['create', 'rolebinding', 'viewer', '--clusterrole=view'];
  await kubectl([...binding, `--serviceaccount=${tenant}:viewer`, '-n', tenant]);
  const { stdout, code } = await chaperone('status', '-n', tenant, '--as', user);
  expect(code).toBe(0);
  expect(stdout).toContain('Not seen');
  expect(stdout).toContain('Deployment/shop');
});

test('what cannot be asked is an error that says so', async () => {
  const gone = await chaperone('why', 'gone', '-n', tenant);
  expect(gone).toMatchObject({ code: 1, stderr: expect.stringContaining('CHP-1014') });
  const nowhere = await chaperone('status', '--context', 'nowhere');
  expect(nowhere).toMatchObject({ code: 1, stderr: expect.stringContaining('CHP-1022') });
});
