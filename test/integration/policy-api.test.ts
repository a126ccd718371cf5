/** The policy API over HTTPS, on a directory of resources: who is told what, and who is refused. */
import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { newSigningKey } from '@chaperone/control/policy-api/signing-keys.ts';
import {
  type TestPolicyApi,
  type TestStream,
  testPolicyApi,
} from '@chaperone/control/policy-api/testing.ts';
import { type TestDirectory, testDirectory } from '@chaperone/control/store/testing.ts';
import { TicketStore } from '@chaperone/control/tickets/ticket-store.ts';
import type { AttestResponse, PolicyEvent, TargetsEvent } from '@chaperone/core/control/wire.ts';
import { ownNames } from '@chaperone/operator/certificates/own-names.ts';
import { type ManualClock, manualClock, systemClock } from '@chaperone/runtime/clock.ts';
import { createLogger } from '@chaperone/runtime/logging/logger.ts';
import { afterEach, describe, expect, test } from '@jest/globals';
import { createLocalJWKSet, decodeJwt, jwtVerify, SignJWT } from 'jose';

const identity = (name: string, spec = ''): string => `
apiVersion: chaperone.dev/v1alpha1
kind: MachineIdentity
metadata: { name: ${name}, namespace: payments }
spec:
  owner: { team: payments }
  purpose: Reports
  subjects: [ { serviceAccount: { name: report } } ]
  ${spec}
`;
const target = (name: string, allowed: string): string => `
apiVersion: chaperone.dev/v1alpha1
kind: Target
metadata: { name: ${name}, namespace: data }
spec:
  protocol: PostgreSQL
  host: ${name}.data.svc
  aliases: [${name}-db]
  tls: { mode: Disable }
  credentials: { secretRef: { name: orders } }
  allowedNamespaces: ${allowed}
---
`;
const secret = `
apiVersion: v1
kind: Secret
metadata: { name: orders, namespace: data, labels: { chaperone.dev/target: orders } }
stringData: { username: app, password: "s3cret value" }
`;
const policy = (rule: string): string => `
apiVersion: chaperone.dev/v1alpha1
kind: AccessPolicy
metadata: { name: reports, namespace: data }
spec:
  subjects: { namespaces: [payments] }
  targetRefs: [ { name: orders } ]
  rules:
  - { name: ${rule}, action: Allow, classes: [Read], resources: ["shop.**"] }
`;
const payments =
  '{ from: Selector, selector: { matchLabels: { kubernetes.io/metadata.name: payments } } }';
const files = {
  'report.yaml': identity('report'),
  'targets.yaml': target('orders', payments) + target('closed', '{ from: Same }') + secret,
  'policy.yaml': policy('read'),
};

let directory: TestDirectory;
let api: TestPolicyApi;
let streams: TestStream[] = [];

afterEach(async () => {
  for (const stream of streams) stream.close();
  streams = [];
  await api.close();
  await directory.close();
});

async function start(
  options: Parameters<typeof testPolicyApi>[2] = {},
  extra: Readonly<Record<string, string>> = {},
): Promise<void> {
  directory = testDirectory({ ...files, ...extra });
  api = await testPolicyApi(directory.state, await directory.open(), options);
}

async function stream(
  path: string,
  token: string,
  held?: Record<string, number>,
): Promise<TestStream> {
  const opened = await api.stream(path, token, held);
  streams.push(opened);
  return opened;
}

const pod = (uid = 'u1', serviceAccount = 'report'): Promise<string> =>
  api.attest(`pod.payments.${serviceAccount}.${uid}`);
const gateway = (): Promise<string> => api.attest('gateway');
const uidOf = async (kind: 'Target' | 'MachineIdentity', name: string): Promise<string> => {
  const all = kind === 'Target' ? api.state.targets() : [];
  const found = all.find(({ metadata }) => metadata.name === name);
  if (found !== undefined) return found.metadata.uid;
  return api.state.identityOf('payments', 'report')!.metadata.uid;
};
const policyOf = async (opened: TestStream): Promise<PolicyEvent> =>
  JSON.parse((await opened.next()).data);
const rulesOf = ({ bundle }: PolicyEvent): string[] | undefined =>
  bundle?.targets.flatMap(({ rules }) => rules.map(({ ref }) => ref.rule));

