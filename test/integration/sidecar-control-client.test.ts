/** The sidecar's client of the policy API before a server that says what the test wants. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import {
  type BackendOutcome,
  ControlRefusal,
  type LeaseTarget,
} from '@chaperone/core/control/types.ts';
import { bundleDigest } from '@chaperone/core/policy/bundle-digest.ts';
import type { PolicyBundle } from '@chaperone/core/policy/types.ts';
import { type ManualClock, manualClock } from '@chaperone/runtime/clock.ts';
import { FollowedFile } from '@chaperone/runtime/files/followed-file.ts';
import { createLogger } from '@chaperone/runtime/logging/logger.ts';
import { Attestation } from '@chaperone/sidecar/control-client/attestation.ts';
import { BackendReporter } from '@chaperone/sidecar/control-client/backend-reporter.ts';
import type { ControlTokens } from '@chaperone/sidecar/control-client/event-source.ts';
import { Leases } from '@chaperone/sidecar/control-client/leases.ts';
import { PolicyApi } from '@chaperone/sidecar/control-client/policy-api.ts';
import { PolicyStream } from '@chaperone/sidecar/control-client/policy-stream.ts';
import { ServingCertificate } from '@chaperone/sidecar/control-client/serving-certificate.ts';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { certificateAuthority } from '../support/certificates.ts';
import { StandInApi, type StandInRequest } from '../support/stand-in-api.ts';

const maxPolicyAgeMs = 3_600_000;
const random = (): number => 0.5;

let server: StandInApi;
let clock: ManualClock;
let api: PolicyApi;
const logger = createLogger({ program: 'test', level: 'silent', clock: manualClock() });

beforeEach(async () => {
  server = await StandInApi.start();
  clock = manualClock();
  api = new PolicyApi({ url: server.url, ca: server.ca, clock });
});
afterEach(async () => {
  api.close();
  await server.stop();
});

/** Of the manual clock, with a turn for I/O after each: far less than what any request may take. */
const stepMs = 50;

/** Lets I/O happen, and time pass where it is to, until it holds or the test is over. */
async function until(holds: () => boolean, time?: 'passes'): Promise<void> {
  const mine = clock;
  while (!holds()) {
    await turn();
    if (mine !== clock) return;
    if (time === 'passes') mine.advance(stepMs);
  }
}

function bundle(rules: readonly object[] = [], changes: object = {}): PolicyBundle {
  const content = {
    bundleVersion: 1,
    identity: {
      uid: 'identity-1',
      namespace: 'payments',
      name: 'report',
      generation: 1,
      owner: { team: 'payments' },
      purpose: 'Reports',
      groups: [],
      suspended: false,
    },
    targets: [
      {
        target: {
          uid: 'target-1',
          namespace: 'data',
          name: 'orders',
          generation: 1,
          protocol: 'PostgreSQL',
          host: 'orders.data.svc',
          port: 5432,
          aliases: [],
          tls: { mode: 'VerifyFull' },
          enforcement: 'Enforce',
          classification: [],
          catalogCheck: 'Interval',
          untestedVersions: 'Refuse',
        },
        rules,
        masks: [],
        session: { recording: 'Metadata', durability: 'Process' },
      },
    ],
    ...changes,
  } as unknown as PolicyBundle;
  return { ...content, version: 1, digest: bundleDigest(content) };
}

class Tokens implements ControlTokens {
  token = 'control-1';
  readonly rejections: string[] = [];
  async controlToken(): Promise<string> {
    return this.token;
  }
  rejected(token: string): void {
    this.rejections.push(token);
    this.token = 'control-2';
  }
}

