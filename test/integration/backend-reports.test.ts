/**
 * What only connecting tells of a Target: sidecars and a gateway before a real server tell the policy API, and
 * the Target's status says what is wrong and what to do.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BackendReports } from '@chaperone/control/controllers/backend-reports.ts';
import {
  type StatusController,
  startStatusController,
} from '@chaperone/control/controllers/status-controller.ts';
import { type TestPolicyApi, testPolicyApi } from '@chaperone/control/policy-api/testing.ts';
import type { DirectoryStore } from '@chaperone/control/store/directory-store.ts';
import { type TestDirectory, testDirectory } from '@chaperone/control/store/testing.ts';
import { TicketStore } from '@chaperone/control/tickets/ticket-store.ts';
import type { BackendOutcome } from '@chaperone/core/control/types.ts';
import type { Condition } from '@chaperone/core/resources/types.ts';
import { systemClock } from '@chaperone/runtime/clock.ts';
import { loadProgramConfig } from '@chaperone/runtime/config/program-config.ts';
import { createLogger } from '@chaperone/runtime/logging/logger.ts';
import { sidecarSchema } from '@chaperone/sidecar/config.ts';
import { type RunningSidecar, startSidecar } from '@chaperone/sidecar/program/start.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { stringify } from 'yaml';
import { certificateAuthority } from '../support/certificates.ts';
import { baseResources, policy, type Resource, TestChaperone } from '../support/chaperone.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { loadShop } from '../support/shop.ts';
import { ownAddress } from '../support/sidecar-lab.ts';

const authority = certificateAuthority();
const stranger = certificateAuthority();
const clock = systemClock();
const logger = createLogger({ program: 'test', level: 'silent', clock });
const targets = ['orders-db', 'other-db'];

let postgres: TestPostgres;
let directory: TestDirectory;
let store: DirectoryStore;
let api: TestPolicyApi;
let statuses: StatusController;
let tickets: TicketStore;
let files: string;
const backends = new BackendReports(() => clock.nowMs());
const programs: RunningSidecar[] = [];

const read = { name: 'read', action: 'Allow', classes: ['Read'], resources: ['shop.**'] };

/** The Targets of one server; what differs is the first one's. */
function resources(
  change: { readonly ca?: string; readonly password?: string; readonly port?: number } = {},
): Resource[] {
  const { superuser, password } = postgres;
  return targets.flatMap((name) => {
    const own = name === 'orders-db' ? change : {};
    const login =
      name === 'orders-db'
        ? { username: 'orders', password: own.password ?? 'first' }
        : { username: superuser, password };
    const [target, secret, identity] = baseResources({ postgres, login }) as [
      Resource & { spec: object },
      Resource,
      Resource,
    ];
    return [
      {
        ...target,
        metadata: { name, namespace: 'data' },
        spec: {
          ...target.spec,
          host: ownAddress(),
          port: own.port ?? postgres.port,
          tls: { mode: 'VerifyCA', caRef: { name } },
          credentials: { secretRef: { name } },
        },
      },
      {
        ...secret,
        metadata: { name, namespace: 'data', labels: { 'chaperone.dev/target': name } },
      },
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name, namespace: 'data' },
        data: { 'ca.crt': own.ca ?? authority.ca.cert },
      },
      ...(name === 'orders-db' ? [identity] : []),
      { ...policy(name, [read], { targetRefs: [{ name }] }) },
    ];
  });
}

const yaml = (objects: readonly Resource[]): string =>
  objects.map((object) => stringify(object)).join('---\n');

