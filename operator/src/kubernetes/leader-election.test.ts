import { manualClock } from '@chaperone/runtime/clock.ts';
import { createLogger } from '@chaperone/runtime/logging/logger.ts';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { ApiError } from './api-error.ts';
import type { CallOptions } from './client.ts';
import { LeaderElection } from './leader-election.ts';
import { kubernetesMetricsFor } from './metrics.ts';

interface Lease {
  metadata: { name: string; namespace: string; resourceVersion: string };
  spec: {
    holderIdentity: string;
    leaseDurationSeconds: number;
    acquireTime: string;
    renewTime: string;
    leaseTransitions: number;
  };
}

/** One Lease with the API server's rules for writes; `mode` says how it fails. */
class LeaseServer {
  lease: Lease | undefined;
  mode: 'Works' | 'Refuses' | 'Hangs' = 'Works';
  writes = 0;

  find = (async (_: unknown, __: unknown, ___: unknown, call: CallOptions) => {
    await this.#fail(call);
    return structuredClone(this.lease);
  }) as never;

  create = (async (_: unknown, lease: Lease, call: CallOptions) => {
    await this.#fail(call);
    if (this.lease !== undefined) throw conflict('AlreadyExists');
    return this.#write(lease);
  }) as never;

  replace = (async (_: unknown, lease: Lease, call: CallOptions) => {
    await this.#fail(call);
    if (lease.metadata.resourceVersion !== this.lease?.metadata.resourceVersion) {
      throw conflict('Conflict');
    }
    return this.#write(lease);
  }) as never;

  #write(lease: Lease): Lease {
    this.writes += 1;
    const metadata = { ...lease.metadata, resourceVersion: String(this.writes) };
    this.lease = { ...structuredClone(lease), metadata };
    return structuredClone(this.lease);
  }

  /** As a client with that timeout sees it. */
  async #fail({ timeoutMs, signal }: CallOptions): Promise<void> {
    if (this.mode === 'Refuses') throw new ApiError('refused', { code: 0, reason: 'NetworkError' });
    if (this.mode === 'Works') return;
    await new Promise<void>((_, reject) => {
      const failed = new ApiError('silent', { code: 0, reason: 'RequestTimeout' });
      clock.setTimer(timeoutMs!, () => reject(failed));
      signal?.addEventListener('abort', () => reject(failed));
    });
  }
}

const conflict = (reason: string): ApiError => new ApiError(reason, { code: 409, reason });

let clock: ReturnType<typeof manualClock>;
let server: LeaseServer;
let log: string[];

beforeEach(() => {
  clock = manualClock();
  server = new LeaseServer();
  log = [];
});

function replica(identity: string): { election: LeaderElection; registry: Registry } {
  const registry = new Registry();
  const election = new LeaderElection({
    api: server,
    namespace: 'ns',
    name: 'lease',
    identity,
    onStarted: () => log.push(`${identity} leads`),
    onLost: (reason) => log.push(`${identity} lost: ${reason}`),
    clock,
    random: () => 0,
    logger: createLogger({ program: 'test', level: 'silent', clock }),
    metrics: kubernetesMetricsFor(registry),
  });
  return { election, registry };
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** In steps small enough for everything in between to happen. */
async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 250) {
    clock.advance(250);
    await settle();
  }
}

