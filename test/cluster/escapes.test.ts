/**
 * What a tenant of a namespace that requires a sidecar tries in order to get out, and what comes of it: at the database,
 * at the policy API, in the pod. What admission says to each is in admission.test.ts.
 */
import { resolve } from 'node:path';
import { injectEnabled, injectLabel, sidecarUid } from '@chaperone/core/injection/names.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { attestFrom, leaseFrom, sidecarToken, tokenCommand } from './escapes/attest.ts';
import { falseServer } from './escapes/false-server.ts';
import { makeTenant, type Tenant } from './escapes/tenant.ts';
import { waitFor } from './node/wait-for.ts';
import { installChaperone, releaseNamespace, uninstallChaperone } from './support/chaperone.ts';
import { askDatabase, type Database, databaseAddress, startDatabase } from './support/database.ts';
import { apply, command, get, type KubernetesObject, list } from './support/kubectl.ts';
import { deleteNamespace, makeNamespace } from './support/namespaces.ts';
import { nodeQuery } from './support/node-client.ts';
import { exec, podLogs, ready, restricted } from './support/pods.ts';
import { shopIdentity, shopPolicies, shopTarget } from './support/shop-resources.ts';
import { podTemplate, serviceAccount } from './support/workloads.ts';

const program = resolve(import.meta.dirname, '../../bin/chaperone');
const account = 'shop';
const apiVersion = 'chaperone.dev/v1alpha1';

let data: string;
let home: string;
let other: string;
let database: Database;
let tenant: Tenant;
let neighbour: Tenant;

beforeAll(async () => {
  data = await makeNamespace('data');
  const labels = { [injectLabel]: injectEnabled, 'chaperone.dev/foreign-targets': 'accept' };
  home = await makeNamespace('tenant', { ...labels, 'chaperone.dev/required': 'true' });
  other = await makeNamespace('neighbour', labels);
  database = await startDatabase(data);
  await installChaperone({ targetNamespaces: [data] });
  tenant = await makeTenant(home, 'mallory');
  neighbour = await makeTenant(other, 'eve');
  const access = { namespace: home, serviceAccount: account };
  await apply([
    ...shopTarget(database, [home]),
    unverifiedTarget(),
    shopIdentity(access),
    ...shopPolicies(database, access),
  ]);
  await tenant.does(['apply', '-f', '-'], [serviceAccount(account), pod('web'), pod('thief')]);
  await ready('pod/web', home);
  await ready('pod/thief', home);
});

afterAll(async () => {
  await deleteNamespace(home, other, data);
  await uninstallChaperone();
  await deleteNamespace(releaseNamespace);
});

/** The same database once more, for whoever takes the network's word for it. */
function unverifiedTarget(): KubernetesObject {
  const [, target] = shopTarget(database, [home]);
  const metadata = { name: 'ledger', namespace: data };
  const host = `ledger.${data}.svc.cluster.local`;
  return { ...target, metadata, spec: { ...target!.spec, host, tls: { mode: 'Disable' } } };
}

function pod(name: string, podSpec: KubernetesObject = {}, metadata: KubernetesObject = {}) {
  const template = podTemplate({ name, serviceAccount: account, image: 'node:24', podSpec });
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...template.metadata, name, ...metadata },
    spec: template.spec,
  };
}

const ask = (name: string, sql: string) => nodeQuery(home, name, database, sql);
const customers = () => askDatabase(database, 'SELECT count(*) FROM customers');
const podsNamed = async (name: string) =>
  (await list('pods', '-n', home)).filter(({ metadata }) => metadata.name.startsWith(name));

/** What `kubectl chaperone status` shows. */
async function statusOf(namespace: string): Promise<object> {
  const { stdout } = await command(program, ['status', '-n', namespace, '-o', 'json']);
  return JSON.parse(stdout);
}

/** What every way that leaves a pod running has to come to. */
async function expectGoverned(name: string): Promise<void> {
  expect(await ask(name, 'SELECT count(*)::int FROM orders')).toEqual({ rows: [[200]] });
  expect((await ask(name, 'SELECT * FROM employees')).code).toBe('42501');
  expect((await ask(name, 'DELETE FROM customers')).code).toBe('42501');
  const { rows } = await ask(name, 'SELECT ssn FROM customers WHERE id = 1');
  expect(rows).toEqual([[expect.stringMatching(/^\*{7}\d{4}$/)]]);
  const direct = { host: await databaseAddress(database), port: database.port };
  const answer = await nodeQuery(home, name, direct, 'SELECT 1');
  expect(answer.rows).toBeUndefined();
  expect(await customers()).not.toBe('0');
}