describe('the policy stream', () => {
  let tokens: Tokens;
  let stream: PolicyStream;
  let unusable: string[];
  let told: (string | undefined)[];
  beforeEach(() => {
    tokens = new Tokens();
    unusable = [];
    told = [];
    stream = new PolicyStream({
      api,
      tokens,
      clock,
      random,
      logger,
      maxPolicyAgeMs: () => maxPolicyAgeMs,
      onUnusable: (error) => unusable.push(error.message),
    });
    stream.subscribe((newer) => told.push(newer?.digest));
  });
  afterEach(() => stream.close());

  test('before the first word there is no policy, and it is too old', () => {
    expect(stream.answered).toBe(false);
    expect(stream.isStale()).toBe(true);
    expect(stream.refusal.code).toBe('CHP-3009');
  });

  test('holds what it was told for maxPolicyAge, and each heartbeat begins that anew', async () => {
    const open = await server.stream();
    expect(open.request).toMatchObject({ path: '/v1/policy', token: 'control-1' });
    expect(open.request.lastEventId).toBeUndefined();
    open.send('policy', { versions: { AccessPolicy: 5 }, bundle: bundle() });
    await until(() => stream.answered);
    expect(stream.bundle).toEqual(bundle());
    expect(stream.isStale()).toBe(false);

    clock.advance(10_000);
    open.send('heartbeat', {}, { AccessPolicy: 5 });
    await until(() => stream.ageMs() === 0);
    open.end();
    server.refuseStream = () => ({ status: 503, body: {} });
    clock.advance(maxPolicyAgeMs);
    expect(stream.isStale()).toBe(false);
    clock.advance(1);
    expect(stream.isStale()).toBe(true);
    expect(stream.bundle).toEqual(bundle());
  });

  test('a wall clock that is set back makes no policy younger', async () => {
    const open = await server.stream();
    open.send('policy', { versions: {}, bundle: bundle() });
    await until(() => stream.answered);
    clock.setWallMs(clock.nowMs() - 10 * maxPolicyAgeMs);
    clock.advance(maxPolicyAgeMs + 1);
    expect(stream.isStale()).toBe(true);
  });

  test('a machine that slept has not heard of it meanwhile', async () => {
    const open = await server.stream();
    open.send('policy', { versions: {}, bundle: bundle() });
    await until(() => stream.answered);
    clock.setWallMs(clock.nowMs() + maxPolicyAgeMs + 1);
    expect(stream.isStale()).toBe(true);
  });

  test('connects again at once with what it holds, also as heartbeats told', async () => {
    const open = await server.stream();
    open.send('policy', { versions: { Target: 1 }, bundle: bundle() });
    open.send('heartbeat', {}, { Target: 7 });
    await until(() => stream.answered);
    open.end();
    await until(() => server.requests.length === 2, 'passes');
    expect(JSON.parse(server.requests[1]!.lastEventId!)).toEqual({ Target: 7 });
  });

  test('a replica that says what is older is not believed, and another one asked', async () => {
    const first = await server.stream();
    first.send('policy', { versions: { MachineIdentity: 9, Target: 3 }, bundle: bundle() });
    await until(() => stream.answered);
    const older = bundle([], { identity: { ...bundle().identity, name: 'older' } });
    first.send('policy', { versions: { MachineIdentity: 8, Target: 4 }, bundle: older });
    await first.closed;
    expect(stream.bundle?.identity.name).toBe('report');
    expect(unusable).toHaveLength(1);
    await until(() => server.requests.length === 2, 'passes');
    const second = await server.stream();
    const newer = bundle([], { identity: { ...bundle().identity, name: 'newer' } });
    second.send('policy', { versions: { MachineIdentity: 9, Target: 4 }, bundle: newer });
    await until(() => stream.bundle?.identity.name === 'newer');
  });

  test('heartbeats of a replica that has said nothing yet count for nothing', async () => {
    const first = await server.stream();
    first.send('policy', { versions: { Target: 3 }, bundle: bundle() });
    await until(() => stream.answered);
    first.end();
    await until(() => server.requests.length === 2, 'passes');
    const behind = await server.stream();
    const before = stream.ageMs();
    behind.send('heartbeat', {});
    behind.send('heartbeat', {});
    await turn();
    // Silent for 15 s in what counts: another replica is asked.
    let closed = false;
    void behind.closed.then(() => {
      closed = true;
    });
    await until(() => closed, 'passes');
    expect(stream.ageMs()).toBeGreaterThanOrEqual(before + 15_000);
    await until(() => server.requests.length === 3, 'passes');
  });

  test.each<[string, () => object]>([
    ['a digest of another bundle', () => ({ ...bundle(), digest: 'f'.repeat(64) })],
    ['a form that is not known', () => bundle([], { bundleVersion: 99 })],
    ['no targets', () => bundle([], { targets: undefined })],
    [
      'a mask that is none',
      () => ({ ...bundle(), targets: [{ ...bundle().targets[0], masks: [null] }] }),
    ],
  ])('what cannot be used is not taken: %s', async (_name, made) => {
    const open = await server.stream();
    open.send('policy', { versions: { Target: 1 }, bundle: bundle() });
    await until(() => stream.answered);
    open.send('policy', { versions: { Target: 2 }, bundle: made() });
    await open.closed;
    expect(unusable).toHaveLength(1);
    expect(stream.bundle).toEqual(bundle());
  });

  test('a rule with a field that is not known is invalid, the others are not', async () => {
    const rule = {
      ref: { kind: 'AccessPolicy', namespace: 'data', object: 'p', rule: 'r', generation: 1 },
      mode: 'Enforce',
      action: 'Allow',
      classes: [],
      verbs: [],
      resources: [],
    };
    const open = await server.stream();
    const sent = bundle([
      rule,
      { ...rule, onlyOnWeekdays: true },
      { ...rule, columns: { only: ['id'], notIn: ['x'] } },
    ]);
    open.send('policy', { versions: {}, bundle: sent });
    await until(() => stream.answered);
    expect(stream.bundle!.targets[0]!.rules.map(({ invalid }) => invalid)).toEqual([
      undefined,
      'field onlyOnWeekdays is not known',
      'field notIn is not known',
    ]);
  });

  test('without an identity there is no bundle, and a reason', async () => {
    const open = await server.stream();
    open.send('policy', { versions: { Target: 1 }, bundle: bundle() });
    await until(() => stream.answered);
    const refusal = { code: 'CHP-2005', message: 'No MachineIdentity.', hint: 'Make one.' };
    open.send('policy', { versions: { Target: 2 }, bundle: null, refusal });
    await until(() => stream.bundle === undefined);
    expect(stream.refusal).toMatchObject(refusal);
    expect(told).toEqual([bundle().digest, undefined]);
  });

  test('sessions hear nothing when nothing changed for them', async () => {
    const open = await server.stream();
    for (const Target of [1, 2, 3]) {
      open.send('policy', { versions: { Target }, bundle: bundle() });
    }
    open.send('policy', { versions: { Target: 4 }, bundle: null });
    await until(() => stream.answered && stream.bundle === undefined);
    expect(told).toEqual([bundle().digest, undefined]);
  });

  test('a token that is not taken is renewed', async () => {
    server.refuseStream = ({ token }) =>
      token === 'control-1'
        ? { status: 401, body: { code: 'CHP-2007', message: 'expired', hint: '' } }
        : undefined;
    await until(() => server.requests.length === 2, 'passes');
    expect(tokens.rejections).toEqual(['control-1']);
    expect((await server.stream()).request.token).toBe('control-2');
  });

  test('bytes that are no events end the connection, and nothing else', async () => {
    const open = await server.stream();
    open.write('data: {"x":\n\nevent: policy\ndata: {"x":\n\n');
    await open.closed;
    expect(unusable).toHaveLength(1);
    await until(() => server.requests.length === 2, 'passes');
  });

  test('a revoked program has no policy until it is told one anew', async () => {
    const open = await server.stream();
    open.send('policy', { versions: { Target: 1 }, bundle: bundle() });
    await until(() => stream.answered);
    stream.revoke(new ControlRefusal('CHP-2006', 'Not one of ours.', 'Be one.'));
    expect(stream.bundle).toBeUndefined();
    expect(stream.refusal.code).toBe('CHP-2006');
    await open.closed;
    await until(() => server.requests.length === 2, 'passes');
    (await server.stream()).send('policy', { versions: { Target: 1 }, bundle: bundle() });
    await until(() => stream.bundle !== undefined);
  });
});

