/** What a sidecar cannot ship before its end, by way of the policy API: nothing lost, nothing twice, or a gap. */
import { randomUUID } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { policy } from '../support/chaperone.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { loadShop } from '../support/shop.ts';
import { SidecarLab, startReachablePostgres } from '../support/sidecar-lab.ts';

const allowing = (...relations: string[]) => [
  policy('p', [
    {
      name: 'all',
      action: 'Allow',
      classes: ['Read'],
      resources: relations.map((name) => `shop.public.${name}`),
    },
  ]),
];
const resources = allowing('customers');
const mebibyte = 1024 * 1024;

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startReachablePostgres();
  await loadShop(postgres, { orders: 1 });
});
afterAll(() => postgres?.stop());

const start = (relayMaxBytes: number, shutdownGrace = '20s'): Promise<SidecarLab> =>
  SidecarLab.start({ postgres, resources, shutdownGrace, relayMaxBytes });

/**
 * A session of at least `statements` statements: all but the first while there is no collector, the last by a policy
 * that came then. Returns how many they were.
 */
async function ask(lab: SidecarLab, statements: number): Promise<number> {
  const client = await lab.connect();
  await client.query('SELECT 0 FROM customers LIMIT 1');
  await lab.until(
    () => lab.events({ type: 'OperationDecided' }),
    (events) => events.length === 1,
  );
  await lab.collector.end('SIGKILL');
  for (let n = 1; n < statements; n += 1) {
    await client.query(`SELECT ${n} AS "${randomUUID()}${randomUUID()}" FROM customers LIMIT 1`);
  }
  lab.write(allowing('customers', 'orders'));
  let asked = statements;
  await lab.until(
    () => {
      asked += 1;
      return client.query('SELECT 1 FROM orders LIMIT 1').then(
        () => true,
        () => false,
      );
    },
    (isAllowed) => isAllowed,
  );
  await client.end();
  return asked;
}

/** Of the one session: every event once, and nothing missing or amiss. */
async function expectWhole(lab: SidecarLab, statements: number): Promise<void> {
  const [session] = await lab.until(
    () => lab.sessions(),
    ([found]) => found?.closed !== undefined && found.acknowledged === found.known,
  );
  const events = await lab.events();
  const own = events.filter(({ event }) => event.session === session!.id);
  const seqs = own.map(({ event }) => event.seq as number).sort((a, b) => a - b);
  expect(seqs).toEqual(seqs.map((_, at) => at + 1));
  expect(seqs).toHaveLength(session!.known);
  expect(own.filter(({ event }) => event.type === 'OperationDecided')).toHaveLength(statements);
  expect(events.filter(({ event }) => event.type === 'RecordGap')).toEqual([]);
  const { sources, alerts } = await lab.integrity();
  expect(alerts).toEqual([]);
  expect(sources.flatMap(({ missing }) => missing)).toEqual([]);
}

test('the collector is away at the end: the relay takes all of it, and the collector has it once', async () => {
  const lab = await start(32 * mebibyte);
  try {
    const asked = await ask(lab, 500);
    expect(await lab.sidecar.end('SIGTERM')).toBe(0);
    await lab.sidecar.logged('the collector is away: events were handed to the relay');
    expect(lab.sidecar.text).not.toContain('CHP-4010');
    expect(await lab.relayed('Taken')).toBeGreaterThan(1);
    expect(await lab.relayed('Forwarded')).toBe(0);
    await lab.startCollector();
    await expectWhole(lab, asked);
    expect(await lab.relayed('Forwarded')).toBe(await lab.relayed('Taken'));
    // What was handed over was not taken for stored: the next one over the same spool ships it, too.
    await lab.startSidecar();
    await lab.until(
      () => lab.ops('/metrics'),
      ({ text }) => /^chaperone_spool_age_seconds 0$/m.test(text),
    );
    await expectWhole(lab, asked);
  } finally {
    await lab.stop();
  }
});

test('the relay starts anew over its directory: what it took is not lost', async () => {
  const lab = await start(32 * mebibyte);
  try {
    const asked = await ask(lab, 50);
    await lab.sidecar.end('SIGTERM');
    lab.loseSpool();
    await lab.stopPolicyApi();
    await lab.restorePolicyApi();
    await lab.startCollector();
    await expectWhole(lab, asked);
    // And the policy that decided, which came while the collector was away.
    const decided = await lab.events({ type: 'OperationDecided' });
    const digest = decided.at(-1)!.event.policyDigest as string;
    await lab.until(
      () => lab.record((client) => client.snapshot(digest)),
      (text) => text !== undefined,
    );
  } finally {
    await lab.stop();
  }
});