test('the pod that all this begins with is governed', () => expectGoverned('web'));

test.each([
  ['label', 'chaperone.dev/required-'],
  ['annotate', 'chaperone.dev/foreign-targets-from=elsewhere'],
])('may not %s the namespace: %s', async (verb, change) => {
  const { code, stderr } = await tenant.attempt([verb, 'namespace', home, change]);
  expect(code).not.toBe(0);
  expect(stderr).toContain('cannot patch resource "namespaces"');
});

describe('pods', () => {
  const container = (fields: object) => ({
    containers: [restricted({ name: 'app', image: 'node:24', command: ['sleep', '1000'] }), fields],
  });
  const second = { name: 'second', image: 'node:24', command: ['sleep', '1000'] };
  const source = { serviceAccountToken: { audience: 'chaperone.dev', path: 'token' } };

  test.each<[string, () => KubernetesObject | Promise<KubernetesObject>, string]>([
    ['on the network of the node', () => ({ hostNetwork: true }), 'HostNetwork'],
    [
      'that share processes',
      () => ({ shareProcessNamespace: true, ...container(second) }),
      'SharedProcessNamespace',
    ],
    ['among the processes of the node', () => ({ hostPID: true }), 'SharedProcessNamespace'],
    ['in the shared memory of the node', () => ({ hostIPC: true }), 'HostIPC'],
    [
      'with a second container that is the sidecar’s user',
      () => container({ ...second, securityContext: { runAsUser: sidecarUid } }),
      'ReservedUser',
    ],
    [
      'with a second container that mounts the token',
      () => container({ ...second, volumeMounts: [{ name: 'chaperone-token', mountPath: '/t' }] }),
      'ReservedName',
    ],
    [
      'with a token of their own',
      () => ({ volumes: [{ name: 'own', projected: { sources: [source] } }] }),
      'ReservedAudience',
    ],
    [
      'that lead around by hostAliases',
      async () => ({
        hostAliases: [{ ip: await databaseAddress(database), hostnames: [database.host] }],
      }),
      'HostAliasConflict',
    ],
  ])('%s: there are none', async (_, spec, reason) => {
    expect(await tenant.refusal(pod('escape', await spec()))).toContain(reason);
    expect(await podsNamed('escape')).toEqual([]);
  });

  test('of a Deployment, too; why is told by an Event', async () => {
    const { metadata, spec } = pod('hidden', { hostNetwork: true });
    const deployment = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'hidden' },
      spec: { selector: { matchLabels: metadata.labels }, template: { metadata, spec } },
    };
    await tenant.does(['create', '-f', '-'], [deployment]);
    const told = await waitFor(async () => {
      const events = await list('events', '-n', home, '--field-selector=reason=FailedCreate');
      return events.find(({ message }) => message.includes('CHP-8001'));
    });
    expect(told.message).toContain('HostNetwork');
    expect(await podsNamed('hidden')).toEqual([]);
    await tenant.does(['delete', 'deployment', 'hidden']);
  });

  test('that opt out, bring a sidecar and say that they were injected: governed', async () => {
    const forged = {
      ...second,
      ...{ name: 'chaperone-sidecar', restartPolicy: 'Always' },
    };
    const labels = { app: 'forged', [injectLabel]: 'disabled', 'chaperone.dev/governed': 'true' };
    const annotations = { 'chaperone.dev/status': '{"targets":[]}' };
    const object = pod('forged', { initContainers: [forged] }, { labels, annotations });
    await tenant.does(['create', '-f', '-'], [object]);
    await ready('pod/forged', home);
    await expectGoverned('forged');
    const { spec } = await get('pod', 'forged', '-n', home);
    expect(spec.initContainers).toEqual([expect.objectContaining({ name: 'chaperone-sidecar' })]);
    expect(spec.initContainers[0].image).toContain('chaperone-sidecar');
    await tenant.does(['delete', 'pod', 'forged', '--wait=false']);
  });
});