describe('attestation', () => {
  const request = (over: object = {}) => ({
    program: { name: 'sidecar', version: '1.2.3' },
    bundleVersions: [1],
    ...over,
  });

  test('gives tokens for what the program runs on behalf of', async () => {
    await start({ maxPolicyAgeMs: 7_200_000 });
    const { status, body, headers } = await api.request('POST', '/v1/attest', {
      token: 'pod.payments.report.u1',
      body: request(),
    });
    expect(status).toBe(200);
    expect(headers['cache-control']).toBe('no-store');
    const answer = body as AttestResponse;
    expect(answer).toMatchObject({
      role: 'Pod',
      source: { namespace: 'payments', serviceAccount: 'report', pod: { uid: 'u1' } },
      maxPolicyAgeMs: 7_200_000,
    });
    expect(Buffer.from(answer.recordKey, 'base64')).toHaveLength(32);
    const keys = createLocalJWKSet((await api.request('GET', '/v1/jwks')).body as never);
    for (const [token, audience, minutes, expiresAt] of [
      [answer.controlToken, 'policy-api', 10, answer.controlExpiresAt],
      [answer.ingestToken, 'collector', 26 * 60, answer.ingestExpiresAt],
    ] as const) {
      const { payload } = await jwtVerify(token, keys, {
        audience,
        issuer: 'chaperone.dev/policy-api',
        algorithms: ['ES256'],
      });
      expect(payload).toMatchObject({ sub: 'u1', namespace: 'payments', role: 'Pod' });
      expect(payload.exp! - payload.iat!).toBe(minutes * 60);
      expect(Date.parse(expiresAt)).toBe(payload.exp! * 1000);
    }
  });

  test.each<[string, string, object, number, string]>([
    ['a token that is none of ours', 'stranger', {}, 403, 'CHP-2006'],
    ['no version in common', 'pod.a.b.c', { bundleVersions: [2, 3] }, 409, 'CHP-7004'],
    [
      'a pod as a gateway',
      'pod.a.b.c',
      { program: { name: 'gateway', version: '1' } },
      403,
      'CHP-2006',
    ],
    ['a gateway as a sidecar', 'gateway', {}, 403, 'CHP-2006'],
    ['an unknown field', 'pod.a.b.c', { more: 1 }, 400, 'CHP-7001'],
    ['an API server that is away', 'broken', {}, 503, 'CHP-7003'],
    ['a pod that still starts', 'starting', {}, 503, 'CHP-7003'],
  ])('%s is refused', async (_, token, over, status, code) => {
    await start();
    const answer = await api.request('POST', '/v1/attest', { token, body: request(over) });
    expect([answer.status, answer.body]).toEqual([
      status,
      { code, message: expect.any(String), hint: expect.any(String) },
    ]);
    // What the log says of it is nobody else's.
    expect(answer.text).not.toMatch(/API server is away|token is unknown/);
  });
});

test.each([
  ['starting', 'info'],
  ['broken', 'error'],
])('what comes of %s is logged as %s', async (token, level) => {
  const lines: string[] = [];
  const logger = createLogger({
    program: 'policy-api',
    level: 'info',
    clock: systemClock(),
    destination: { write: (line) => void lines.push(line) },
  });
  await start({ logger });
  const body = { program: { name: 'sidecar', version: '1.2.3' }, bundleVersions: [1] };
  const { status, headers } = await api.request('POST', '/v1/attest', { token, body });
  expect([status, headers['retry-after']]).toEqual([503, '1']);
  const logged = lines.map((line) => JSON.parse(line)).filter(({ code }) => code === 'CHP-7003');
  expect(logged).toMatchObject([{ level }]);
});