test('the relay is full: what it has no room for is on record as a gap', async () => {
  const lab = await start(64 * 1024, '4s');
  try {
    await ask(lab, 500);
    expect(await lab.sidecar.end('SIGTERM')).toBe(0);
    const { isAnnounced } = await lab.sidecar.logged(
      'nobody has taken these events; they are in the spool',
    );
    expect(isAnnounced).toBe(true);
    expect(await lab.relayed('Refused')).toBeGreaterThan(0);
    lab.loseSpool();
    await lab.startCollector();
    const gaps = await lab.until(
      () => lab.events({ type: 'RecordGap' }),
      (events) => events.length > 0,
    );
    const [session] = await lab.sessions();
    const ofSession = gaps.find(({ event }) => event.ofSession === session!.id)!.event;
    const { sources, alerts } = await lab.integrity();
    const { from, to } = ofSession as unknown as { from: number; to: number };
    expect(to).toBe(session!.known);
    const known = { session: session!.id, from, to };
    expect(sources.flatMap(({ missing }) => missing)).toContainEqual({
      ...known,
      state: 'Announced',
    });
    expect(alerts).toContainEqual(expect.objectContaining({ kind: 'AnnouncedGap' }));
  } finally {
    await lab.stop();
  }
});

test('without a relay and without a collector, it is said what is left', async () => {
  const lab = await SidecarLab.start({ postgres, resources, shutdownGrace: '2s' });
  try {
    await ask(lab, 3);
    expect(await lab.sidecar.end('SIGTERM')).toBe(0);
    const message = 'nobody has taken these events; they are in the spool';
    expect(await lab.sidecar.logged(message)).toMatchObject({ isAnnounced: false });
  } finally {
    await lab.stop();
  }
});

test('who has no ingest token hands over nothing, and who has one, nothing of sessions of others', async () => {
  const lab = await start(32 * mebibyte);
  try {
    const asked = await ask(lab, 2);
    await lab.sidecar.end('SIGTERM');
    await lab.startCollector();
    await expectWhole(lab, asked);
    const [session] = await lab.sessions();
    const attested = await lab.api.request('POST', '/v1/attest', {
      token: 'pod.payments.nightly-report.uid-2',
      body: { program: { name: 'sidecar', version: 'test' }, bundleVersions: [1] },
    });
    const { controlToken, ingestToken } = attested.body as Record<string, string>;
    const event = {
      seq: session!.known + 1,
      line: JSON.stringify({
        eventVersion: 1,
        id: '01890a5d-ac96-774b-bcce-b302099a8057',
        session: session!.id,
        seq: session!.known + 1,
        time: '2026-01-01T00:00:00.000000Z',
        type: 'ProgramStopped',
        program: 'sidecar',
        version: 'test',
      }),
      parts: [],
    };
    const post = (
      token: string,
      options: { id?: string; raw?: Buffer; headers?: Record<string, string>; kind?: string } = {},
    ) =>
      lab.api.request(
        'POST',
        `/v1/relay/${options.kind ?? 'sessions'}/${options.id ?? session!.id}/events`,
        {
          token,
          raw: options.raw ?? gzipSync(`${JSON.stringify(event)}\n`),
          headers: {
            'content-type': 'application/x-ndjson',
            'content-encoding': 'gzip',
            ...options.headers,
          },
        },
      );
    expect(await post('nothing')).toMatchObject({ status: 401, body: { code: 'CHP-2007' } });
    expect(await post(controlToken!)).toMatchObject({ status: 401, body: { code: 'CHP-2007' } });
    expect(await post(ingestToken!, { id: 'x' })).toMatchObject({ status: 400 });
    const plain = { 'content-encoding': 'identity' };
    expect(await post(ingestToken!, { headers: plain })).toMatchObject({ status: 415 });
    const large = Buffer.alloc(4 * mebibyte + 1);
    expect(await post(ingestToken!, { raw: large })).toMatchObject({ status: 413 });
    const long = Buffer.alloc(32 * 1024 + 1);
    expect(await post(ingestToken!, { raw: long, kind: 'gaps' })).toMatchObject({ status: 413 });
    expect(await lab.relayed('Lost')).toBe(0);

    expect(await post(ingestToken!)).toMatchObject({ status: 202 });
    await lab.until(
      () => lab.relayed('Lost'),
      (lost) => lost === 1,
    );
    await expectWhole(lab, asked);
  } finally {
    await lab.stop();
  }
});