describe('a pod that runs', () => {
  const add = (fields: object) => {
    const ephemeral = { name: 'look', image: 'node:24', command: ['sleep', '1000'], ...fields };
    const change = JSON.stringify({ spec: { ephemeralContainers: [ephemeral] } });
    return tenant.attempt([
      ...['patch', 'pod', 'web', '--subresource=ephemeralcontainers', '-p', change],
    ]);
  };

  test.each([
    ['the sidecar’s user', { securityContext: { runAsUser: sidecarUid } }],
    ['its token', { volumeMounts: [{ name: 'chaperone-token', mountPath: '/t' }] }],
    ['its spool', { volumeMounts: [{ name: 'chaperone-spool', mountPath: '/s' }] }],
    ['its processes', { targetContainerName: 'chaperone-sidecar' }],
    [
      'all of it',
      {
        targetContainerName: 'chaperone-sidecar',
        securityContext: { runAsUser: sidecarUid },
        volumeMounts: [{ name: 'chaperone-token', mountPath: '/t' }],
      },
    ],
  ])('gets no ephemeral container with %s', async (_, fields) => {
    expect((await add(fields)).stderr).toContain('CHP-8001');
    expect((await get('pod', 'web', '-n', home)).spec.ephemeralContainers).toBeUndefined();
  });

  test('keeps its sidecar', async () => {
    const sidecar = async () => {
      const { spec, status } = await get('pod', 'web', '-n', home);
      const { containerID, restartCount } = status.initContainerStatuses[0];
      return { image: spec.initContainers[0].image, containerID, restartCount };
    };
    const before = await sidecar();
    const initContainers = [{ name: 'chaperone-sidecar', image: 'node:24' }];
    const change = JSON.stringify({ spec: { initContainers } });
    expect((await tenant.attempt(['patch', 'pod', 'web', '-p', change])).stderr).toContain(
      'CHP-8001',
    );
    for (const verb of ['exec', 'attach']) {
      const argv = verb === 'exec' ? ['--', '/opt/chaperone/node', '-v'] : [];
      const { code, stderr } = await tenant.attempt([
        ...[verb, 'web', '-c', 'chaperone-sidecar'],
        ...argv,
      ]);
      expect(code).not.toBe(0);
      expect(stderr).toContain('nobody looks into');
    }
    expect(await sidecar()).toEqual(before);
  });

  test('whose sidecar is starved of memory lets nothing pass around it', async () => {
    const tight = { limits: { memory: '128Mi' }, requests: { memory: '64Mi' } };
    const initContainers = [{ name: 'chaperone-sidecar', resources: tight }];
    const change = JSON.stringify({ spec: { initContainers } });
    await tenant.attempt(['patch', 'pod', 'thief', '--subresource=resize', '-p', change]);
    // Whether the cluster does it or not, and whether the sidecar lives on that or not.
    expect((await ask('thief', 'SELECT * FROM employees')).rows).toBeUndefined();
    await ready('pod/thief', home);
    await expectGoverned('thief');
  });

  test('lets nobody else speak through its sidecar: no neighbour, no forwarded port, no proxy', async () => {
    const { podIP } = (await get('pod', 'web', '-n', home)).status;
    const answer = await ask('thief', 'SELECT 1');
    expect(answer.rows).toEqual([[1]]); // by its own sidecar
    const knock = `require('node:net').connect(5432, '${podIP}')
      .on('connect', () => console.log('open')).on('error', ({ code }) => console.log(code));`;
    const argv = ['node', '-e', knock];
    const { stdout } = await exec(home, 'thief', argv, { container: 'app' });
    expect(stdout.trim()).toBe('ECONNREFUSED');

    const proxied = await tenant.attempt([
      ...['get', '--raw', `/api/v1/namespaces/${home}/pods/web:5432/proxy/`],
    ]);
    expect(proxied.code).not.toBe(0);
    expect(proxied.stderr).toContain('refused');

    // `kubectl port-forward` says what became of it when the first connection comes.
    const script = `
      kubectl --as mallory -n ${home} port-forward pod/web :5432 > "$0" 2>&1 & pid=$!
      trap 'kill $pid' EXIT
      for i in $(seq 100); do port=$(sed -n 's/.*127.0.0.1:\\([0-9]*\\) ->.*/\\1/p' "$0"); [ -n "$port" ] && break; sleep 0.1; done
      exec 3<>/dev/tcp/127.0.0.1/$port; printf '\\0\\0\\0\\010\\004\\322\\026\\057' >&3; timeout 10 cat <&3 | wc -c
      cat "$0"; rm "$0"`;
    const forwarded = await command('bash', ['-c', script, `/tmp/forward-${home}`]);
    expect(forwarded.stdout).toMatch(/^0\n/);
    expect(forwarded.stdout).toMatch(/connection refused|lost connection/i);
  });
});