describe('LeaderElection', () => {
  test('the first to come takes the Lease and renews it every 2 s', async () => {
    const { election, registry } = replica('a');
    expect(await registry.metrics()).toContain('leader_election_master_status{name="lease"} 0');
    election.start();
    await settle();
    expect(log).toEqual(['a leads']);
    expect(election.isLeader).toBe(true);
    expect(server.lease?.spec).toEqual({
      holderIdentity: 'a',
      leaseDurationSeconds: 15,
      acquireTime: '2026-01-01T00:00:00.000000Z',
      renewTime: '2026-01-01T00:00:00.000000Z',
      leaseTransitions: 0,
    });
    await pass(10_000);
    expect(server.writes).toBe(6);
    expect(server.lease?.spec).toMatchObject({
      acquireTime: '2026-01-01T00:00:00.000000Z',
      renewTime: '2026-01-01T00:00:10.000000Z',
      leaseTransitions: 0,
    });
    expect(await registry.metrics()).toContain('leader_election_master_status{name="lease"} 1');
    await election.stop();
  });

  test('another one waits while it is renewed, whatever the clocks say, and follows after 15 s', async () => {
    const a = replica('a');
    const b = replica('b');
    a.election.start();
    await settle();
    b.election.start();
    await pass(30_000);
    expect(log).toEqual(['a leads']);
    // From the other's own time nothing follows.
    server.lease!.spec.renewTime = '2020-01-01T00:00:00.000000Z';
    server.mode = 'Hangs';
    await pass(10_000);
    expect(log[1]).toContain('a lost');
    server.mode = 'Works';
    await pass(4500);
    expect(log).toHaveLength(2);
    await pass(20_000);
    expect(log[2]).toBe('b leads');
    expect(server.lease?.spec).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 });
    await Promise.all([a.election.stop(), b.election.stop()]);
  });

  test.each(['Refuses', 'Hangs'] as const)(
    'a leader that cannot renew (server %s) gives up after 10 s, before anybody else may follow',
    async (mode) => {
      const { election, registry } = replica('a');
      election.start();
      await settle();
      await pass(2000);
      server.mode = mode;
      await pass(9500);
      expect(log).toEqual(['a leads']);
      expect(election.isLeader).toBe(true);
      await pass(500);
      expect(log[1]).toMatch(/^a lost: the Lease could not be renewed for 10 s: (refused|silent)$/);
      expect(election.isLeader).toBe(false);
      expect(await registry.metrics()).toContain('leader_election_master_status{name="lease"} 0');
      // It does not come back by itself.
      server.mode = 'Works';
      await pass(60_000);
      expect(log).toHaveLength(2);
      await election.stop();
    },
  );

  test('a short outage costs nothing', async () => {
    const { election } = replica('a');
    election.start();
    await pass(2000);
    server.mode = 'Refuses';
    await pass(7000);
    server.mode = 'Works';
    await pass(30_000);
    expect(log).toEqual(['a leads']);
    await election.stop();
  });

  test('a leader that was frozen does not believe itself to lead', async () => {
    const { election } = replica('a');
    election.start();
    await settle();
    server.mode = 'Hangs';
    clock.advance(10_000); // nothing of it has run since
    expect(election.isLeader).toBe(false);
    server.mode = 'Works';
    await settle();
    await election.stop();
  });

  test('a leader whose Lease another one holds stops at once', async () => {
    const { election } = replica('a');
    election.start();
    await settle();
    server.lease!.spec.holderIdentity = 'b';
    server.lease!.metadata.resourceVersion = '99';
    await pass(2000);
    expect(log).toEqual(['a leads', 'a lost: another replica holds the Lease']);
    await election.stop();
    expect(server.lease?.spec.holderIdentity).toBe('b');
  });

  test('of two that come at the same time one leads', async () => {
    const replicas = [replica('a'), replica('b'), replica('c')];
    for (const { election } of replicas) election.start();
    await pass(20_000);
    expect(log).toHaveLength(1);
    expect(replicas.filter(({ election }) => election.isLeader)).toHaveLength(1);
    await Promise.all(replicas.map(({ election }) => election.stop()));
  });

  test('stopping gives the Lease back, and the next one need not wait', async () => {
    const a = replica('a');
    const b = replica('b');
    a.election.start();
    await settle();
    b.election.start();
    await settle();
    await a.election.stop();
    expect(server.lease?.spec.holderIdentity).toBe('');
    expect(a.election.isLeader).toBe(false);
    await pass(2000);
    expect(log).toEqual(['a leads', 'b leads']);
    await b.election.stop();
    expect(clock.pendingTimers()).toBe(0);
  });

  test('stopping one that does not lead writes nothing', async () => {
    const a = replica('a');
    const b = replica('b');
    a.election.start();
    await settle();
    b.election.start();
    await settle();
    const { writes } = server;
    await b.election.stop();
    expect(server.writes).toBe(writes);
    await a.election.stop();
  });

  test('stopping does not hang with the server, nor fail', async () => {
    const { election } = replica('a');
    election.start();
    await settle();
    server.mode = 'Refuses';
    await election.stop();
    expect(log).toEqual(['a leads']);
  });
});