async function run(mode: 'Pod' | 'Gateway', token: string): Promise<RunningSidecar> {
  const spool = mkdtempSync(join(files, 'program-'));
  writeFileSync(join(spool, 'token'), token);
  const config = loadProgramConfig(sidecarSchema, [], {
    CHAPERONE_MODE: mode,
    CHAPERONE_POLICY_API_URL: api.url,
    // Nobody takes the record here; it is kept.
    CHAPERONE_COLLECTOR_URL: 'https://127.0.0.1:1',
    CHAPERONE_CA_FILE: join(files, 'ca.crt'),
    CHAPERONE_TOKEN_FILE: join(spool, 'token'),
    ...(mode === 'Pod'
      ? {
          CHAPERONE_LISTEN: JSON.stringify(
            targets.map((name) => ({ target: `data/${name}`, address: '127.0.0.1', port: 0 })),
          ),
        }
      : { CHAPERONE_LISTEN_HOST: '127.0.0.1', CHAPERONE_LISTEN_PORT: '0' }),
    CHAPERONE_SPOOL_DIRECTORY: join(spool, 'spool'),
    CHAPERONE_OPS_HOST: '127.0.0.1',
    CHAPERONE_OPS_PORT: '0',
    CHAPERONE_SHUTDOWN_GRACE: '1s',
  })!;
  const options = { config, version: 'test', clock, random: Math.random, logger };
  const program = await startSidecar(options);
  programs.push(program);
  await program.serving;
  return program;
}

async function connect(
  program: RunningSidecar,
  target: string,
  login: pg.ClientConfig = {},
): Promise<pg.Client> {
  const { port } = program.targets().get(`data/${target}`) as { port: number };
  const client = new pg.Client({
    ...{ host: '127.0.0.1', port, user: 'whoever', database: 'shop' },
    ...login,
  });
  client.on('error', () => {});
  await client.connect();
  return client;
}

/** Null where it worked, or the error's message. */
const attempt = (program: RunningSidecar, target: string, login?: pg.ClientConfig) =>
  connect(program, target, login).then(
    (client) => client.end().then(() => null),
    ({ message }: Error) => message,
  );

async function conditionOf(name: string): Promise<Condition | undefined> {
  await statuses.settled();
  const target = await store.get('Target', 'data', name);
  return target?.status?.conditions?.find(({ type }) => type === 'BackendReachable');
}

/** Tries until the condition is so; the test's time limit ends it otherwise. */
async function until(
  name: string,
  wanted: string,
  tries: () => Promise<unknown> = async () => undefined,
): Promise<Condition> {
  for (;;) {
    await tries();
    const condition = await conditionOf(name);
    if (condition !== undefined && `${condition.status} ${condition.reason}` === wanted) {
      return condition;
    }
    await new Promise((next) => setTimeout(next, 50));
  }
}

beforeAll(async () => {
  postgres = await startPostgres({
    version: 18,
    ssl: authority.issue([`IP:${ownAddress()}`]),
    settings: { listen_addresses: `127.0.0.1,${ownAddress()}` },
  });
  await loadShop(postgres, { orders: 10 });
  await postgres.query("CREATE ROLE orders LOGIN PASSWORD 'first' IN ROLE pg_read_all_data");
  directory = testDirectory({ 'all.yaml': yaml(resources()) });
  store = await directory.open();
  tickets = new TicketStore(directory.database, () => clock.nowMs());
  api = await testPolicyApi(directory.state, store, { tickets, backends });
  files = mkdtempSync(join(tmpdir(), 'chaperone-reports-'));
  writeFileSync(join(files, 'ca.crt'), api.ca);
  statuses = startStatusController({
    store,
    clock,
    backends,
    onError: (error) => {
      throw error;
    },
  });
  backends.start(() => statuses.touch());
});

afterAll(async () => {
  await Promise.all(programs.map((program) => program.stop()));
  statuses?.stop();
  await api?.close();
  await directory?.close();
  await postgres?.stop();
  rmSync(files, { recursive: true, force: true });
});