describe('tokens', () => {
  test('of another pod, or of none, prove nothing', async () => {
    const web = await sidecarToken(home, account, 'web');
    // In the pod itself it is as good as the sidecar's own: so nobody else is to have it.
    expect(await attestFrom(home, 'web', web)).toMatchObject({ status: 200 });
    const stolen = await attestFrom(home, 'thief', web);
    expect(stolen).toMatchObject({ status: 403, code: 'CHP-2006' });
    expect(stolen.controlToken).toBeUndefined();

    const unbound = await tenant.does(['create', 'token', account, '--audience=chaperone.dev']);
    expect(await attestFrom(home, 'web', unbound.trim())).toMatchObject({
      status: 403,
      code: 'CHP-2006',
    });
    const ofApi = await tenant.does(['create', 'token', account]);
    expect(await attestFrom(home, 'web', ofApi.trim())).toMatchObject({ code: 'CHP-2006' });
  });

  test('that are bound to a pod are made for its node alone', async () => {
    const { code, stdout, stderr } = await tenant.attempt(tokenCommand(home, account, 'web'));
    expect(code).not.toBe(0);
    expect(stdout).toBe('');
    expect(stderr).toContain('ReservedAudience');
  });

  test('are worth nothing after their pod’s death, and in one of its name', async () => {
    await tenant.does(['create', '-f', '-'], [pod('short')]);
    await ready('pod/short', home);
    const token = await sidecarToken(home, account, 'short');
    const { status, controlToken = '' } = await attestFrom(home, 'short', token);
    expect(status).toBe(200);
    expect(await leaseFrom(home, 'short', controlToken)).toMatchObject({ code: 'CHP-2012' });
    await tenant.does(['delete', 'pod', 'short', '--grace-period=1']);
    await tenant.does(['create', '-f', '-'], [pod('short')]);
    await ready('pod/short', home);
    for (const name of ['short', 'thief']) {
      const answer = await attestFrom(home, name, token);
      expect(answer).toMatchObject({ status: 403, code: 'CHP-2006' });
      expect(answer.message).toMatch(/not valid|not exist/);
      // What it was given for the token while it lived has gone with it.
      expect(await leaseFrom(home, name, controlToken)).toMatchObject({
        status: 401,
        code: 'CHP-2007',
      });
    }
    await tenant.does(['delete', 'pod', 'short', '--wait=false']);
  });

  test('of a pod without a sidecar prove nothing', async () => {
    const labels = { app: 'bare', [injectLabel]: 'disabled' };
    const bare = pod('bare', { serviceAccountName: 'default' }, { labels });
    await neighbour.does(['create', '-f', '-'], [bare]);
    await ready('pod/bare', other);
    const token = await sidecarToken(other, 'default', 'bare');
    expect(await attestFrom(other, 'bare', token)).toMatchObject({ status: 403, code: 'CHP-2006' });
    // And it is shown that there is one.
    expect(await statusOf(other)).toMatchObject({ workloads: [], notOptedIn: 1 });
  });
});

describe('the roots that the sidecar trusts', () => {
  test('are not the tenant’s to change, and come back when deleted', async () => {
    const roots = async () => (await get('configmap', 'chaperone-ca', '-n', home)).data['ca.crt'];
    const before = await roots();
    const object = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'chaperone-ca' },
      data: { 'ca.crt': 'mine' },
    };
    const change = JSON.stringify({ data: object.data });
    for (const args of [
      ['patch', 'configmap', 'chaperone-ca', '-p', change],
      ['replace', '-f', '-'],
      ['apply', '--server-side', '--force-conflicts', '-f', '-'],
    ]) {
      expect((await tenant.attempt(args, [object])).stderr).toContain('CHP-8001');
    }
    expect(await roots()).toBe(before);
    await tenant.does(['delete', 'configmap', 'chaperone-ca']);
    expect(await tenant.refusal(object)).toMatch(/CHP-8001|AlreadyExists/);
    await waitFor(async () => (await roots()) === before);
  });
});

