/** Stock clients, unchanged, are governed; they hold nothing that the database would take, and no way leads around. */
import {
  injectEnabled,
  injectLabel,
  sidecarContainer,
  tokenAudience,
} from '@chaperone/core/injection/names.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { waitFor } from './node/wait-for.ts';
import { installChaperone, releaseNamespace, uninstallChaperone } from './support/chaperone.ts';
import { type Database, databaseAddress, startDatabase } from './support/database.ts';
import { apply, get, type KubernetesObject, list } from './support/kubectl.ts';
import { deleteNamespace, makeNamespace } from './support/namespaces.ts';
import { nodeQuery } from './support/node-client.ts';
import { exec, ready } from './support/pods.ts';
import { searchSecrets } from './support/secret-search.ts';
import { shopIdentity, shopPolicies, shopTarget } from './support/shop-resources.ts';
import { podTemplate, psql, serviceAccount, workloadDeployment } from './support/workloads.ts';

const account = 'shop';
const canary = 'canary-in-a-coal-mine';
let data: string;
let tenant: string;
/** Not opted in: its pods have no sidecar. */
let outside: string;
let database: Database;

beforeAll(async () => {
  data = await makeNamespace('data');
  const foreign = { 'chaperone.dev/foreign-targets': 'accept' };
  tenant = await makeNamespace('tenant', { [injectLabel]: injectEnabled, ...foreign });
  outside = await makeNamespace('outside', foreign);
  database = await startDatabase(data);
  await installChaperone({
    targetNamespaces: [data],
    gateway: {
      enabled: true,
      targets: [{ namespace: data, name: database.name, port: database.port }],
    },
  });
  const accesses = [tenant, outside].map((namespace) => ({ namespace, serviceAccount: account }));
  await apply([...shopTarget(database, [tenant, outside]), ...accesses.map(shopIdentity)]);
  const [policy, masking] = shopPolicies(database, accesses[0]!);
  const identities = accesses.map(({ namespace }) => ({ name: account, namespace }));
  await apply([{ ...policy, spec: { ...policy.spec, subjects: { identities } } }, masking]);
  for (const namespace of [tenant, outside]) await apply([serviceAccount(account)], namespace);
  await apply([canarySecret, stock(), node()], tenant);
  await ready('deployment/stock', tenant);
  await ready('deployment/node', tenant);
});

afterAll(async () => {
  await uninstallChaperone();
  await deleteNamespace(tenant, outside, data, releaseNamespace);
});

const canarySecret = {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'canary' },
  stringData: { canary },
};
const canaryVolume = { name: 'canary', secret: { secretName: 'canary' } };

/** The stock image with psql as people run it: as root, with a root file system to write to. */
function stock(): KubernetesObject {
  return workloadDeployment({
    name: 'stock',
    serviceAccount: account,
    podSpec: {
      volumes: [canaryVolume],
      containers: [
        {
          name: 'app',
          image: 'postgres:15',
          command: ['sleep', 'infinity'],
          env: [{ name: 'CANARY', value: canary }],
          volumeMounts: [{ name: 'canary', mountPath: '/mnt/canary' }],
        },
      ],
    },
  });
}

function node(): KubernetesObject {
  return workloadDeployment({
    name: 'node',
    serviceAccount: account,
    image: 'node:24',
    env: { CANARY: canary },
  });
}

describe('governed', () => {
  test('psql of the stock image: allowed, masked, refused', async () => {
    const ask = (sql: string) => psql(tenant, 'deployment/stock', database, sql);
    expect(await ask('SELECT count(*) FROM orders')).toMatchObject({ ok: true, rows: '200' });
    const { rows } = await ask('SELECT id, ssn FROM customers WHERE id = 1');
    expect(rows).toMatch(/^1\|\*{7}\d{4}$/);
    const refusal = await ask('SELECT * FROM employees');
    expect(refusal).toMatchObject({ ok: false, error: expect.stringContaining('42501') });
  });

  test('an application in Node: allowed, masked, refused', async () => {
    const ask = (sql: string) => nodeQuery(tenant, 'deployment/node', database, sql);
    expect(await ask('SELECT count(*)::int FROM orders')).toEqual({ rows: [[200]] });
    const { rows } = await ask('SELECT ssn FROM customers WHERE id = 1');
    expect(rows).toEqual([[expect.stringMatching(/^\*{7}\d{4}$/)]]);
    expect(await ask('SELECT * FROM employees')).toMatchObject({
      code: '42501',
      message: expect.stringContaining('no rule of any AccessPolicy allows it'),
    });
  });
});