describe('the policy stream of a pod', () => {
  test('begins with everything, and tells each change in order', async () => {
    await start();
    const opened = await stream('/v1/policy', await pod());
    const first = await opened.next();
    const event: PolicyEvent = JSON.parse(first.data);
    expect(rulesOf(event)).toEqual(['read']);
    expect(event.bundle?.targets.map(({ target: { name } }) => name)).toEqual(['orders']);
    expect(JSON.parse(first.id)).toEqual(event.versions);
    directory.write('policy.yaml', policy('read-more'));
    const second = await policyOf(opened);
    expect(rulesOf(second)).toEqual(['read-more']);
    expect(second.versions.AccessPolicy).toBeGreaterThan(event.versions.AccessPolicy!);
    expect(second.bundle?.digest).not.toBe(event.bundle?.digest);
  });

  test('follows the identity: created later, suspended, given up, deleted', async () => {
    await start({}, { 'report.yaml': '' });
    const opened = await stream('/v1/policy', await pod());
    const unbound = await policyOf(opened);
    expect(unbound.bundle).toBeNull();
    expect(unbound.refusal).toMatchObject({
      code: 'CHP-2005',
      message: expect.stringContaining('payments/report'),
      hint: expect.stringContaining('Create a MachineIdentity in namespace payments'),
    });
    directory.write('report.yaml', identity('report'));
    expect((await policyOf(opened)).bundle?.identity).toMatchObject({
      name: 'report',
      suspended: false,
    });
    directory.write('report.yaml', identity('report', 'suspended: true'));
    expect((await policyOf(opened)).bundle?.identity.suspended).toBe(true);
    directory.write('report.yaml', identity('report').replace('name: report }', 'name: other }'));
    expect((await policyOf(opened)).refusal?.code).toBe('CHP-2005');
    directory.write('report.yaml', identity('report'));
    expect((await policyOf(opened)).bundle?.identity.name).toBe('report');
    directory.remove('report.yaml');
    expect((await policyOf(opened)).bundle).toBeNull();
  });

  test('of two identities with one subject the older has it, until it lets go', async () => {
    await start();
    const opened = await stream('/v1/policy', await pod());
    await opened.next();
    directory.write('usurper.yaml', identity('z-usurper'));
    directory.write('policy.yaml', policy('marker'));
    const after = await policyOf(opened);
    expect([after.bundle?.identity.name, rulesOf(after)]).toEqual(['report', ['marker']]);
    directory.remove('report.yaml');
    let last = await policyOf(opened);
    // The file's end and the next owner may come as two changes.
    if (last.bundle === null) last = await policyOf(opened);
    expect(last.bundle?.identity.name).toBe('z-usurper');
  });

  test('what concerns others is not told, but that it was seen', async () => {
    const clock = manualClock(Date.now());
    await start({ clock });
    const opened = await stream('/v1/policy', await pod());
    const { versions } = await policyOf(opened);
    await change(clock, 'other.yaml', identity('other').replace('name: report }', 'name: other }'));
    const { id } = await opened.next('heartbeat');
    expect(JSON.parse(id).MachineIdentity).toBeGreaterThan(versions.MachineIdentity!);
    expect(opened.events.filter(({ event }) => event === 'policy')).toHaveLength(1);
  });

  /** Writes a file and lets the coalescing time of the stream pass once the store has it. */
  async function change(clock: ManualClock, file: string, text: string): Promise<void> {
    const seen = new Promise<void>((done) => {
      const stop = api.state.onChange(() => {
        stop();
        done();
      });
    });
    directory.write(file, text);
    await seen;
    clock.advance(20);
  }

  test('heartbeats come every 5 s', async () => {
    const clock = manualClock(Date.now());
    await start({ clock });
    const opened = await stream('/v1/policy', await pod());
    await opened.next();
    clock.advance(4999);
    clock.advance(1);
    expect((await opened.next('heartbeat')).data).toBe('{}');
    clock.advance(5000);
    await opened.next('heartbeat');
    expect(opened.events).toHaveLength(3);
  });

  test('a replica that is not up to date ends its streams and serves none', async () => {
    const clock = manualClock(Date.now());
    let fresh = true;
    await start({ clock, fresh: () => fresh });
    const token = await pod();
    const opened = await stream('/v1/policy', token);
    await opened.next();
    fresh = false;
    clock.advance(1000);
    await opened.ended;
    expect(opened.events).toHaveLength(1);
    const uid = await uidOf('Target', 'orders');
    for (const [method, path, body] of [
      ['GET', '/v1/policy'],
      ['GET', '/v1/targets'],
      ['POST', `/v1/credentials/${uid}`, {}],
      ['POST', '/v1/authenticate', { user: 'a', secret: 'b', targetUid: uid }],
      ['POST', '/v1/certificates', { publicKey: 'x' }],
    ] as const) {
      const answer = await api.request(method, path, { token, body });
      expect([path, answer.status, answer.headers['retry-after']]).toEqual([path, 503, '1']);
    }
    expect((await api.request('GET', '/v1/jwks')).status).toBe(200);
  });

  test('ends with the token that it was opened with', async () => {
    const clock = manualClock(Date.now());
    await start({ clock });
    const token = await pod();
    const opened = await stream('/v1/policy', token);
    await opened.next();
    clock.advance(10 * 60_000 + 1000);
    await opened.ended;
    const again = await api.request('GET', '/v1/policy', { token });
    expect([again.status, (again.body as { code: string }).code]).toEqual([401, 'CHP-2007']);
  });

  test('of too many streams of one pod the oldest ends', async () => {
    await start();
    const token = await pod();
    const opened = [];
    for (let count = 0; count < 5; count += 1) {
      const one = await stream('/v1/policy', token);
      await one.next();
      opened.push(one);
    }
    const other = await stream('/v1/policy', await pod('u2'));
    await opened[0]!.ended;
    directory.write('policy.yaml', policy('later'));
    for (const one of [...opened.slice(1)]) expect(rulesOf(await policyOf(one))).toEqual(['later']);
    await other.next();
  });

  test('says nothing to a reader that has seen more than this replica', async () => {
    await start();
    const token = await pod();
    const first = await stream('/v1/policy', token);
    const { versions } = await policyOf(first);
    // The directory has one version for all kinds: the change after the next one reaches it.
    const ahead = { ...versions, AccessPolicy: Math.max(...Object.values(versions)) + 2 };
    const opened = await stream('/v1/policy', token, ahead);
    directory.write('policy.yaml', policy('once'));
    await first.next();
    expect(opened.events).toEqual([]);
    directory.write('policy.yaml', policy('twice'));
    await first.next();
    expect(rulesOf(await policyOf(opened))).toEqual(['twice']);
  });

  test.each([
    ['no JSON', 'x'],
    ['a list', '[1]'],
    ['texts', '{"Target":"1"}'],
    ['negative numbers', '{"Target":-1}'],
    [
      'too many parts',
      JSON.stringify(Object.fromEntries(Array.from({ length: 65 }, (_, i) => [i, 1]))),
    ],
  ])('a Last-Event-ID of %s is refused', async (_, header) => {
    await start();
    const token = await pod();
    const answer = await api.request('GET', '/v1/policy', {
      token,
      headers: { 'last-event-id': header },
    });
    expect(answer.status).toBe(400);
  });
});

