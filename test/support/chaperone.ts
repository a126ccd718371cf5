import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Standalone, startStandalone } from '@chaperone/cli/standalone/start.ts';
import { openStateDatabase } from '@chaperone/control/store/state-database.ts';
import { TicketStore } from '@chaperone/control/tickets/ticket-store.ts';
import type { Clock } from '@chaperone/runtime/clock.ts';
import { systemClock } from '@chaperone/runtime/clock.ts';
import { createLogger, type Logger } from '@chaperone/runtime/logging/logger.ts';
import type { ListenAddress } from '@chaperone/sidecar/listener.ts';
import type { ServerTls } from '@chaperone/sidecar/protocols/postgres/handshake/server-tls.ts';
import type { SocketAccess } from '@chaperone/sidecar/unix-socket.ts';
import pg from 'pg';
import { stringify } from 'yaml';
import type { TestPostgres } from './postgres.ts';

/** A resource as one would write it in YAML. */
export type Resource = Record<string, unknown>;

export interface ChaperoneOptions {
  readonly postgres: TestPostgres;
  /** Besides the Target `data/orders-db`, its Secret and the identity `payments/nightly-report`. */
  readonly resources: readonly Resource[];
  /** Merged into the Target's spec. */
  readonly target?: Resource;
  /** Backend login; default the superuser. */
  readonly login?: { readonly username: string; readonly password: string };
  readonly clock?: Clock;
  readonly spoolMaxBytes?: number;
  /** Instead of a silent one. */
  readonly logger?: Logger;
  /** Callers are offered TLS. */
  readonly tls?: ServerTls;
  /** Callers connect over UNIX sockets in it. */
  readonly socketDirectory?: string;
  readonly socketAccess?: SocketAccess;
}

/** A standalone Chaperone before a test server, over a directory of its own. */
export class TestChaperone {
  readonly directory: string;
  readonly standalone: Standalone;
  readonly tickets: TicketStore;
  readonly #closeState: () => void;

  private constructor(directory: string, standalone: Standalone, clock: Clock) {
    this.directory = directory;
    this.standalone = standalone;
    const database = openStateDatabase(join(directory, '.chaperone'));
    this.tickets = new TicketStore(database, () => clock.nowMs());
    this.#closeState = () => database.close();
  }

  static async start(options: ChaperoneOptions): Promise<TestChaperone> {
    const directory = mkdtempSync(join(tmpdir(), 'chaperone-'));
    writeResources(join(directory, 'base.yaml'), baseResources(options));
    writeResources(join(directory, 'resources.yaml'), options.resources);
    const clock = options.clock ?? systemClock();
    const level = process.env['CHAPERONE_TEST_LOG'] === undefined ? 'silent' : 'debug';
    const standalone = await startStandalone({
      directory,
      version: 'test',
      clock,
      logger: options.logger ?? createLogger({ program: 'test', level, clock }),
      ...(options.spoolMaxBytes !== undefined && { spoolMaxBytes: options.spoolMaxBytes }),
      ...(options.tls && { tls: options.tls }),
      ...(options.socketDirectory !== undefined && { socketDirectory: options.socketDirectory }),
      ...(options.socketAccess && { socketAccess: options.socketAccess }),
    });
    return new TestChaperone(directory, standalone, clock);
  }

  /** The directory of a UNIX socket, where callers connect over one. */
  get host(): string {
    const address = this.#address;
    return 'socketPath' in address ? dirname(address.socketPath) : '127.0.0.1';
  }

  get port(): number {
    const address = this.#address;
    return 'socketPath' in address ? 5432 : address.port;
  }