describe('names', () => {
  test('a Target cannot claim: another namespace’s Service, the API server', async () => {
    const [, target] = shopTarget(database, [home]);
    const claim = (spec: object) => ({
      ...target,
      metadata: { name: 'claim', namespace: home },
      spec: { ...target!.spec, tls: { mode: 'Disable' }, ...spec },
    });
    for (const spec of [
      {},
      { host: 'kubernetes.default.svc' },
      { host: 'own.example.com' },
      { host: `own.${home}.svc`, aliases: [database.host] },
      { host: `own.${home}.svc`, aliases: ['kubernetes.default.svc'] },
    ]) {
      expect(await tenant.refusal(claim(spec))).toContain('CHP-8002');
    }
    expect(await list('targets', '-n', home)).toEqual([]);
  });

  test('resolved by the tenant’s own server give no credential away', async () => {
    const truth: Record<string, string> = {};
    for (const name of ['chaperone-policy-api', 'chaperone-collector']) {
      truth[name] = (await get('service', name, '-n', releaseNamespace)).spec.clusterIP;
    }
    const server = {
      ...{ name: 'app', image: 'node:24', command: ['node', '-e', falseServer(truth)] },
      securityContext: { runAsUser: 0 },
    };
    await tenant.does(['create', '-f', '-'], [pod('false', { containers: [server] })]);
    await ready('pod/false', home);
    const { podIP } = (await get('pod', 'false', '-n', home)).status;
    const dns = { dnsPolicy: 'None', dnsConfig: { nameservers: [podIP] } };
    await tenant.does(['create', '-f', '-'], [pod('misled', dns)]);
    await ready('pod/misled', home);

    const misled = await get('pod', 'misled', '-n', home);
    const status = JSON.parse(misled.metadata.annotations['chaperone.dev/status']);
    expect(status.targets).toEqual([`${data}/${database.name}`]);
    expect(status.warnings).toEqual([expect.stringContaining('name servers of its own')]);
    // One is verified by its certificate; to the other there is no way through the sidecar.
    const verified = await ask('misled', 'SELECT 1');
    expect(verified.rows).toBeUndefined();
    const unverified = { host: `ledger.${data}.svc.cluster.local`, port: database.port };
    await nodeQuery(home, 'misled', unverified, 'SELECT 1');

    const log = await podLogs(home, 'false', 'app');
    expect(log).toContain(`asked for ${database.host}`);
    expect(log).not.toContain(database.shop.password);
    // The program came by itself, with the user that it goes by; the sidecar, which has another, did not.
    expect(log).toMatch(/was sent .*user app /);
    expect(log).not.toContain(database.shop.user);
    await tenant.does(['delete', 'pod', 'false', 'misled', '--wait=false']);
  });
});

describe('policies', () => {
  const targetRefs = () => [{ namespace: data, name: database.name }];
  const all = { classes: ['Read', 'Write'], resources: ['**'] };
  const condition = async (kind: string, name: string, namespace: string) => {
    const accepted = await waitFor(async () => {
      const { status } = await get(kind, name, '-n', namespace);
      return status?.conditions?.find(({ type }: { type: string }) => type === 'Accepted');
    });
    return `${accepted.status} ${accepted.reason}`;
  };

  test('of the tenant’s namespace grant it nothing, and unmask nothing', async () => {
    const identities = [{ namespace: home, name: account }];
    await tenant.does(
      ['apply', '-f', '-'],
      [
        {
          apiVersion,
          kind: 'AccessPolicy',
          metadata: { name: 'everything' },
          spec: {
            subjects: { identities },
            targetRefs: targetRefs(),
            rules: [{ name: 'all', action: 'Allow', ...all }],
          },
        },
        {
          apiVersion,
          kind: 'MaskingRule',
          metadata: { name: 'nothing' },
          spec: {
            targetRefs: targetRefs(),
            columns: ['shop.public.customers.ssn'],
            transform: { type: 'Partial', keepLast: 9 },
          },
        },
      ],
    );
    expect(await condition('accesspolicy', 'everything', home)).toBe('False NotPermitted');
    expect(await condition('maskingrule', 'nothing', home)).toBe('False NotPermitted');
    await expectGoverned('web');
    expect(await statusOf(home)).toMatchObject({
      broken: expect.arrayContaining([
        expect.objectContaining({
          what: `AccessPolicy ${home}/everything`,
          reason: 'NotPermitted',
        }),
      ]),
    });
    await tenant.does(['delete', 'accesspolicy/everything', 'maskingrule/nothing']);
  });

  test('of another tenant’s namespace do not cut it off', async () => {
    const hostile = {
      apiVersion,
      kind: 'AccessPolicy',
      metadata: { name: 'nobody' },
      spec: {
        subjects: { identities: [{ namespace: home, name: account }], namespaces: [home] },
        targetRefs: targetRefs(),
        rules: [{ name: 'none', action: 'Deny', ...all }],
      },
    };
    await neighbour.does(['apply', '-f', '-'], [hostile]);
    expect(await condition('accesspolicy', 'nobody', other)).toBe('False NotPermitted');
    await expectGoverned('web');
  });
});
