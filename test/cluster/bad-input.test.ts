/** What is wrong says so, in a condition and an Event with what to do, and nothing else is affected. */
import { injectEnabled, injectLabel } from '@chaperone/core/injection/names.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { certificateAuthority } from '../support/certificates.ts';
import { waitFor } from './node/wait-for.ts';
import {
  chart,
  componentPods,
  helm,
  installChaperone,
  releaseNamespace,
  uninstallChaperone,
} from './support/chaperone.ts';
import { type Database, startDatabase } from './support/database.ts';
import {
  apply,
  applyRefused,
  get,
  type KubernetesObject,
  kubectl,
  list,
} from './support/kubectl.ts';
import { deleteNamespace, makeNamespace } from './support/namespaces.ts';
import { exec, ready } from './support/pods.ts';
import { shopIdentity, shopPolicies, shopTarget } from './support/shop-resources.ts';
import { podTemplate, psql, serviceAccount } from './support/workloads.ts';

const account = 'shop';

let data: string;
let tenant: string;
let database: Database;

beforeAll(async () => {
  data = await makeNamespace('data');
  tenant = await makeNamespace('tenant', {
    [injectLabel]: injectEnabled,
    'chaperone.dev/foreign-targets': 'accept',
  });
  database = await startDatabase(data);
  await storeBeforeTheRule();
  await installChaperone({ targetNamespaces: [data] });
  const access = { namespace: tenant, serviceAccount: account };
  const [policy, mask] = shopPolicies(database, access);
  const broken = Object.keys(faults);
  policy.spec.targetRefs = [...policy.spec.targetRefs, ...broken.map((name) => ({ name }))];
  await apply([
    ...broken.map(service),
    { ...strangersAuthority('stranger'), metadata: { name: 'stranger', namespace: data } },
    ...shopTarget(database, [tenant]),
    ...broken.flatMap(brokenTarget),
    shopIdentity(access),
    ...[policy, mask],
  ]);
  const template = podTemplate({ name: 'app', serviceAccount: account });
  const labels = template.metadata.labels;
  const app = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'app', labels } };
  await apply([serviceAccount(account), { ...app, spec: template.spec }], tenant);
  await ready('pod/app', tenant);
});

afterAll(async () => {
  await deleteNamespace(tenant, data);
  await uninstallChaperone();
  await deleteNamespace(releaseNamespace);
});

/** Targets of the same server, each wrong in its own way. */
const faults: Readonly<
  Record<string, (objects: readonly KubernetesObject[]) => readonly object[]>
> = {
  'no-secret': ([, target]) => [target!],
  'no-key': ([secret, target]) => [
    { ...secret, stringData: { username: secret!.stringData.username } },
    target!,
  ],
  'no-mark': ([secret, target]) => [
    { ...secret, metadata: { ...secret!.metadata, labels: {} } },
    target!,
  ],
  'no-authority': ([secret, target]) => [secret!, withTls(target!, { caRef: { name: 'gone' } })],
  'wrong-authority': ([secret, target]) => [
    secret!,
    withTls(target!, { mode: 'VerifyCA', caRef: { name: 'stranger' } }),
  ],
  'wrong-password': ([secret, target]) => [
    { ...secret, stringData: { ...secret!.stringData, password: 'not-the-one' } },
    // The server's certificate is not for the other names that it has here.
    withTls(target!, { mode: 'VerifyCA' }),
  ],
};

const withTls = (target: KubernetesObject, tls: object): KubernetesObject => ({
  ...target,
  spec: { ...target.spec, tls: { ...target.spec.tls, ...tls } },
});

const hostOf = (name: string) => `${name}.${data}.svc.cluster.local`;

const service = (name: string): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: data },
  spec: { selector: { app: database.name }, ports: [{ port: database.port }] },
});

const brokenTarget = (name: string): readonly object[] =>
  faults[name]!(shopTarget({ ...database, name, host: hostOf(name) }, [tenant]));

const strangersAuthority = (name: string): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: data },
  data: { 'ca.crt': certificateAuthority().ca.cert },
});