describe('attestation', () => {
  const revoked: string[] = [];
  let attestation: Attestation;
  const attested = (control: string): object => ({
    role: 'Pod',
    controlToken: control,
    controlExpiresAt: new Date(clock.nowMs() + 600_000).toISOString(),
    ingestToken: `ingest of ${control}`,
    ingestExpiresAt: new Date(clock.nowMs() + 90_000_000).toISOString(),
    source: { namespace: 'payments', serviceAccount: 'report', pod: { name: 'p', uid: 'u' } },
    recordKey: Buffer.alloc(32, 1).toString('base64'),
    maxPolicyAgeMs,
  });
  const refusal = {
    status: 403,
    body: { code: 'CHP-2006', message: 'Not one of ours.', hint: 'Be one.' },
  };
  const start = (): void => {
    revoked.length = 0;
    attestation = new Attestation({
      api,
      token: new FollowedFile(join(server.files, 'token')),
      program: { name: 'sidecar', version: '1' },
      role: 'Pod',
      clock,
      random,
      logger,
      onRevoked: ({ code }) => revoked.push(code),
    });
  };
  afterEach(() => attestation.close());

  test('shows the token of the file as it is then, and renews well before the end', async () => {
    server.answer = ({ token }) => ({ status: 200, body: attested(`control of ${token}`) });
    start();
    expect(attestation.reason()).toBe('waiting for the policy API');
    const first = await attestation.first(new AbortController().signal);
    expect(first.controlToken).toBe('control of service-account-token');
    expect(attestation.ingestToken()).toBe('ingest of control of service-account-token');
    expect(attestation.reason()).toBeUndefined();
    writeFileSync(join(server.files, 'token'), 'rotated\n');
    await until(() => attestation.current?.controlToken === 'control of rotated', 'passes');
    expect(clock.nowMs()).toBeLessThan(first.controlExpiresMs);
  });

  test('is refused, says why, and tries again', async () => {
    server.answer = () => refusal;
    start();
    await until(() => revoked.length > 0);
    expect(attestation.reason()).toBe('not attested (CHP-2006)');
    expect(() => attestation.ingestToken()).toThrow();
    server.answer = () => ({ status: 200, body: attested('c') });
    await until(() => attestation.current !== undefined, 'passes');
  });

  test('a refusal takes nothing away while the token before is good, and everything after', async () => {
    server.answer = () => ({ status: 200, body: attested('c') });
    start();
    const { controlExpiresMs } = await attestation.first(new AbortController().signal);
    server.answer = () => refusal;
    const count = server.requests.length;
    await until(() => server.requests.length > count + 2, 'passes');
    expect(revoked).toEqual([]);
    await until(() => revoked.length > 0, 'passes');
    expect(clock.nowMs()).toBeGreaterThanOrEqual(controlExpiresMs);
  });

  test('a policy API that is away takes nothing away, however long', async () => {
    server.answer = () => ({ status: 200, body: attested('c') });
    start();
    await attestation.first(new AbortController().signal);
    server.answer = () => ({ status: 503, body: {} });
    const count = server.requests.length;
    await until(() => server.requests.length > count + 20, 'passes');
    expect(revoked).toEqual([]);
    expect(attestation.current).toBeDefined();
  });

  test('a control token that was not taken is shown no more, and renewed at once', async () => {
    let next = 0;
    server.answer = () => ({ status: 200, body: attested(`c${(next += 1)}`) });
    start();
    const { signal } = new AbortController();
    expect(await attestation.controlToken(signal)).toBe('c1');
    attestation.rejected('c1');
    attestation.rejected('an older one');
    expect(await attestation.controlToken(signal)).toBe('c2');
    expect(server.requests).toHaveLength(2);
  });

  test('whoever waits is told when it is over', async () => {
    server.answer = () => refusal;
    start();
    const abort = new AbortController();
    const waiting = attestation.first(abort.signal);
    abort.abort(new Error('stopped'));
    await expect(waiting).rejects.toThrow('stopped');
  });

  test('is not taken for another kind of program', async () => {
    server.answer = () => ({ status: 200, body: { ...attested('c'), role: 'Gateway' } });
    start();
    await until(() => revoked.length > 0);
    expect(attestation.current).toBeUndefined();
  });
});