describe('what a pod may not', () => {
  test('name an identity, see the targets, or check passwords', async () => {
    await start();
    const token = await pod();
    const uid = await uidOf('MachineIdentity', 'report');
    const targetUid = await uidOf('Target', 'orders');
    const refusals = await Promise.all([
      api.request('GET', `/v1/policy?identity=${uid}`, { token }),
      api.request('GET', '/v1/targets', { token }),
      api.request('POST', '/v1/authenticate', {
        token,
        body: { user: 'report', secret: 'x', targetUid },
      }),
      api.request('POST', `/v1/credentials/${targetUid}`, { token, body: { identityUid: uid } }),
    ]);
    expect(refusals.map(({ status }) => status)).toEqual([400, 403, 403, 400]);
  });

  test.each<[string, (token: string) => Promise<string> | string, string]>([
    ['none', () => '', 'CHP-2007'],
    ['one that is no JWT', () => 'abc', 'CHP-2007'],
    ['one of the API server', () => 'pod.payments.report.u1', 'CHP-2007'],
    ['one with another signature', (token) => `${token.slice(0, -6)}AAAAAA`, 'CHP-2007'],
    [
      'one for the collector',
      async () => {
        const { body } = await api.request('POST', '/v1/attest', {
          token: 'pod.payments.report.u1',
          body: { program: { name: 'sidecar', version: '1' }, bundleVersions: [1] },
        });
        return (body as AttestResponse).ingestToken;
      },
      'CHP-2007',
    ],
    [
      'one without a signature',
      (token) => {
        const header = Buffer.from('{"alg":"none"}').toString('base64url');
        return `${header}.${token.split('.')[1]}.`;
      },
      'CHP-2007',
    ],
    [
      'one signed by another key of the same name',
      async (token) => {
        const { kid } = JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString());
        const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
        return new SignJWT({ ...decodeJwt(token) })
          .setProtectedHeader({ alg: 'ES256', kid })
          .sign(privateKey);
      },
      'CHP-2007',
    ],
  ])('come with another token: %s', async (_, change, code) => {
    await start();
    const given = await change(await pod());
    const answer = await api.request('GET', '/v1/policy', given === '' ? {} : { token: given });
    expect([answer.status, (answer.body as { code: string }).code]).toEqual([401, code]);
    expect(answer.headers['www-authenticate']).toBe('Bearer');
  });

  test('come with a token of before a key was withdrawn; one that still verifies is taken', async () => {
    await start();
    const token = await pod();
    const uid = await uidOf('Target', 'orders');
    const lease = (): Promise<number> =>
      api.request('POST', `/v1/credentials/${uid}`, { token }).then(({ status }) => status);
    const at = (name: string): string => join(api.signingKeys, name);
    expect(await lease()).toBe(200);
    renameSync(at('current.json'), at('previous.json'));
    writeFileSync(at('current.json'), JSON.stringify(await newSigningKey()));
    expect(await lease()).toBe(200);
    const { keys } = (await api.request('GET', '/v1/jwks')).body as { keys: { d?: string }[] };
    expect(keys.map(({ d }) => d)).toEqual([undefined, undefined]);
    rmSync(at('previous.json'));
    expect(await lease()).toBe(401);
    // A file that is no key changes nothing.
    writeFileSync(at('current.json'), '{');
    const fresh = await pod();
    expect((await api.request('POST', `/v1/credentials/${uid}`, { token: fresh })).status).toBe(
      200,
    );
  });
});

