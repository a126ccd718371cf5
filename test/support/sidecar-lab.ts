/**
 * The programs of a cluster without the cluster: a policy API over a directory, in this process, and the
 * collector and the sidecar (or gateway) as processes of their own.
 */
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { RecordClient } from '@chaperone/cli/record-client.ts';
import type { EventView, SessionView } from '@chaperone/collector/query/render.ts';
import { type TestPolicyApi, testPolicyApi } from '@chaperone/control/policy-api/testing.ts';
import type { DirectoryStore } from '@chaperone/control/store/directory-store.ts';
import { type TestDirectory, testDirectory } from '@chaperone/control/store/testing.ts';
import { TicketStore } from '@chaperone/control/tickets/ticket-store.ts';
import { systemClock } from '@chaperone/runtime/clock.ts';
import { HttpClient } from '@chaperone/runtime/http/client.ts';
import { createRegistry } from '@chaperone/runtime/metrics/metrics.ts';
import pg from 'pg';
import type { Registry } from 'prom-client';
import { stringify } from 'yaml';
import { baseResources, identity, type Resource } from './chaperone.ts';
import { startPostgres, type TestPostgres } from './postgres.ts';
import { ProgramProcess } from './program-process.ts';

export interface SidecarLabOptions {
  readonly postgres: TestPostgres;
  /** Besides the Target `data/orders-db`, its Secret and the identity `payments/nightly-report`. */
  readonly resources: readonly Resource[];
  readonly mode?: 'Pod' | 'Gateway';
  /** ServiceAccount of the pod; default that of the identity. */
  readonly serviceAccount?: string;
  /** Of the backend; default the superuser. */
  readonly login?: { readonly username: string; readonly password: string };
  readonly shutdownGrace?: string;
  /** Room of the policy API's relay; default: it has none. */
  readonly relayMaxBytes?: number;
  /** Beside what the lab sets: variables of the sidecar. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Instead of the sources: where bundles are. */
  readonly bundles?: string;
}

interface Integrity {
  readonly sources: readonly { readonly missing: readonly object[] }[];
  readonly alerts: readonly object[];
}

const root = resolve(import.meta.dirname, '../..');
const target = 'data/orders-db';

export class SidecarLab {
  readonly options: SidecarLabOptions;
  readonly tickets: TicketStore;
  readonly #directory: TestDirectory;
  readonly #store: DirectoryStore;
  readonly #files: string;
  #api!: TestPolicyApi;
  #registry!: Registry;
  #collector: ProgramProcess | undefined;
  #collectorPort = 0;
  #sidecar: ProgramProcess | undefined;