describe('a Target', () => {
  let pod: RunningSidecar;
  let other: RunningSidecar;
  let open: pg.Client;
  beforeAll(async () => {
    pod = await run('Pod', 'pod.payments.nightly-report.uid-1');
    other = await run('Pod', 'pod.payments.nightly-report.uid-2');
  });
  afterAll(() => open?.end());

  const tries = () => attempt(pod, 'orders-db');

  /** Sessions, old and new ones, of the Target that has nothing wrong. */
  async function expectOtherGoesOn(): Promise<void> {
    expect((await open.query('SELECT 1 AS one FROM orders LIMIT 1')).rows).toEqual([{ one: 1 }]);
    expect(await attempt(pod, 'other-db')).toBeNull();
    expect(await conditionOf('other-db')).toMatchObject({ status: 'True', reason: 'Reachable' });
  }

  test('has nothing said of it before somebody connects, and is reachable then', async () => {
    expect(await conditionOf('orders-db')).toBeUndefined();
    open = await connect(pod, 'other-db');
    await until('other-db', 'True Reachable');
    expect(await conditionOf('orders-db')).toBeUndefined();
    await tries();
    await until('orders-db', 'True Reachable');
  });

  const write = async (change?: Parameters<typeof resources>[0]): Promise<void> =>
    directory.write('all.yaml', yaml(resources(change)));
  const setPassword = (password: string) =>
    postgres.query(`ALTER ROLE orders PASSWORD '${password}'`);

  test.each<[string, () => Promise<unknown>, () => Promise<unknown>, string, string, string]>([
    [
      'whose authorities are another server’s',
      () => write({ ca: stranger.ca.cert }),
      () => write(),
      'CertificateNotTrusted',
      'CHP-2013',
      'have ConfigMap orders-db hold the authority that it comes from',
    ],
    [
      'whose Secret has another password than the server',
      () => setPassword('second'),
      () => write({ password: 'second' }),
      'CredentialsRejected',
      'CHP-2011',
      'the server does not take the login in Secret orders-db',
    ],
    [
      'at whose port nobody listens',
      () => write({ password: 'second', port: 1 }),
      () => write({ password: 'second' }),
      'Unreachable',
      'CHP-5004',
      `nothing answers at ${ownAddress()}:1: start the server`,
    ],
  ])(
    '%s says so with what to do, and is well once mended',
    async (_, spoil, mend, reason, code, told) => {
      await spoil();
      let refused: string | null = null;
      const condition = await until('orders-db', `False ${reason}`, async () => {
        refused = (await tries()) ?? refused;
      });
      expect(refused).toContain(code);
      expect(condition.message).toContain('the one sidecar or gateway that tried');
      expect(condition.message).toContain(told);
      const target = await store.get('Target', 'data', 'orders-db');
      expect(condition.observedGeneration).toBe(target!.metadata.generation);
      // It says what whoever connects is told, and changes nothing else.
      expect(target!.status!.conditions!.find(({ type }) => type === 'Ready')!.status).toBe('True');
      await expectOtherGoesOn();

      expect(await attempt(other, 'orders-db')).toContain(code);
      await mend();
      await until('orders-db', 'Unknown NotTried');
      await until('orders-db', 'True Reachable', tries);
      await expectOtherGoesOn();
    },
  );

  test('is told of by a gateway, too', async () => {
    const gateway = await run('Gateway', 'gateway');
    const { metadata: identity } = (await store.get(
      'MachineIdentity',
      'payments',
      'nightly-report',
    ))!;
    const login = async (): Promise<pg.ClientConfig> => {
      const { metadata: target } = (await store.get('Target', 'data', 'orders-db'))!;
      return {
        user: 'nightly-report',
        password: tickets.create({ identity, target }, 600_000).secret,
      };
    };
    const ticketed = async () =>
      gateway.targets().has('data/orders-db') && attempt(gateway, 'orders-db', await login());
    await setPassword('third');
    const condition = await until('orders-db', 'True PartlyReachable', ticketed);
    expect(condition.message).toMatch(
      /^1 of the 2 sidecars and gateways .* take the login in Secret/,
    );
    await write({ password: 'third' });
    await until('orders-db', 'True Reachable', ticketed);
  });

  test('what a caller asks for says nothing of it', async () => {
    expect(await attempt(pod, 'orders-db', { database: 'missing' })).toContain('CHP-5005');
    expect(await conditionOf('orders-db')).toMatchObject({ reason: 'Reachable' });
  });
});