describe('credentials', () => {
  test('are lent for maxPolicyAge, to the pod’s own identity', async () => {
    await start({ maxPolicyAgeMs: 600_000 });
    const uid = await uidOf('Target', 'orders');
    const before = Date.now();
    const { status, body, headers } = await api.request('POST', `/v1/credentials/${uid}`, {
      token: await pod(),
    });
    expect(status).toBe(200);
    expect(headers['cache-control']).toBe('no-store');
    expect(body).toEqual({
      name: 'orders',
      version: expect.any(String),
      username: 'app',
      password: 's3cret value',
      expiresAt: expect.any(String),
    });
    const leftMs = Date.parse((body as { expiresAt: string }).expiresAt) - before;
    expect(leftMs).toBeGreaterThanOrEqual(600_000);
    expect(leftMs).toBeLessThan(660_000);
  });

  test.each<[string, Record<string, string>, () => Promise<string>, string, number, string]>([
    ['a target that is not open', {}, () => pod(), 'closed', 403, 'CHP-2012'],
    ['a target that does not exist', {}, () => pod(), '', 403, 'CHP-2012'],
    [
      'a backend whose name is not verified, for a pod with name servers of its own',
      {},
      () => api.attest('resolving.payments.report.u1'),
      'orders',
      409,
      'CHP-2013',
    ],
    ['no identity', {}, () => pod('u1', 'nobody'), 'orders', 403, 'CHP-2005'],
    [
      'a suspended one',
      { 'report.yaml': identity('report', 'suspended: true') },
      () => pod(),
      'orders',
      403,
      'CHP-2002',
    ],
    [
      'no Secret',
      { 'targets.yaml': target('orders', payments) },
      () => pod(),
      'orders',
      409,
      'CHP-2010',
    ],
  ])('%s: none', async (_, extra, attest, name, status, code) => {
    await start({}, extra);
    const uid = name === '' ? 'no-such-uid' : await uidOf('Target', name);
    const answer = await api.request('POST', `/v1/credentials/${uid}`, {
      token: await attest(),
      body: {},
    });
    expect([answer.status, (answer.body as { code: string }).code]).toEqual([status, code]);
  });
});