describe.each(['stock', 'node'])('in the container of %s', (name) => {
  const workload = `deployment/${name}`;

  test('image, command, variables and mounts are its own', async () => {
    const { spec } = (name === 'stock' ? stock() : node()).spec.template;
    const [pod] = await list('pods', '-n', tenant, '-l', `app=${name}`);
    const [{ image, command, env, volumeMounts }] = pod!.spec.containers;
    const own = spec.containers[0];
    expect({ image, command, env }).toEqual({
      image: own.image,
      command: own.command,
      env: own.env,
    });
    // Kubernetes adds the token for its API server.
    const paths = volumeMounts.map(({ mountPath }: { mountPath: string }) => mountPath);
    const ownPaths = (own.volumeMounts ?? []).map((mount: KubernetesObject) => mount.mountPath);
    expect(paths).toEqual([...ownPaths, '/var/run/secrets/kubernetes.io/serviceaccount']);
  });

  test('the search finds what is there', async () => {
    const { files, audiences } = await searchSecrets(tenant, workload, [canary]);
    expect(files).toContain('/proc/1/environ');
    if (name === 'stock') expect(files).toContainEqual(expect.stringMatching(/^\/mnt\/canary\//));
    // The ServiceAccount's own token for the API server, which Kubernetes gives to every pod.
    expect(audiences).toContainEqual(expect.stringContaining('kubernetes'));
  });

  test('no file, variable or process has a credential of the database or a token for us', async () => {
    const { password } = database.shop;
    const texts = [password, Buffer.from(password).toString('base64'), 'sesame-of-the-server'];
    const { files, audiences } = await searchSecrets(tenant, workload, texts);
    expect(files).toEqual([]);
    expect(audiences).not.toContain(tokenAudience);
  });

  test("the sidecar's process is not to be seen", async () => {
    const argv = ['bash', '-c', "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"];
    const { stdout } = await exec(tenant, workload, argv, { container: 'app' });
    expect(stdout).toContain('sleep infinity');
    expect(stdout).not.toMatch(/sidecar|chaperone/);
  });
});

describe('without lockdown, a direct connection', () => {
  const secret = 'SELECT ssn FROM customers WHERE id = 1';
  const direct = (parameters: string) =>
    psql(tenant, 'deployment/stock', database, secret, parameters);

  test.each(['app', 'shop_app', 'postgres'])(
    'by address, as %s, ends at the login',
    async (user) => {
      const service = (await get('service', database.name, '-n', data)).spec.clusterIP;
      for (const address of [service, await databaseAddress(database)]) {
        for (const tls of ['require', 'prefer']) {
          const answer = await direct(`user=${user} hostaddr=${address} sslmode=${tls}`);
          expect(answer).toMatchObject({ ok: false, rows: '' });
          expect(answer.error).toMatch(/no password supplied/);
        }
      }
    },
  );

  test('by any of its names is governed, or ends at the login', async () => {
    const names = [`${database.name}.${data}`, `${database.name}.${data}.svc`];
    for (const name of names) {
      expect((await direct(`host=${name}`)).rows).toMatch(/^\*{7}\d{4}$/);
    }
    // With a dot at its end it is not in the hosts file, and DNS tells the database's own address.
    const answer = await direct(`host=${database.host}.`);
    expect(answer).toMatchObject({ ok: false, rows: '' });
    expect(answer.error).toMatch(/no password supplied/);
  });
});

describe('a pod without a MachineIdentity', () => {
  const newcomer = 'newcomer';
  const workload = `deployment/${newcomer}`;
  const ask = (sql: string) => psql(tenant, workload, database, sql);
  const onlyPod = async (): Promise<KubernetesObject> =>
    (await list('pods', '-n', tenant, '-l', `app=${newcomer}`))[0]!;
  let uid: string;

  test('is injected, starts, and is refused with the object to create', async () => {
    await apply(
      [serviceAccount(newcomer), workloadDeployment({ name: newcomer, serviceAccount: newcomer })],
      tenant,
    );
    await ready(workload, tenant);
    const pod = await onlyPod();
    uid = pod.metadata.uid;
    expect(pod.spec.initContainers.map(({ name }: { name: string }) => name)).toEqual([
      sidecarContainer,
    ]);
    const { ok, error } = await ask('SELECT count(*) FROM orders');
    expect(ok).toBe(false);
    expect(error).toContain(`No MachineIdentity has ServiceAccount ${tenant}/${newcomer}`);
    expect(error).toContain(
      `Create a MachineIdentity in namespace ${tenant} with spec.subjects: [{serviceAccount: {name: ${newcomer}}}].`,
    );
  });

  test('works once the identity and its policy exist, without a restart', async () => {
    const access = { namespace: tenant, serviceAccount: newcomer };
    const [policy] = shopPolicies(database, access);
    await apply([shopIdentity(access), policy]);
    const count = await waitFor(
      async () => {
        const { ok, rows } = await ask('SELECT count(*) FROM orders');
        return ok && rows;
      },
      { what: 'the identity to be in force' },
    );
    expect(count).toBe('200');
    expect((await ask('SELECT * FROM employees')).error).toContain('42501');
    const { metadata, status } = await onlyPod();
    expect(metadata.uid).toBe(uid);
    expect(status.initContainerStatuses[0].restartCount).toBe(0);
  });
});

describe('through the gateway, a pod without a sidecar', () => {
  const gateway = () => `chaperone-gateway-${data}-${database.name}.${releaseNamespace}`;
  const tokens = '/var/run/secrets/tokens';

  /** psql with a file's content as password. */
  async function ask(sql: string, options: { user?: string; token?: string } = {}) {
    const { user = `${outside}/${account}`, token = 'ours' } = options;
    const connection = `host=${gateway()} dbname=shop user=${user} connect_timeout=10`;
    const command = `PGPASSWORD=$(cat ${tokens}/${token}) psql "$1" -XAt -v VERBOSITY=verbose -c "$2"`;
    const argv = ['bash', '-c', command, 'bash', connection, sql];
    const { code, stdout, stderr } = await exec(outside, 'deployment/caller', argv);
    return { ok: code === 0, rows: stdout.trim(), error: stderr.trim() };
  }

  beforeAll(async () => {
    const source = (path: string, audience: string) => ({
      serviceAccountToken: { audience, path, expirationSeconds: 600 },
    });
    const template = podTemplate({ name: 'caller', serviceAccount: account, inject: false });
    const [app] = template.spec.containers;
    const volumeMounts = [{ name: 'tokens', mountPath: tokens, readOnly: true }];
    const sources = [source('ours', tokenAudience), source('others', 'example.com')];
    const deployment = workloadDeployment({
      name: 'caller',
      serviceAccount: account,
      inject: false,
      podSpec: {
        containers: [{ ...app, volumeMounts }],
        volumes: [{ name: 'tokens', projected: { sources } }],
      },
    });
    await apply([deployment], outside);
    await ready('deployment/caller', outside);
  });

  test('has no sidecar, and a token for us that the search finds', async () => {
    const [pod] = await list('pods', '-n', outside, '-l', 'app=caller');
    expect(pod?.spec.initContainers).toBeUndefined();
    const { audiences } = await searchSecrets(outside, 'deployment/caller', [canary]);
    expect(audiences).toContain(tokenAudience);
  });

  test('is allowed, masked and refused by its token', async () => {
    expect(await ask('SELECT count(*) FROM orders')).toMatchObject({ ok: true, rows: '200' });
    expect((await ask('SELECT ssn FROM customers WHERE id = 1')).rows).toMatch(/^\*{7}\d{4}$/);
    const refusal = await ask('SELECT * FROM employees');
    expect(refusal).toMatchObject({ ok: false, error: expect.stringContaining('42501') });
  });

  test.each([
    ['with a token of another audience', () => ({ token: 'others' })],
    ["as another namespace's identity", () => ({ user: `${tenant}/${account}` })],
    ['as nobody', () => ({ user: 'postgres' })],
  ])('is refused %s', async (_, options) => {
    const answer = await ask('SELECT 1', options());
    expect(answer).toMatchObject({ ok: false, rows: '' });
    expect(answer.error).toContain('CHP-2001');
  });
});