describe('a report', () => {
  const send = (token: string, name: string, over: object = {}) => {
    const target = api.state.targets().find(({ metadata }) => metadata.name === name)!;
    return api.request('POST', `/v1/backends/${target.metadata.uid}`, {
      token,
      body: {
        outcome: 'Unreachable' satisfies BackendOutcome,
        targetGeneration: target.metadata.generation,
        credentialVersion: api.state.backendBasis(target).credentialVersion,
        ...over,
      },
    });
  };

  test.each<[string, object]>([
    ['an outcome of its own', { outcome: 'Unreachable\nkubectl delete target' }],
    ['words of its own', { message: 'call this number' }],
    ['no outcome', { outcome: null }],
    ['a text for a number', { targetGeneration: '1' }],
  ])('with %s is refused', async (_, over) => {
    const token = await api.attest('pod.payments.nightly-report.uid-9');
    expect(await send(token, 'orders-db', over)).toMatchObject({ status: 400 });
    expect(await conditionOf('orders-db')).toMatchObject({ reason: 'Reachable' });
  });

  test('of what is closed to the pod, or is not there, or of a pod without identity is refused', async () => {
    const closed = resources({ password: 'third' }).map((object) => {
      const { kind, metadata, spec } = object as unknown as {
        readonly kind: string;
        readonly metadata: { readonly name: string };
        readonly spec: object;
      };
      return kind === 'Target' && metadata.name === 'other-db'
        ? { ...object, spec: { ...spec, allowedNamespaces: { from: 'Same' } } }
        : object;
    });
    const mine = await api.attest('pod.payments.nightly-report.uid-9');
    directory.write('all.yaml', yaml(closed));
    const before = await until('other-db', 'Unknown NotTried');
    expect(api.state.openTargets('payments')).toHaveLength(1);
    expect(await send(mine, 'other-db')).toMatchObject({
      status: 403,
      body: { code: 'CHP-2012' },
    });
    expect(
      await api.request('POST', '/v1/backends/nothing', {
        token: mine,
        body: { outcome: 'Connected', targetGeneration: 1, credentialVersion: '1' },
      }),
    ).toMatchObject({ status: 403, body: { code: 'CHP-2012' } });
    const unbound = await api.attest('pod.payments.nobody.uid-8');
    expect(await send(unbound, 'orders-db')).toMatchObject({
      status: 403,
      body: { code: 'CHP-2005' },
    });
    expect(await conditionOf('other-db')).toEqual(before);
  });

  test('of a Secret or spec of before counts for nothing', async () => {
    const token = await api.attest('pod.payments.nightly-report.uid-9');
    for (const over of [{ credentialVersion: 'older' }, { targetGeneration: 0 }]) {
      expect(await send(token, 'orders-db', over)).toMatchObject({
        status: 409,
        body: { code: 'CHP-7003' },
      });
    }
    expect(await conditionOf('orders-db')).toMatchObject({ reason: 'Reachable' });
  });

  test('of one program that floods is one among those of the others, and bounded', async () => {
    const flooding = await api.attest('pod.payments.nightly-report.flood');
    const answers: number[] = [];
    for (let at = 0; at < 200; at += 1) {
      const outcome: BackendOutcome = at % 2 === 0 ? 'Unreachable' : 'CertificateNotTrusted';
      answers.push((await send(flooding, 'orders-db', { outcome })).status);
    }
    expect(answers.filter((status) => status === 202).length).toBeLessThan(70);
    expect(answers.at(-1)).toBe(429);
    // The others that connect are believed, and it is said that one does not.
    const condition = await until('orders-db', 'True PartlyReachable');
    expect(condition.message).toMatch(/^1 of the \d sidecars and gateways/);
    const honest = await api.attest('pod.payments.nightly-report.uid-9');
    expect(await send(honest, 'orders-db', { outcome: 'Connected' })).toMatchObject({
      status: 202,
    });
  });

  test('to a replica that does not write statuses is for another one', async () => {
    backends.stop();
    const token = await api.attest('pod.payments.nightly-report.uid-9');
    expect(await send(token, 'orders-db')).toMatchObject({
      status: 503,
      body: { code: 'CHP-7003' },
      headers: { 'retry-after': '1' },
    });
  });
});

test('standalone says it in the statuses of its directory, too', async () => {
  const login = { username: 'orders', password: 'not-the-one' };
  const chaperone = await TestChaperone.start({
    postgres,
    resources: [policy('read', [read])],
    login,
  });
  try {
    await expect(chaperone.connect('shop')).rejects.toThrow('CHP-2011');
    let condition: Condition | undefined;
    while (condition === undefined) {
      await new Promise((next) => setTimeout(next, 20));
      const target = await chaperone.standalone.store.get('Target', 'data', 'orders-db');
      condition = target!.status?.conditions?.find(({ type }) => type === 'BackendReachable');
    }
    expect(condition).toMatchObject({ status: 'False', reason: 'CredentialsRejected' });
  } finally {
    await chaperone.stop();
  }
});