describe('certificates', () => {
  const pem = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' }).toString();

  test('have the names of the targets that are open to the pod, and no other', async () => {
    await start();
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { status, body } = await api.request('POST', '/v1/certificates', {
      token: await pod(),
      body: { publicKey: pem(publicKey) },
    });
    expect(status).toBe(200);
    const { certificateChain, expiresAt } = body as { certificateChain: string; expiresAt: string };
    const [leaf, middle] = certificateChain
      .split(/(?<=-----END CERTIFICATE-----\n)/)
      .map((text) => new X509Certificate(text));
    expect(leaf!.subjectAltName?.split(', ').sort()).toEqual([
      'DNS:orders-db',
      'DNS:orders.data',
      'DNS:orders.data.svc',
      'DNS:orders.data.svc.cluster.local',
    ]);
    expect(leaf!.publicKey.equals(publicKey)).toBe(true);
    expect(leaf!.checkIssued(middle!) && leaf!.verify(middle!.publicKey)).toBe(true);
    expect(middle!.verify(new X509Certificate(api.ca).publicKey)).toBe(true);
    expect(Math.abs(Date.parse(expiresAt) - Date.now() - 86_400_000)).toBeLessThan(60_000);
    expect(leaf!.validToDate.getTime()).toBeLessThanOrEqual(Date.parse(expiresAt));
  });

  test('of a gateway have its own names and those of all targets', async () => {
    await start({ gatewayNames: ['gateway.example.com'] });
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const { body } = await api.request('POST', '/v1/certificates', {
      token: await gateway(),
      body: { publicKey: pem(publicKey) },
    });
    const leaf = new X509Certificate((body as { certificateChain: string }).certificateChain);
    expect(leaf.subjectAltName).toContain('DNS:gateway.example.com');
    expect(leaf.subjectAltName).toContain('DNS:closed.data.svc');
  });

  test('are for no name of our own, whatever a Target says', async () => {
    const ours = 'chaperone-policy-api.chaperone-system.svc';
    const claiming = target('mine', payments)
      .replace('host: mine.data.svc', `host: ${ours}`)
      .replace('[mine-db]', `[below.${ours}.cluster.local, not-${ours}]`);
    const reservedNames = ownNames('chaperone-system', 'cluster.local');
    await start({ reservedNames, gatewayNames: [ours] }, { 'claiming.yaml': claiming });
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    for (const token of [await pod(), await gateway()]) {
      const { body } = await api.request('POST', '/v1/certificates', {
        token,
        body: { publicKey: pem(publicKey) },
      });
      const leaf = new X509Certificate((body as { certificateChain: string }).certificateChain);
      const names = leaf.subjectAltName!.split(', ').map((name) => name.replace('DNS:', ''));
      expect(names).toContain('orders.data.svc');
      const alike = names.filter((name) => name.includes('policy-api'));
      expect(alike.filter((name) => !name.startsWith('not-'))).toEqual([]);
      expect(alike).toContain(`not-${ours}`);
    }
  });

  test.each<[string, () => string]>([
    ['a short RSA key', () => pem(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey)],
    ['another curve', () => pem(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey)],
    [
      'a private key',
      () =>
        generateKeyPairSync('ec', { namedCurve: 'P-256' })
          .privateKey.export({ type: 'pkcs8', format: 'pem' })
          .toString(),
    ],
    ['no key', () => '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n'],
    ['any text', () => 'x'],
  ])('are not made for %s', async (_, key) => {
    await start();
    const answer = await api.request('POST', '/v1/certificates', {
      token: await pod(),
      body: { publicKey: key() },
    });
    expect([answer.status, (answer.body as { code: string }).code]).toEqual([409, 'CHP-2008']);
    expect(answer.text).not.toContain('PRIVATE');
  });

  test('are not made by an intermediate that has ended, nor for longer than it', async () => {
    const clock = manualClock(Date.now());
    await start({ clock });
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const ask = async () =>
      api.request('POST', '/v1/certificates', {
        token: await pod(),
        body: { publicKey: pem(publicKey) },
      });
    const dayMs = 86_400_000;
    clock.advance(7.5 * dayMs);
    const { body } = await ask();
    const leftMs = Date.parse((body as { expiresAt: string }).expiresAt) - clock.nowMs();
    expect([leftMs > 0.4 * dayMs, leftMs <= 0.5 * dayMs]).toEqual([true, true]);
    clock.advance(dayMs);
    expect((await ask()).status).toBe(409);
  });

  test('are not made where no target is open', async () => {
    await start();
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const answer = await api.request('POST', '/v1/certificates', {
      token: await api.attest('pod.elsewhere.a.u1'),
      body: { publicKey: pem(publicKey) },
    });
    expect([answer.status, (answer.body as { code: string }).code]).toEqual([409, 'CHP-2008']);
  });
});