describe('a replica that cannot answer', () => {
  const connections = new Set<unknown>();
  beforeEach(() => connections.clear());

  test('is asked no more: the next connection may lead to another', async () => {
    let failures = 1;
    server.answer = ({ connection }) => {
      connections.add(connection);
      failures -= 1;
      return failures >= 0 ? { status: 503, body: {} } : { status: 200, body: { fine: true } };
    };
    expect(await api.post('/v1/x', {}, 'token')).toEqual({ fine: true });
    expect(connections.size).toBe(2);
    await api.post('/v1/x', {}, 'token');
    expect(connections.size).toBe(2);
  });

  test('is asked twice, not for ever', async () => {
    server.answer = () => ({ status: 503, body: {} });
    await expect(api.post('/v1/x', {}, 'token')).rejects.toMatchObject({ code: 'CHP-2020' });
    expect(server.requests).toHaveLength(2);
  });
});

describe('leases', () => {
  const leaseMs = 3_600_000;
  const target: LeaseTarget = {
    uid: 't',
    generation: 3,
    host: 'orders.data.svc',
    port: 5432,
    tls: { mode: 'VerifyFull', ca: 'authorities' },
  };
  let leases: Leases;
  let version: string;
  const lease = (request: StandInRequest): { status: number; body: unknown } => ({
    status: 200,
    body: {
      name: 'orders',
      version,
      username: `app of ${request.path}`,
      password: 'secret',
      expiresAt: new Date(clock.nowMs() + leaseMs).toISOString(),
    },
  });
  beforeEach(() => {
    version = '1';
    server.answer = lease;
    leases = new Leases({ api, tokens: new Tokens(), clock, logger });
  });

  test('are asked for once, at the same time and later', async () => {
    const [a, b] = await Promise.all([leases.get('i', target), leases.get('i', target)]);
    expect(a).toEqual({
      name: 'orders',
      version: '1',
      username: 'app of /v1/credentials/t',
      password: 'secret',
    });
    expect(b).toBe(a);
    expect(await leases.get('i', target)).toBe(a);
    expect(server.requests).toHaveLength(1);
    await leases.get('other', target);
    await leases.get(undefined, target);
    expect(server.requests.map(({ body }) => body)).toEqual([
      { identityUid: 'i', targetGeneration: 3 },
      { identityUid: 'other', targetGeneration: 3 },
      { targetGeneration: 3 },
    ]);
  });

  test('serve while the policy API is away, until they end', async () => {
    const held = await leases.get('i', target);
    server.answer = () => ({ status: 503, body: {} });
    clock.advance(leaseMs - 1);
    expect(await leases.get('i', target)).toBe(held);
    clock.advance(1);
    await expect(leases.get('i', target)).rejects.toMatchObject({ code: 'CHP-2020' });
  });

  test('are renewed behind the scenes when half of their time is over', async () => {
    const held = await leases.get('i', target);
    clock.advance(leaseMs / 2);
    version = '2';
    expect(await leases.get('i', target)).toBe(held);
    await server.received(2);
    await until(() => server.requests.length === 2);
    let current = held;
    while (current === held) {
      await turn();
      current = await leases.get('i', target);
    }
    expect(current.version).toBe('2');
  });

  test('are renewed when something has changed', async () => {
    await leases.get('i', target);
    leases.changed('i');
    await leases.get('i', target);
    await server.received(2);
  });

  test.each<[string, Partial<LeaseTarget>]>([
    ['is another host', { host: 'other.data.svc' }],
    ['has another port', { port: 5433 }],
    ['is verified less', { tls: { mode: 'VerifyCA', ca: 'authorities' } }],
    ['is not verified at all', { tls: { mode: 'Disable' } }],
    ['has other authorities', { tls: { mode: 'VerifyFull', ca: 'others' } }],
  ])('serve no target that %s by now', async (_, changed) => {
    const held = await leases.get('i', target);
    server.answer = () => ({
      status: 409,
      body: { code: 'CHP-2013', message: 'Not verified.', hint: 'Verify it.' },
    });
    const refused = leases.get('i', { ...target, ...changed });
    await expect(refused).rejects.toMatchObject({ code: 'CHP-2013' });
    expect(server.requests).toHaveLength(2);
    server.answer = lease;
    expect(await leases.get('i', target)).not.toBe(held);
    expect(server.requests).toHaveLength(3);
  });

  test('are not lent for a Target that is another one than we know; what was lent before serves', async () => {
    const held = await leases.get('i', target);
    leases.changed('i');
    server.answer = () => ({
      status: 409,
      body: { code: 'CHP-2014', message: 'It has changed.', hint: 'Connect again.' },
    });
    expect(await leases.get('i', target)).toBe(held);
    await server.received(2);
    await expect(leases.get('i', target, held)).rejects.toMatchObject({ code: 'CHP-2014' });
    expect(await leases.get('i', target)).toBe(held);
    await expect(leases.get('j', target)).rejects.toMatchObject({ code: 'CHP-2014' });
  });

  test('that were asked for before a change are asked for again', async () => {
    const asked = leases.get('i', target);
    leases.changed('i');
    const held = await asked;
    expect(await leases.get('i', target)).toBe(held);
    await server.received(2);
  });

  test('what was asked for another server’s sake does not serve this one', async () => {
    const lowered = { ...target, tls: { mode: 'Disable' } } as const;
    await Promise.all([leases.get('i', target), leases.get('i', lowered)]);
    expect(server.requests).toHaveLength(2);
    await leases.get('i', lowered);
    await leases.get('i', target);
    expect(server.requests.length).toBeGreaterThan(2);
  });

  test('one that the backend did not take is not given again', async () => {
    const held = await leases.get('i', target);
    version = '2';
    expect(await leases.get('i', target, held)).toMatchObject({ version: '2' });
  });

  test('a refusal ends what was lent', async () => {
    await leases.get('i', target);
    server.answer = () => ({
      status: 403,
      body: { code: 'CHP-2012', message: 'Not open.', hint: 'Open it.' },
    });
    leases.changed('i');
    await leases.get('i', target);
    await server.received(2);
    let error: unknown;
    while (error === undefined) {
      await turn();
      error = await leases.get('i', target).then(
        () => undefined,
        (cause: unknown) => cause,
      );
    }
    expect(error).toMatchObject({ code: 'CHP-2012', message: 'Not open.' });
  });

  test('nobody else is told the password when an answer cannot be used', async () => {
    server.answer = (request) => {
      const { body } = lease(request);
      return { status: 200, body: { ...(body as object), expiresAt: 'soon' } };
    };
    const error = await leases.get('i', target).catch((cause: ControlRefusal) => cause);
    expect(error).toBeInstanceOf(ControlRefusal);
    expect(JSON.stringify(error) + (error as ControlRefusal).logDetail).not.toContain('secret');
  });
});

