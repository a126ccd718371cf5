/** The admission webhooks over HTTPS, without a cluster: what an API server sends, and what others might. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PeerCertificate, TLSSocket } from 'node:tls';
import { governanceRules } from '@chaperone/control/controllers/host-rules.ts';
import { Snapshot } from '@chaperone/control/controllers/snapshot.ts';
import { stored } from '@chaperone/control/controllers/testing.ts';
import type { Stored } from '@chaperone/control/store/resource-store.ts';
import type { CheckedPod } from '@chaperone/operator/injection/pod.ts';
import { renderPod } from '@chaperone/operator/injection/render.ts';
import { contextOf, podOf, settings, target } from '@chaperone/operator/injection/testing.ts';
import type { EventDetails, EventSubject } from '@chaperone/operator/kubernetes/event-recorder.ts';
import { PodAdmission } from '@chaperone/operator/webhook/pods.ts';
import { startWebhookServer, type WebhookServer } from '@chaperone/operator/webhook/server.ts';
import type { AdmissionState } from '@chaperone/operator/webhook/state.ts';
import { manualClock } from '@chaperone/runtime/clock.ts';
import { createLogger } from '@chaperone/runtime/logging/logger.ts';
import { admissionMetrics } from '@chaperone/runtime/metrics/catalogue.ts';
import { registerMetrics } from '@chaperone/runtime/metrics/metrics.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { certificateAuthority } from '../support/certificates.ts';

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly certificate: PeerCertificate;
}

interface Response {
  readonly uid: string;
  readonly allowed: boolean;
  readonly status?: { readonly code: number; readonly message: string };
  readonly patch?: string;
  readonly patchType?: string;
  readonly warnings?: readonly string[];
}

const authority = certificateAuthority('ecdsa-sha384');
const clock = manualClock();
const registry = new Registry();
const metrics = registerMetrics(registry, admissionMetrics);
const logged: string[] = [];
const logger = createLogger({
  program: 'test',
  level: 'debug',
  clock,
  destination: { write: (line) => void logged.push(line) },
});
const events: { subject: EventSubject; details: EventDetails }[] = [];

let directory: string;
let server: WebhookServer;
let unready: string | undefined;
let broken = false;

const snapshot = new Snapshot();
const add = (...objects: readonly Stored[]): void => {
  const batch = objects.map((object) => ({ type: 'Added' as const, object }));
  snapshot.apply({ events: batch, resourceVersion: '1' });
};
const accepting = { 'chaperone.dev/foreign-targets': 'accept' };
const enabled = { 'chaperone.dev/inject': 'enabled' };
const strict = { name: 'strict', labels: { ...enabled, 'chaperone.dev/required': 'true' } };

const state: AdmissionState = {
  snapshot,
  rules: governanceRules({
    clusterDomain: 'cluster.local',
    allowedHosts: ['payments=db.example.com'],
    oidcIssuers: ['payments=https://ci.example.com'],
    foreignTargets: 'ByLabel',
  }),
  maxTargetsPerNamespace: 3,
  unready: () => unready,
  services: () => {
    if (broken) throw new Error('a fault of ours');
    return [];
  },
  namespaceNow: async (name) => {
    if (name === 'unknown') throw new Error('the API server does not answer');
    return name === 'fresh' ? { name, labels: enabled } : undefined;
  },
};

function writeCertificate(): void {
  const { cert, key } = authority.issue(['IP:127.0.0.1']);
  writeFileSync(join(directory, 'tls.crt'), cert);
  writeFileSync(join(directory, 'tls.key'), key);
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'chaperone-webhook-'));
  writeCertificate();
  add(
    stored('Namespace', 'payments', {}, { ...enabled, ...accepting }),
    stored('Namespace', 'strict', {}, strict.labels),
    stored('Namespace', 'data'),
    stored('Namespace', 'fresh'),
    target('data/orders-db', { allowedNamespaces: { from: 'All' } }),
    stored('MachineIdentity', 'payments/older', {
      subjects: [{ serviceAccount: { name: 'report' } }],
    }),
  );
  server = await startWebhookServer({
    host: '127.0.0.1',
    port: 0,
    tlsDirectory: directory,
    state,
    pods: new PodAdmission({
      state,
      settings,
      recordEvent: (subject, details) => void events.push({ subject, details }),
      metrics,
      logger,
    }),
    metrics,
    clock,
    logger,
  });
});

afterAll(async () => {
  await server.close();
  rmSync(directory, { recursive: true, force: true });
});

beforeEach(() => {
  unready = undefined;
  broken = false;
  events.length = 0;
  registry.resetMetrics();
});

function post(path: string, body: string | Buffer, type = 'application/json'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = https.request(
      {
        host: '127.0.0.1',
        port: server.port,
        path,
        method: 'POST',
        ca: authority.ca.cert,
        agent: false,
        headers: { 'content-type': type, 'content-length': Buffer.byteLength(body) },
      },
      (response) => {
        const certificate = (response.socket as TLSSocket).getPeerCertificate();
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(parts).toString();
          resolve({ status: response.statusCode ?? 0, body: text, certificate });
        });
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

const review = (request: object): object => ({
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  request: {
    uid: '705ab4f5-6393-11e8-b7cc-42010a800002',
    operation: 'CREATE',
    namespace: 'payments',
    kind: { group: '', version: 'v1', kind: 'Pod' },
    ...request,
  },
});

async function ask(path: string, request: object): Promise<Response> {
  const { status, body } = await post(path, JSON.stringify(review(request)));
  expect(status).toBe(200);
  const answer = JSON.parse(body) as { apiVersion: string; kind: string; response: Response };
  expect(answer).toMatchObject({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview' });
  expect(answer.response.uid).toBe('705ab4f5-6393-11e8-b7cc-42010a800002');
  return answer.response;
}

const count = async (metric: { get(): Promise<{ values: readonly { value: number }[] }> }) =>
  (await metric.get()).values.reduce((sum, { value }) => sum + value, 0);

const owner = {
  apiVersion: 'apps/v1',
  kind: 'ReplicaSet',
  name: 'report-1',
  uid: 'u1',
  controller: true,
};

describe('pods', () => {
  const reviewed = (): string[] => logged.filter((line) => line.includes('pod reviewed'));

  /** As an API server does where others change the pod after us: once more, and in the end the comparison. */
  async function admit(object: CheckedPod, more: object = {}): Promise<Response> {
    const { patch } = await ask('/mutate/namespace', { object, ...more });
    const outcome = renderPod(object, contextOf());
    expect(patch !== undefined).toBe(outcome.outcome === 'Injected');
    const changed = outcome.outcome === 'Injected' ? outcome.pod : object;
    await ask('/mutate/namespace', { object: changed, ...more });
    return ask('/verify/namespace', { object: changed, ...more });
  }

  test('are patched', async () => {
    const response = await ask('/mutate/namespace', { object: podOf() });
    expect(response).toMatchObject({ allowed: true, patchType: 'JSONPatch' });
    const patch = JSON.parse(Buffer.from(response.patch!, 'base64').toString()) as object[];
    expect(patch).toContainEqual({
      op: 'add',
      path: '/spec/hostAliases',
      value: [expect.objectContaining({ hostnames: expect.arrayContaining(['orders-db.data']) })],
    });
  });

  test.each<[string, CheckedPod]>([
    ['injected', podOf()],
    ['left alone', podOf({ hostNetwork: true }, { ownerReferences: [owner] })],
  ])('that are %s are counted and logged once, however often they are shown', async (_, object) => {
    logged.length = 0;
    expect(await admit(object)).toMatchObject({ allowed: true });
    expect(await count(metrics.injections)).toBe(1);
    expect(reviewed()).toHaveLength(1);
    expect(events.length).toBeLessThan(2);
  });

  test('that opt out in vain are told so, and so is their owner', async () => {
    const labels = { 'chaperone.dev/inject': 'disabled' };
    const object = podOf({}, { labels, ownerReferences: [owner] });
    const request = { object, namespace: 'strict' };
    const response = await ask('/mutate/namespace', request);
    expect(response.patch).toBeDefined();
    expect(response.warnings).toEqual([expect.stringMatching(/disabled has no effect.*strict/)]);
    const rendered = renderPod(object, contextOf({ namespace: strict, targets: [] }));
    if (rendered.outcome !== 'Injected') throw new Error('not injected');
    await ask('/verify/namespace', { ...request, object: rendered.pod });
    expect(events.map(({ details }) => details.reason)).toEqual(['OptOutIgnored']);
  });

  test('are refused with a reason', async () => {
    const object = podOf({ securityContext: { runAsUser: 64821 } });
    const response = await ask('/mutate/namespace', { object });
    expect(await count(metrics.injections)).toBe(1);
    expect(response).toMatchObject({ allowed: false, status: { code: 403 } });
    expect(response.status!.message).toMatch(/^CHP-8001 ReservedUser: .* Choose another/);
    expect(response.patch).toBeUndefined();
  });

  test('that are skipped are told to their owner, and to whoever makes them', async () => {
    const object = podOf({ hostNetwork: true }, { ownerReferences: [owner] });
    const response = await ask('/mutate/namespace', { object });
    expect(response).toMatchObject({
      allowed: true,
      warnings: [expect.stringContaining('(HostNetwork)')],
    });
    await ask('/verify/namespace', { object });
    expect(events).toEqual([
      {
        subject: {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          namespace: 'payments',
          name: 'report-1',
          uid: 'u1',
        },
        details: expect.objectContaining({ type: 'Warning', reason: 'HostNetwork' }),
      },
    ]);
    const { values } = await metrics.injections.get();
    expect(values.find(({ value }) => value === 1)?.labels).toEqual({
      outcome: 'Skipped',
      reason: 'HostNetwork',
    });
  });

  test('of a dry run leave no Event and no count', async () => {
    const object = podOf({ hostNetwork: true }, { ownerReferences: [owner] });
    await ask('/mutate/namespace', { object, dryRun: true });
    await ask('/verify/namespace', { object, dryRun: true });
    expect(events).toEqual([]);
    expect(await count(metrics.injections)).toBe(0);
  });

  test('that differ from what was injected do not pass verification', async () => {
    expect(await ask('/verify/namespace', { object: podOf() })).toMatchObject({
      allowed: false,
      status: { message: expect.stringContaining('CHP-8001 Altered') },
    });
  });

  test('of a namespace whose label our cache does not have yet are injected', async () => {
    const request = { object: podOf(), namespace: 'fresh' };
    expect((await ask('/mutate/namespace', request)).patch).toBeDefined();
    // The API server says nothing about the namespace here: it is not opted in as far as we know.
    expect((await ask('/mutate/pod', request)).patch).toBeUndefined();
  });

  test.each([
    [
      'the caches are not filled',
      () => void (unready = 'the caches are not filled yet'),
      'payments',
    ],
    ['we fail', () => void (broken = true), 'payments'],
    ['the namespace cannot be told', () => {}, 'unknown'],
  ])('are refused while %s', async (_, set, namespace) => {
    set();
    const response = await ask('/mutate/namespace', { object: podOf(), namespace });
    expect(response).toMatchObject({ allowed: false, status: { code: 500 } });
    expect(response.status!.message).toMatch(/^CHP-8003/);
  });
});