/** A Target as a schema without rules takes it, before Chaperone comes with its own. */
async function storeBeforeTheRule(): Promise<void> {
  const name = 'templates/crds/targets.yaml';
  const text = await helm(['template', 'chaperone', chart, '--show-only', name]);
  const definition = withoutRules(parse(text)) as KubernetesObject;
  const { metadata } = definition;
  metadata.annotations = {
    ...metadata.annotations,
    'meta.helm.sh/release-name': 'chaperone',
    'meta.helm.sh/release-namespace': releaseNamespace,
  };
  delete metadata.annotations['helm.sh/resource-policy'];
  metadata.labels = { ...metadata.labels, 'app.kubernetes.io/managed-by': 'Helm' };
  await kubectl(['apply', '--server-side', '--field-manager=helm', '-f', '-'], {
    input: JSON.stringify(definition),
  });
  await kubectl(['wait', '--for=condition=Established', 'crd/targets.chaperone.dev']);
  const [, target] = shopTarget({ ...database, name: 'old', host: hostOf('old') }, [tenant]);
  await waitFor(() => apply([withTls(target!, { mode: 'Disable' })]).then(() => true));
}

function withoutRules(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutRules);
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(([key]) => key !== 'x-kubernetes-validations');
  return Object.fromEntries(kept.map(([key, below]) => [key, withoutRules(below)]));
}