  get #address(): ListenAddress {
    const address = this.standalone.targets().get('data/orders-db');
    if (address === undefined) throw new Error('no listener');
    return address;
  }

  /** A fresh ticket for an identity of namespace payments. */
  async ticket(name = 'nightly-report', ttlMs = 600_000): Promise<string> {
    const { store } = this.standalone;
    const identityObject = await store.get('MachineIdentity', 'payments', name);
    const target = await store.get('Target', 'data', 'orders-db');
    if (identityObject === undefined || target === undefined)
      throw new Error(`no identity ${name}`);
    return this.tickets.create(
      { identity: identityObject.metadata, target: target.metadata },
      ttlMs,
    ).secret;
  }

  /** Connection parameters for any driver. */
  async connection(
    database: string,
    name = 'nightly-report',
  ): Promise<{ host: string; port: number; user: string; password: string; database: string }> {
    return {
      host: this.host,
      port: this.port,
      user: name,
      password: await this.ticket(name),
      database,
    };
  }

  /** A connected `pg` client; the caller ends it. */
  async connect(
    database: string,
    name = 'nightly-report',
    options: pg.ClientConfig = {},
  ): Promise<pg.Client> {
    const client = new pg.Client({ ...(await this.connection(database, name)), ...options });
    client.on('error', () => {});
    await client.connect();
    return client;
  }

  /** Changes something, and resolves when the policy of the identity is another by that. */
  async inForce(change: () => unknown, name = 'nightly-report'): Promise<void> {
    const { control, store } = this.standalone;
    const identity = await store.get('MachineIdentity', 'payments', name);
    const changed = new Promise<void>((resolve) => {
      const stop = control.subscribe(identity!.metadata.uid, () => {
        stop();
        resolve();
      });
    });
    await change();
    await changed;
  }

  /** Replaces the resources. */
  write(resources: readonly Resource[], file = 'resources.yaml'): void {
    writeResources(join(this.directory, file), resources);
  }

  async stop(): Promise<void> {
    await this.standalone.close();
    this.#closeState();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** The Target `data/orders-db`, its Secret and the identity `payments/nightly-report`. */
export function baseResources({
  postgres,
  login = { username: postgres.superuser, password: postgres.password },
  target,
}: Pick<ChaperoneOptions, 'postgres' | 'login' | 'target'>): Resource[] {
  return [
    {
      apiVersion: 'chaperone.dev/v1alpha1',
      kind: 'Target',
      metadata: { name: 'orders-db', namespace: 'data' },
      spec: {
        protocol: 'PostgreSQL',
        host: postgres.host,
        port: postgres.port,
        tls: { mode: 'Disable' },
        credentials: { secretRef: { name: 'orders-db' } },
        allowedNamespaces: { from: 'All' },
        ...target,
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: {
        name: 'orders-db',
        namespace: 'data',
        labels: { 'chaperone.dev/target': 'orders-db' },
      },
      stringData: login,
    },
    identity('nightly-report'),
  ];
}

export function writeResources(path: string, resources: readonly Resource[]): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, resources.map((resource) => stringify(resource)).join('---\n'), {
    mode: 0o600,
  });
}

/** A MachineIdentity in namespace payments. */
export function identity(name: string, spec: Resource = {}): Resource {
  return {
    apiVersion: 'chaperone.dev/v1alpha1',
    kind: 'MachineIdentity',
    metadata: { name, namespace: 'payments' },
    spec: {
      owner: { team: 'payments-data', contact: 'payments-data@example.com' },
      purpose: 'Nightly settlement report',
      subjects: [{ serviceAccount: { name } }],
      groups: ['reporting'],
      ...spec,
    },
  };
}

/** An AccessPolicy of namespace data, on orders-db, for the identities of namespace payments. */
export function policy(name: string, rules: readonly Resource[], spec: Resource = {}): Resource {
  return {
    apiVersion: 'chaperone.dev/v1alpha1',
    kind: 'AccessPolicy',
    metadata: { name, namespace: 'data' },
    spec: {
      subjects: { namespaces: ['payments'] },
      targetRefs: [{ name: 'orders-db' }],
      rules,
      ...spec,
    },
  };
}

/** A MaskingRule of namespace data on orders-db. */
export function masking(name: string, spec: Resource): Resource {
  return {
    apiVersion: 'chaperone.dev/v1alpha1',
    kind: 'MaskingRule',
    metadata: { name, namespace: 'data' },
    spec: { targetRefs: [{ name: 'orders-db' }], ...spec },
  };
}