describe('what is no admission review', () => {
  const pod = (object: unknown): string => JSON.stringify(review({ object }));
  const cases: readonly [string, string, number][] = [
    ['nothing', '', 400],
    ['no JSON', '{', 400],
    ['a list', '[]', 400],
    ['a number', '7', 400],
    ['null', 'null', 400],
    ['another kind', '{"apiVersion":"v1","kind":"Pod"}', 400],
    [
      'an older version',
      JSON.stringify({ ...review({}), apiVersion: 'admission.k8s.io/v1beta1' }),
      400,
    ],
    ['no request', '{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}', 400],
    ['no uid', JSON.stringify(review({ uid: undefined })), 400],
    ['an empty uid', JSON.stringify(review({ uid: '' })), 400],
    ['a uid that is a number', JSON.stringify(review({ uid: 7 })), 400],
    ['an endless uid', JSON.stringify(review({ uid: 'x'.repeat(10_000) })), 400],
    ['an unknown operation', JSON.stringify(review({ operation: 'PATCH' })), 400],
    ['no kind', JSON.stringify(review({ kind: null })), 400],
    ['no object', pod(undefined), 400],
    ['another object', pod({ apiVersion: 'v1', kind: 'Service' }), 400],
    ['a pod without spec', pod({ apiVersion: 'v1', kind: 'Pod', metadata: {} }), 400],
    ['a pod whose containers are none', pod(podOf({ containers: [7] })), 400],
    ['a pod whose volumes are an object', pod(podOf({ volumes: {} })), 400],
    ['a pod whose labels are lists', pod(podOf({}, { labels: { a: [] } })), 400],
    [
      'a pod whose aliases have no names',
      pod(podOf({ hostAliases: [{ ip: '1.2.3.4', hostnames: 'a' }] })),
      400,
    ],
    ['a poisoned prototype', '{"__proto__":{"allowed":true}}', 400],
    ['nine mebibytes', JSON.stringify(review({ pad: 'x'.repeat(9 * 1024 * 1024) })), 413],
    ['a hundred thousand brackets', '['.repeat(100_000), 400],
    ['a million levels', '['.repeat(1e6) + ']'.repeat(1e6), 400],
  ];
  test.each(cases)('%s', async (_, body, status) => {
    const answer = await post('/mutate/namespace', body);
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.body)).toMatchObject({
      code: 'CHP-8004',
      message: expect.stringMatching(/./),
    });
    // It is still there.
    expect((await ask('/mutate/namespace', { object: podOf() })).allowed).toBe(true);
  });

  test('another type of content', async () => {
    expect((await post('/mutate/namespace', '<pod/>', 'text/xml')).status).toBe(415);
  });

  test('another path', async () => {
    expect((await post('/', JSON.stringify(review({})))).status).toBe(404);
  });
});