interface Condition {
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

async function conditionOf(name: string, type: string): Promise<Condition | undefined> {
  const { status } = await get('target', name, '-n', data);
  return status?.conditions?.find((condition: { type: string }) => condition.type === type);
}

const readiness = (name: string) => conditionOf(name, 'Ready');

const conditionOnce = (name: string, type: string, reason: string) =>
  waitFor(
    async () => {
      const condition = await conditionOf(name, type);
      return condition?.reason === reason && condition;
    },
    { what: `Target ${name} to be ${reason}` },
  );

const readyOnce = (name: string, reason: string) => conditionOnce(name, 'Ready', reason);

const eventsOf = async (name: string) =>
  (await list('events.events.k8s.io', '-n', data)).filter(
    ({ regarding }) => regarding?.kind === 'Target' && regarding.name === name,
  );

const ask = (name: string) =>
  psql(tenant, 'app', { host: hostOf(name), port: database.port }, 'SELECT count(*) FROM orders');

/** The other target of the same namespace, whose secrets, policies and pod are the same. */
async function expectOthersUnaffected(): Promise<void> {
  expect(await ask(database.name)).toMatchObject({ ok: true, rows: '200' });
  expect(await readiness(database.name)).toMatchObject({ status: 'True' });
}

describe('a Target', () => {
  test.each([
    ['no-secret', 'SecretNotFound', 'no-secret-login', 'CHP-2010'],
    ['no-key', 'SecretIncomplete', 'password', 'CHP-2010'],
    ['no-mark', 'SecretNotFound', 'lacks the label chaperone.dev/target: no-mark', 'CHP-2010'],
    ['no-authority', 'CANotFound', 'gone', 'CHP-2013'],
  ])('%s: %s', async (name, reason, told, code) => {
    const condition = await readyOnce(name, reason);
    expect(condition.status).toBe('False');
    expect(condition.message).toContain(told);
    const event = await waitFor(async () =>
      (await eventsOf(name)).find((one) => one.reason === reason),
    );
    expect(event).toMatchObject({ type: 'Warning', note: condition.message });
    const answer = await ask(name);
    expect(answer).toMatchObject({ ok: false, error: expect.stringContaining(code) });
    await expectOthersUnaffected();
  });

  const reachable = 'BackendReachable';

  /** Until somebody has connected and that is told. */
  const reachableOnce = (name: string, reason: string, code?: string) =>
    waitFor(
      async () => {
        const answer = await ask(name);
        if (code !== undefined) expect(answer).toMatchObject({ ok: false });
        const condition = await conditionOf(name, reachable);
        return condition?.reason === reason && condition;
      },
      { what: `Target ${name} to be ${reason}` },
    );

  /** A session that is opened before and asks again afterwards; its answers. */
  const openSession = (name: string) =>
    exec(
      tenant,
      'app',
      [
        'sh',
        '-c',
        `(echo 'SELECT count(*) FROM orders;'; sleep 15; echo 'SELECT count(*) FROM orders;') | psql -At -h ${hostOf(name)} -p ${database.port} -U anyone shop`,
      ],
      { container: 'app' },
    );

  test.each<[string, string, string, string, () => Promise<unknown>]>([
    [
      'wrong-authority',
      'CertificateNotTrusted',
      'CHP-2013',
      'have ConfigMap stranger hold the authority that it comes from',
      async () => {
        const { data: own } = await get('configmap', database.caConfigMap, '-n', data);
        const metadata = { name: 'stranger', namespace: data };
        await apply([{ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: own }]);
      },
    ],
    [
      'wrong-password',
      'CredentialsRejected',
      'CHP-2011',
      'the server does not take the login in Secret wrong-password-login',
      () => {
        const [secret] = shopTarget({ ...database, name: 'wrong-password' }, [tenant]);
        return apply([secret!]);
      },
    ],
  ])('%s, which only connecting tells: %s', async (name, reason, code, told, mend) => {
    const others = openSession(database.name);
    expect(await readyOnce(name, 'Ready')).toMatchObject({ status: 'True' });
    const condition = await reachableOnce(name, reason, code);
    expect(condition).toMatchObject({ status: 'False', message: expect.stringContaining(told) });
    const event = await waitFor(async () =>
      (await eventsOf(name)).find((one) => one.reason === reason),
    );
    expect(event).toMatchObject({ type: 'Warning', note: condition.message });
    expect(await ask(name)).toMatchObject({ ok: false, error: expect.stringContaining(code) });
    await expectOthersUnaffected();
    const well = await conditionOnce(database.name, reachable, 'Reachable');
    expect(well.status).toBe('True');

    await mend();
    await reachableOnce(name, 'Reachable');
    expect(await conditionOf(name, reachable)).toMatchObject({ status: 'True' });
    expect(await ask(name)).toMatchObject({ ok: true });
    const recovery = await waitFor(async () =>
      (await eventsOf(name)).find((one) => one.reason === 'Reachable'),
    );
    expect(recovery.type).toBe('Normal');
    // And the session that was open all the while goes on.
    expect(await others).toMatchObject({ code: 0, stdout: '200\n200\n' });
  });

  test('that is mended is ready without more ado', async () => {
    const [secret] = shopTarget({ ...database, name: 'no-secret' }, [tenant]);
    await apply([secret!]);
    await readyOnce('no-secret', 'Ready');
    const event = await waitFor(async () =>
      (await eventsOf('no-secret')).find(({ reason }) => reason === 'Ready'),
    );
    expect(event.type).toBe('Normal');
  });

  test('that was stored before a rule of its schema existed counts as absent, and says so', async () => {
    const condition = await readyOnce('old', 'InvalidSpec');
    expect(condition.message).toContain('caRef');
    const event = await waitFor(async () =>
      (await eventsOf('old')).find(({ reason }) => reason === 'InvalidSpec'),
    );
    expect(event.type).toBe('Warning');
    await expectOthersUnaffected();
    // It can be labelled, not made anew, and corrected.
    await kubectl(['label', 'target', 'old', '-n', data, 'seen=yes']);
    const [, target] = shopTarget({ ...database, name: 'new', host: hostOf('new') }, [tenant]);
    expect(await applyRefused([withTls(target!, { mode: 'Disable' })])).toContain('caRef');
    const change = JSON.stringify({ spec: { tls: { mode: 'VerifyFull' } } });
    await kubectl(['patch', 'target', 'old', '-n', data, '--type=merge', '-p', change]);
    await readyOnce('old', 'SecretNotFound');
  });
});

describe('an admission review', () => {
  /** Sends what a stranger may send to the webhook's Service, and prints the answers' statuses. */
  const program = `
    const { request } = require('node:https');
    const send = ([path, body]) => new Promise((resolve) => {
      const options = {
        host: 'chaperone-webhook.${releaseNamespace}.svc.cluster.local', path, method: 'POST',
        rejectUnauthorized: false, headers: { 'content-type': 'application/json' },
      };
      const call = request(options, (answer) => {
        answer.resume().on('end', () => resolve(answer.statusCode));
      });
      call.on('error', ({ code }) => resolve(code));
      call.end(body);
    });
    const review = (request) => JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request });
    const of = { uid: 'u', operation: 'CREATE', kind: { group: '', version: 'v1', kind: 'Pod' }, namespace: process.argv[1], name: 'x' };
    const bodies = {
      empty: '', cut: '{"apiVersion":', list: '[]', null: 'null', text: '"x"', binary: Buffer.alloc(1000, 0xff),
      'no review': '{}', 'no request': review(undefined), 'no object': review(of),
      'a pod of no form': review({ ...of, object: { apiVersion: 'v1', kind: 'Pod', metadata: 7, spec: [] } }),
      'of another kind': review({ ...of, object: { apiVersion: 'v1', kind: 'Secret', metadata: {} } }),
      deep: '['.repeat(200000) + ']'.repeat(200000),
      huge: '{"a":"' + 'x'.repeat(9 << 20) + '"}',
      'many containers': review({ ...of, object: { apiVersion: 'v1', kind: 'Pod', metadata: {}, spec: {
        containers: Array.from({ length: 30000 }, (_, i) => ({ name: 'c' + i, image: 'x' })) } } }),
    };
    (async () => {
      const answers = {};
      for (const [name, body] of Object.entries(bodies)) {
        answers[name] = await Promise.all(['/mutate/namespace', '/verify/pod', '/validate'].map((path) => send([path, body])));
      }
      process.stdout.write(JSON.stringify(answers));
    })();`;

  test('that is malformed or huge is answered, and the next one is, too', async () => {
    const template = podTemplate({ name: 'sender', image: 'node:24', inject: false });
    const labels = { ...template.metadata.labels };
    const sender = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'sender', labels } };
    await apply([{ ...sender, spec: template.spec }], data);
    await ready('pod/sender', data);
    const argv = ['node', '-e', program, tenant];
    const { stdout, stderr } = await exec(data, 'sender', argv, { container: 'app' });
    expect(stderr).toBe('');
    const answers = Object.entries(JSON.parse(stdout) as Record<string, (number | string)[]>);
    expect(answers).toHaveLength(14);
    for (const [name, statuses] of answers) {
      // A body beyond the bound may find the connection closed before it is sent whole.
      const expected = name === 'huge' ? [413, 'EPIPE', 'ECONNRESET'] : [200, 400, 415, 422];
      for (const status of statuses)
        expect({ name, in: expected.includes(status as never), status }).toMatchObject({
          in: true,
        });
    }
    const pods = await componentPods('webhook');
    expect(pods.length).toBeGreaterThan(0);
    for (const { status } of pods) expect(status.containerStatuses[0].restartCount).toBe(0);
    const probe = podTemplate({ name: 'probe' });
    const metadata = { name: 'probe', ...probe.metadata };
    const object = { apiVersion: 'v1', kind: 'Pod', metadata, spec: probe.spec };
    const args = ['create', '-n', tenant, '--dry-run=server', '-o', 'json', '-f', '-'];
    const made = JSON.parse(await kubectl(args, { input: JSON.stringify(object) }));
    expect(made.spec.initContainers[0].name).toBe('chaperone-sidecar');
    await expectOthersUnaffected();
  });

  test('of a pod as large as the API server takes them is no trouble', async () => {
    const { metadata, spec } = podTemplate({ name: 'large' });
    const env = Array.from({ length: 8000 }, (_, at) => ({
      name: `V${at}`,
      value: 'x'.repeat(100),
    }));
    const [container] = spec.containers;
    const large = {
      ...{ apiVersion: 'v1', kind: 'Pod' },
      metadata: { name: 'large', ...metadata, annotations: { note: 'x'.repeat(200_000) } },
      spec: { ...spec, containers: [{ ...container, env }] },
    };
    const args = ['create', '-n', tenant, '--dry-run=server', '-o', 'json', '-f', '-'];
    const made = JSON.parse(await kubectl(args, { input: JSON.stringify(large) }));
    expect(made.spec.initContainers[0].name).toBe('chaperone-sidecar');
  });
});