describe('reports of backends', () => {
  const intervalMs = 2000;
  const repeatMs = 5 * 60_000;
  let reporter: BackendReporter;
  let status: number;
  beforeEach(() => {
    status = 202;
    server.answer = () => ({ status, body: {} });
    reporter = new BackendReporter({ api, tokens: new Tokens(), clock, random, logger });
  });
  afterEach(() => reporter.close());

  const report = (outcome: BackendOutcome, targetUid = 't'): void =>
    reporter.report({ targetUid, targetGeneration: 1, credentialVersion: '7', outcome });
  const outcomes = (): unknown[] =>
    server.requests.map(({ body }) => (body as { outcome: string }).outcome);
  /** What has been sent when nothing more is on its way. */
  async function sent(count: number): Promise<unknown[]> {
    await until(() => server.requests.length >= count, 'passes');
    for (let turns = 0; turns < 20; turns += 1) await turn();
    return outcomes();
  }

  test('say the first outcome and each change, with what it was an outcome of', async () => {
    report('Connected');
    report('Connected');
    expect(await sent(1)).toEqual(['Connected']);
    expect(server.requests[0]).toMatchObject({
      path: '/v1/backends/t',
      body: { outcome: 'Connected', targetGeneration: 1, credentialVersion: '7' },
    });
    report('Connected');
    report('Unreachable');
    report('Unreachable');
    expect(await sent(2)).toEqual(['Connected', 'Unreachable']);
    report('Connected', 'other');
    expect(await sent(3)).toEqual(['Connected', 'Unreachable', 'Connected']);
  });

  test('come one by one, with the last word alone', async () => {
    report('Connected');
    await sent(1);
    const since = clock.nowMs();
    for (let at = 0; at < 100; at += 1) report(at % 2 === 0 ? 'Unreachable' : 'SessionsRefused');
    expect(await sent(2)).toEqual(['Connected', 'SessionsRefused']);
    expect(clock.nowMs() - since).toBeGreaterThanOrEqual(intervalMs - stepMs);
    // What is as it was told in the end is not told again.
    report('Unreachable');
    report('SessionsRefused');
    clock.advance(intervalMs);
    report('Connected', 'other');
    expect(await sent(3)).toEqual(['Connected', 'SessionsRefused', 'Connected']);
  });

  test('are repeated after five minutes where somebody still connects', async () => {
    report('Connected');
    await sent(1);
    clock.advance(repeatMs - 1000);
    report('Connected');
    expect(clock.pendingTimers()).toBe(0);
    clock.advance(1000);
    report('Connected');
    expect(await sent(2)).toEqual(['Connected', 'Connected']);
  });

  test('are made anew when something has changed', async () => {
    report('Connected');
    await sent(1);
    reporter.changed();
    report('Connected');
    expect(await sent(2)).toEqual(['Connected', 'Connected']);
  });

  test('that are not taken are sent again, later and later, and given up in the end', async () => {
    status = 503;
    report('Unreachable');
    // Each attempt asks two replicas.
    await until(() => server.requests.length >= 16, 'passes');
    await until(() => clock.pendingTimers() === 0, 'passes');
    expect(server.requests).toHaveLength(16);
    status = 202;
    report('Unreachable');
    expect(await sent(17)).toHaveLength(17);
    report('Unreachable');
    expect(await sent(17)).toHaveLength(17);
  });

  test('of a target that is not open to us are given up at once', async () => {
    server.answer = () => ({
      status: 403,
      body: { code: 'CHP-2012', message: 'Not open.', hint: '' },
    });
    report('Connected');
    await sent(1);
    await until(() => clock.pendingTimers() === 0);
    clock.advance(repeatMs);
    expect(await sent(1)).toHaveLength(1);
  });

  test('of more targets than there can be take no more memory', async () => {
    for (let at = 0; at < 3000; at += 1) report('Connected', `t${at}`);
    expect(clock.pendingTimers()).toBe(1000);
  });
});