describe('our resources', () => {
  const meta = { namespace: 'payments', name: 'new' };
  const identity = (spec: object): object => ({
    apiVersion: 'chaperone.dev/v1alpha1',
    kind: 'MachineIdentity',
    metadata: meta,
    spec: { owner: { team: 't' }, purpose: 'p', suspended: false, ...spec },
  });
  const targetOf = (spec: object): object => ({
    apiVersion: 'chaperone.dev/v1alpha1',
    kind: 'Target',
    metadata: meta,
    spec: { protocol: 'PostgreSQL', credentials: { secretRef: { name: 's' } }, ...spec },
  });
  const policy = (rule: object): object => ({
    apiVersion: 'chaperone.dev/v1alpha1',
    kind: 'AccessPolicy',
    metadata: meta,
    spec: {
      targetRefs: [{ name: 'orders-db', namespace: 'data' }],
      subjects: { namespaces: ['payments'] },
      rules: [{ name: 'r', action: 'Allow', resources: ['shop.**'], ...rule }],
    },
  });
  const kindOf = (object: object): object => ({
    group: 'chaperone.dev',
    version: 'v1alpha1',
    kind: (object as { kind: string }).kind,
  });
  const oidc = (issuer: string): object => ({
    oidc: { issuer, audience: 'chaperone', match: { repository: 'acme/reports' } },
  });

  const cases: readonly [string, object, RegExp | undefined][] = [
    [
      'a subject that an older identity has',
      identity({ subjects: [{ serviceAccount: { name: 'report' } }] }),
      /spec\.subjects\[0\].*payments\/older/,
    ],
    [
      'a subject of its own',
      identity({ subjects: [{ serviceAccount: { name: 'other' } }] }),
      undefined,
    ],
    [
      'an issuer that is not bound',
      identity({ subjects: [oidc('https://evil.example.com')] }),
      /issuer.*not bound.*oidcIssuers/,
    ],
    [
      'an issuer that is bound',
      identity({ subjects: [oidc('https://ci.example.com')] }),
      undefined,
    ],
    [
      "another namespace's Service",
      targetOf({ host: 'orders-db.data.svc.cluster.local' }),
      /belongs to the cluster/,
    ],
    ['the API server', targetOf({ host: 'kubernetes.default.svc.cluster.local' }), /API server/],
    [
      'the API server as an alias',
      targetOf({ host: 'db.payments.svc', aliases: ['kubernetes'] }),
      /API server/,
    ],
    ['a host that is not allowed', targetOf({ host: 'db.example.org' }), /allowedHosts/],
    ['an allowed host', targetOf({ host: 'db.example.com' }), undefined],
    ['its own Service', targetOf({ host: 'db.payments.svc.cluster.local' }), undefined],
    ['an unknown verb', policy({ verbs: ['Selekt'] }), /unknown verb Selekt/],
    ['a condition that does not compile', policy({ verbs: ['Select'], when: 'identity.' }), /when/],
    [
      'a condition with matches',
      policy({ verbs: ['Select'], when: 'identity.name.matches("a")' }),
      /matches/,
    ],
    ['a good rule', policy({ verbs: ['Select'] }), undefined],
  ];
  test.each(cases)('%s', async (_, object, expected) => {
    const response = await ask('/validate', { kind: kindOf(object), object });
    expect(response.allowed).toBe(expected === undefined);
    if (expected !== undefined) {
      expect(response.status!.message).toMatch(/^CHP-8002 /);
      expect(response.status!.message).toMatch(expected);
    }
  });

  test('a namespace has so many targets, and no more', async () => {
    const other = (name: string): object => ({
      ...targetOf({ host: 'db.crowded.svc' }),
      metadata: { namespace: 'crowded', name },
    });
    const kind = kindOf(other('new'));
    const create = (name: string) =>
      ask('/validate', { kind, object: other(name), namespace: 'crowded' });
    add(target('crowded/a'), target('crowded/b'));
    expect((await create('c')).allowed).toBe(true);
    add(target('crowded/c'));
    expect(await create('d')).toMatchObject({
      allowed: false,
      status: { message: expect.stringMatching(/crowded has 3 Targets.*delete.*maxTargetsPer/) },
    });
    // There are more than that from before it held: they can be changed.
    add(target('crowded/e'));
    const object = other('c');
    const update = { kind, object, oldObject: other('c'), operation: 'UPDATE' };
    expect((await ask('/validate', update)).allowed).toBe(true);
    const changed = targetOf({ host: 'db.crowded.svc', port: 5433 });
    const next = { ...changed, metadata: { namespace: 'crowded', name: 'c' } };
    expect((await ask('/validate', { ...update, object: next })).allowed).toBe(true);
  });

  test('warns of what probably is not meant', async () => {
    const object = policy({ verbs: ['CopyOut'] });
    const response = await ask('/validate', { kind: kindOf(object), object });
    expect(response.allowed).toBe(true);
    expect(response.warnings).toEqual([
      expect.stringContaining('exports of any size'),
      expect.stringContaining('policyNamespaces'),
    ]);
  });

  test('warns of identities that are not there', async () => {
    const { spec, ...rest } = policy({ verbs: ['Select'] }) as { spec: object };
    const subjects = { identities: [{ namespace: 'payments', name: 'nobody' }] };
    const object = { ...rest, spec: { ...spec, subjects } };
    const response = await ask('/validate', { kind: kindOf(object), object });
    expect(response.allowed).toBe(true);
    expect(response.warnings).toContainEqual(
      expect.stringContaining('MachineIdentity payments/nobody does not exist'),
    );
  });

  test('an object stored before a rule existed can be labelled, and not be changed for the worse', async () => {
    const object = targetOf({ host: 'db.example.org' });
    const kind = kindOf(object);
    const labelled = { ...object, metadata: { ...meta, labels: { a: 'b' } } };
    const changed = targetOf({ host: 'db.example.org', port: 5433 });
    const update = { kind, operation: 'UPDATE', oldObject: object };
    const kept = await ask('/validate', { ...update, object: labelled });
    expect(kept).toMatchObject({
      allowed: true,
      warnings: [expect.stringContaining('allowedHosts')],
    });
    expect((await ask('/validate', { ...update, object: changed })).allowed).toBe(false);
  });

  test('an object that no schema would let through is refused, not believed', async () => {
    const object = { ...policy({}), spec: { rules: 7 } };
    expect(await ask('/validate', { kind: kindOf(object), object })).toMatchObject({
      allowed: false,
      status: { message: expect.stringContaining('spec.rules') },
    });
  });

  test('what is none of ours is no review', async () => {
    const body = JSON.stringify(review({ object: podOf() }));
    expect((await post('/validate', body)).status).toBe(400);
  });
});

test('a changed certificate is taken up, half a change and a broken one are not', async () => {
  const serial = async (): Promise<string> =>
    (await post('/mutate/namespace', JSON.stringify(review({ object: podOf() })))).certificate
      .serialNumber;
  const first = await serial();
  writeFileSync(join(directory, 'tls.key'), authority.issue(['IP:127.0.0.1']).key);
  clock.advance(1000);
  expect(await serial()).toBe(first);
  expect(await count(metrics.certificateFailures)).toBe(1);
  writeCertificate();
  clock.advance(1000);
  expect(await serial()).not.toBe(first);
});