describe('a gateway', () => {
  test('sees all targets, and each change of them', async () => {
    await start();
    const opened = await stream('/v1/targets', await gateway());
    const first: TargetsEvent = JSON.parse((await opened.next('targets')).data);
    expect(first.targets).toEqual([
      expect.objectContaining({
        namespace: 'data',
        name: 'closed',
        port: 5432,
        host: 'closed.data.svc',
      }),
      expect.objectContaining({ namespace: 'data', name: 'orders', protocol: 'PostgreSQL' }),
    ]);
    directory.write('targets.yaml', target('orders', payments) + secret);
    const second: TargetsEvent = JSON.parse((await opened.next('targets')).data);
    expect(second.targets.map(({ name }) => name)).toEqual(['orders']);
  });

  test('follows an identity that it names, until it is gone', async () => {
    await start();
    const token = await gateway();
    const uid = await uidOf('MachineIdentity', 'report');
    const opened = await stream(`/v1/policy?identity=${uid}`, token);
    expect((await policyOf(opened)).bundle?.identity.uid).toBe(uid);
    directory.remove('report.yaml');
    expect((await policyOf(opened)).refusal?.code).toBe('CHP-2004');
    expect((await api.request('GET', '/v1/policy', { token })).status).toBe(400);
  });

  test('leases for the identity that it names alone', async () => {
    await start();
    const token = await gateway();
    const uid = await uidOf('Target', 'orders');
    const identityUid = await uidOf('MachineIdentity', 'report');
    const lease = (body: object) => api.request('POST', `/v1/credentials/${uid}`, { token, body });
    expect((await lease({ identityUid })).status).toBe(200);
    expect((await lease({ identityUid: 'another' })).status).toBe(403);
    expect((await lease({})).status).toBe(400);
  });

  test('has passwords checked: tickets and ServiceAccount tokens', async () => {
    directory = testDirectory(files);
    const tickets = new TicketStore(directory.database, Date.now);
    api = await testPolicyApi(directory.state, await directory.open(), { tickets });
    const token = await gateway();
    const targetUid = await uidOf('Target', 'orders');
    const closedUid = await uidOf('Target', 'closed');
    const identityUid = await uidOf('MachineIdentity', 'report');
    const { secret: ticket, ticket: made } = tickets.create(
      {
        identity: { uid: identityUid, namespace: 'payments', name: 'report' },
        target: { uid: targetUid, namespace: 'data', name: 'orders' },
      },
      60_000,
    );
    const check = (user: string, given: string, uid = targetUid) =>
      api.request('POST', '/v1/authenticate', {
        token,
        body: { user, secret: given, targetUid: uid },
      });
    expect((await check('report', ticket)).body).toEqual({
      identityUid,
      proof: { method: 'Ticket', ticket: made.id },
      sessionEndsAt: new Date(made.expiresMs).toISOString(),
    });
    expect((await check('payments/report', 'sa.payments.report')).body).toEqual({
      identityUid,
      proof: {
        method: 'ServiceAccountToken',
        issuer: 'https://issuer.example',
        namespace: 'payments',
        serviceAccount: 'report',
      },
    });
    const refusals = await Promise.all([
      check('report', 'wrong'),
      check('other', ticket),
      check('report', ticket, closedUid),
      check('report', 'sa.payments.other'),
      check('other', 'sa.payments.report'),
      check('report', 'sa.payments.report', closedUid),
      check('', ''),
    ]);
    for (const { status, body } of refusals) {
      expect([status, (body as { code: string; message: string }).message]).toEqual([
        401,
        'Authentication failed.',
      ]);
    }
  });
});

test('the keys may be kept for a while', async () => {
  await start();
  const { headers, body } = await api.request('GET', '/v1/jwks');
  expect(headers['cache-control']).toBe('public, max-age=60');
  expect((body as { keys: unknown[] }).keys).toHaveLength(1);
});

test('a new serving certificate is taken up, and open streams stay', async () => {
  const clock = manualClock(Date.now());
  await start({ clock });
  const token = await pod();
  const opened = await stream('/v1/policy', token);
  await opened.next();
  const before = await api.certificate();
  await api.renewCertificate();
  clock.advance(1000);
  expect(await api.certificate()).not.toBe(before);
  clock.advance(5000);
  await opened.next('heartbeat');
});

test('closing ends the streams', async () => {
  await start();
  const opened = await stream('/v1/policy', await pod());
  await opened.next();
  await api.close();
  await opened.ended;
});

test('the private key of tokens is never shown', async () => {
  await start();
  const { d } = JSON.parse(readFileSync(join(api.signingKeys, 'current.json'), 'utf8'));
  expect((await api.request('GET', '/v1/jwks')).text).not.toContain(d);
});