  private constructor(
    options: SidecarLabOptions,
    directory: TestDirectory,
    store: DirectoryStore,
    tickets: TicketStore,
  ) {
    this.options = options;
    this.#directory = directory;
    this.#store = store;
    this.tickets = tickets;
    this.#files = mkdtempSync(join(tmpdir(), 'chaperone-lab-'));
    const pod = `pod.payments.${options.serviceAccount ?? 'nightly-report'}.uid-1`;
    writeFileSync(join(this.#files, 'token'), options.mode === 'Gateway' ? 'gateway' : pod);
  }

  /** Everything runs when this resolves, and the sidecar listens. */
  static async start(options: SidecarLabOptions): Promise<SidecarLab> {
    const { resources } = options;
    const directory = testDirectory({
      'base.yaml': yaml(base(options)),
      'resources.yaml': yaml(resources),
    });
    const store = await directory.open();
    const tickets = new TicketStore(directory.database, () => Date.now());
    const lab = new SidecarLab(options, directory, store, tickets);
    await lab.#startPolicyApi(0);
    try {
      await lab.startCollector();
      await lab.startSidecar();
      return lab;
    } catch (error) {
      await lab.stop();
      throw error;
    }
  }

  get api(): TestPolicyApi {
    return this.#api;
  }

  get sidecar(): ProgramProcess {
    return this.#sidecar!;
  }

  get collector(): ProgramProcess {
    return this.#collector!;
  }

  write(resources: readonly Resource[], file = 'resources.yaml'): void {
    this.#directory.write(file, yaml(resources));
  }

  /** Merges into the spec of the identity. */
  changeIdentity(spec: Resource): void {
    this.write([...this.#withoutIdentity(), identity('nightly-report', spec)], 'base.yaml');
  }

  /** The Target and its Secret alone. */
  removeIdentity(): void {
    this.write(this.#withoutIdentity(), 'base.yaml');
  }

  /** The identity alone. */
  removeTarget(): void {
    this.write([identity('nightly-report')], 'base.yaml');
  }

  #withoutIdentity(): Resource[] {
    return base(this.options).filter(({ kind }) => kind !== 'MachineIdentity');
  }

  /** Another login for the backend; the policy API knows it when this resolves. */
  async changeLogin(login: NonNullable<SidecarLabOptions['login']>): Promise<void> {
    this.write(base({ ...this.options, login }), 'base.yaml');
    const token = await this.#api.attest('pod.payments.nightly-report.uid-2');
    const found = await this.#store.get('Target', 'data', 'orders-db');
    const path = `/v1/credentials/${found!.metadata.uid}`;
    await this.until(
      () => this.#api.request('POST', path, { token, body: {} }),
      ({ body }) => (body as { password?: string }).password === login.password,
    );
  }

  async startCollector(): Promise<void> {
    this.#collector = new ProgramProcess(this.#program('collector'), [], {
      CHAPERONE_DIRECTORY: join(this.#files, 'record'),
      CHAPERONE_LISTEN_HOST: '127.0.0.1',
      CHAPERONE_LISTEN_PORT: String(this.#collectorPort),
      CHAPERONE_TLS_DIRECTORY: this.#api.tls,
      CHAPERONE_POLICY_API_URL: this.#api.url,
      CHAPERONE_CA_FILE: join(this.#files, 'ca.crt'),
      CHAPERONE_OPS_HOST: '127.0.0.1',
      CHAPERONE_OPS_PORT: '0',
    });
    await this.#collector.logged('serving');
  }

  /** A new process over the same spool; ready when this resolves. */
  async startSidecar(): Promise<void> {
    this.spawnSidecar();
    await this.sidecar.logged('serving');
    await this.until(
      () => this.ops('/readyz'),
      ({ status }) => status === 200,
    );
  }

  /** A new process over the same spool, which may never be ready. */
  spawnSidecar(): void {
    const { mode = 'Pod' } = this.options;
    this.#sidecar = new ProgramProcess(this.#program('sidecar'), [], {
      CHAPERONE_MODE: mode,
      CHAPERONE_POLICY_API_URL: this.#api.url,
      CHAPERONE_COLLECTOR_URL: this.#collectorUrl,
      CHAPERONE_CA_FILE: join(this.#files, 'ca.crt'),
      CHAPERONE_TOKEN_FILE: join(this.#files, 'token'),
      ...(mode === 'Pod'
        ? { CHAPERONE_LISTEN: JSON.stringify([{ target, address: '127.0.0.1', port: 0 }]) }
        : { CHAPERONE_LISTEN_HOST: '127.0.0.1', CHAPERONE_LISTEN_PORT: '0' }),
      CHAPERONE_SPOOL_DIRECTORY: join(this.#files, 'spool'),
      CHAPERONE_OPS_HOST: '127.0.0.1',
      CHAPERONE_OPS_PORT: '0',
      CHAPERONE_SHUTDOWN_GRACE: this.options.shutdownGrace ?? '20s',
      ...(process.env.CHAPERONE_TEST_LOG !== undefined && { CHAPERONE_LOG_LEVEL: 'debug' }),
      ...this.options.environment,
    });
  }

  /** Where callers connect. */
  async port(): Promise<number> {
    if (this.options.mode === 'Gateway') {
      const message = 'a target is listened for';
      await this.sidecar.logged(message);
      const { address } = this.sidecar.lines.findLast(({ msg }) => msg === message)!;
      return (address as { port: number }).port;
    }
    const { targets } = await this.sidecar.logged('serving');
    return (targets as Record<string, { port: number }>)[target]!.port;
  }

  /** Status and text of an answer of the sidecar's own port. */
  async ops(path: string): Promise<{ status: number; text: string }> {
    const { port } = await this.sidecar.logged('probes are answered');
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return { status: response.status, text: await response.text() };
  }

  /** A connected client; the caller ends it. */
  async connect(options: pg.ClientConfig = {}): Promise<pg.Client> {
    const client = new pg.Client({
      host: '127.0.0.1',
      port: await this.port(),
      user: 'whoever',
      database: 'shop',
      ...options,
    });
    client.on('error', () => {});
    await client.connect();
    return client;
  }

  /** A fresh ticket of `nightly-report`, for a gateway. */
  async ticket(): Promise<string> {
    const identity = await this.#store.get('MachineIdentity', 'payments', 'nightly-report');
    const found = await this.#store.get('Target', 'data', 'orders-db');
    return this.tickets.create({ identity: identity!.metadata, target: found!.metadata }, 600_000)
      .secret;
  }

  /** PEM of what the sidecar trusts, and of what callers are to trust. */
  get ca(): string {
    return this.#api.ca;
  }

  /** The policy API goes; `restorePolicyApi` brings another one to the same address. */
  async stopPolicyApi(): Promise<void> {
    await this.#api.close();
  }

  /** Its certificates come from another authority, which the file of authorities then names. */
  async restorePolicyApi(): Promise<void> {
    await this.#startPolicyApi(this.#api.port);
  }

  async #startPolicyApi(port: number): Promise<void> {
    const { relayMaxBytes: maxBytes } = this.options;
    this.#collectorPort ||= await freePort();
    this.#registry = createRegistry('policy-api', 'test');
    this.#api = await testPolicyApi(this.#directory.state, this.#store, {
      port,
      tickets: this.tickets,
      registry: this.#registry,
      ...(maxBytes !== undefined && {
        relay: {
          directory: join(this.#files, 'relay'),
          maxBytes,
          collectorUrl: this.#collectorUrl,
          caFile: join(this.#files, 'ca.crt'),
        },
      }),
    });
    this.#trust();
  }

  /** Batches that the policy API's relay has counted with that outcome. */
  async relayed(outcome: string): Promise<number> {
    const metric = this.#registry.getSingleMetric('chaperone_policy_api_relay_batches_total')!;
    const { values } = await metric.get();
    return values.find(({ labels }) => labels.outcome === outcome)?.value ?? 0;
  }

  /** The sidecar's volume is gone. */
  loseSpool(): void {
    rmSync(join(this.#files, 'spool'), { recursive: true });
  }

  get #readerToken(): string {
    return readFileSync(join(this.#files, 'record/reader.token'), 'utf8').trim();
  }

  get #collectorUrl(): string {
    return `https://127.0.0.1:${this.#collectorPort}`;
  }

  /** Asks the record. */
  async record<Result>(ask: (client: RecordClient) => Promise<Result>): Promise<Result> {
    const client = new RecordClient({
      url: this.#collectorUrl,
      token: this.#readerToken,
      ca: this.#api.ca,
    });
    try {
      return await ask(client);
    } finally {
      client.close();
    }
  }

  /** What the collector says of its sources, and its alerts. */
  async integrity(): Promise<Integrity> {
    const client = new HttpClient({
      baseUrl: this.#collectorUrl,
      ca: this.#api.ca,
      clock: systemClock(),
    });
    try {
      const headers = { authorization: `Bearer ${this.#readerToken}` };
      return (await client.json({ method: 'GET', path: '/v1/integrity', headers })) as Integrity;
    } finally {
      client.close();
    }
  }

  async events(question: Readonly<Record<string, string>> = {}): Promise<EventView[]> {
    return this.record((client) => all(client.events(question, Number.POSITIVE_INFINITY)));
  }

  async sessions(): Promise<SessionView[]> {
    const question = { identity: 'nightly-report', order: 'oldest' };
    return this.record((client) => all(client.sessions(question, Number.POSITIVE_INFINITY)));
  }

  /** Repeats a question until its answer is as wanted. The test's own time limit ends it otherwise. */
  async until<Answer>(
    ask: () => Promise<Answer>,
    wanted: (answer: Answer) => boolean,
  ): Promise<Answer> {
    for (;;) {
      const answer = await ask();
      if (wanted(answer)) return answer;
      await new Promise((next) => setTimeout(next, 20));
    }
  }

  async stop(): Promise<void> {
    await this.#sidecar?.end('SIGKILL');
    await this.#collector?.end('SIGKILL');
    await this.#api.close();
    await this.#directory.close();
    rmSync(this.#files, { recursive: true, force: true });
  }

  #trust(): void {
    writeFileSync(join(this.#files, 'ca.crt'), this.#api.ca);
  }

  #program(name: 'sidecar' | 'collector'): string {
    const { bundles } = this.options;
    return bundles === undefined ? join(root, name, 'src/main.ts') : join(bundles, `${name}.mjs`);
  }
}

const base = ({ postgres, login }: Pick<SidecarLabOptions, 'postgres' | 'login'>): Resource[] =>
  baseResources({
    postgres,
    ...(login && { login }),
    target: { host: ownAddress(), aliases: ['orders-db.data.svc'] },
  });

/** An address of this machine that is not loopback: a sidecar connects to none that is. */
export function ownAddress(): string {
  const found = Object.values(networkInterfaces())
    .flat()
    .find((address) => address?.family === 'IPv4' && !address.internal);
  if (found === undefined) throw new Error('this machine has no address besides loopback');
  return found.address;
}

/** A PostgreSQL that a sidecar can reach. */
export function startReachablePostgres(): Promise<TestPostgres> {
  return startPostgres({
    version: 18,
    settings: { listen_addresses: `127.0.0.1,${ownAddress()}` },
  });
}

/** One that nobody listens on now. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}

const yaml = (resources: readonly Resource[]): string =>
  resources.map((resource) => stringify(resource)).join('---\n');