describe('the serving certificate', () => {
  test('is made for a key of its own, and anew before it ends and for other targets', async () => {
    const authority = certificateAuthority();
    const { cert } = authority.issue(['DNS:orders.data.svc']);
    const lifeMs = 86_400_000;
    const asked: string[] = [];
    server.answer = ({ body }) => {
      asked.push((body as { publicKey: string }).publicKey);
      return {
        status: 200,
        body: { certificateChain: cert, expiresAt: new Date(clock.nowMs() + lifeMs).toISOString() },
      };
    };
    const certificate = new ServingCertificate({
      api,
      tokens: new Tokens(),
      clock,
      random,
      logger,
    });
    expect(certificate.secureContext()).toBeUndefined();
    expect(certificate.pending).toBe(false);
    certificate.require('a');
    certificate.require('a');
    expect(certificate.pending).toBe(true);
    // The leaf is of another key, so it is no certificate of ours: none is shown.
    await until(() => asked.length === 2, 'passes');
    expect(certificate.secureContext()).toBeUndefined();
    expect(asked[0]).toMatch(/^-----BEGIN PUBLIC KEY-----/);
    expect(new Set(asked).size).toBe(1);
    certificate.require('b');
    await until(() => asked.length === 3);
    expect(certificate.pending).toBe(false);
    certificate.close();
  });
});
