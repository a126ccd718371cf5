/** Everything that is measured, started: PostgreSQL, pgbouncer where installed, and Chaperone. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { createTicket } from '@chaperone/cli/commands/ticket.ts';
import type { Recording } from '@chaperone/core/policy/types.ts';
import { stringify } from 'yaml';
import { identity, masking, policy } from '../support/chaperone.ts';
import { installedVersions, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { findBinaries } from '../support/postgres-binaries.ts';
import { shippedEnv, shippedNodeArgs } from '../support/shipped.ts';
import { maskingSpecs, policyRules } from './bench-policy.ts';
import type { Bundles } from './bundles.ts';
import { type Child, startChild } from './children.ts';
import type { GatewaySettings } from './gateway-child.ts';

/** One way to the same database. */
export interface Path {
  readonly name: string;
  /** A directory: its UNIX socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** The proxy's process; undefined for the direct way. */
  readonly pid?: number;
}

export const database = 'bench';
/** The proxies' login, by SCRAM: Chaperone refuses a backend that asks for no proof. */
const login = 'bench_app';
const password = 'only-on-loopback';
/** Of clients that connect directly: trusted, so that a login costs as little as it can. */
const directLogin = 'bench_direct';
/** Rows of `accounts`; a DataRow of `SELECT *` without `secret` has 211 bytes. */
export const accounts = 20_000;

const schema = `
CREATE TABLE accounts (
  id int PRIMARY KEY, owner text NOT NULL, email text NOT NULL, ssn text NOT NULL,
  balance numeric(12,2) NOT NULL, note text NOT NULL, secret text);
INSERT INTO accounts
SELECT n, rpad('Owner ' || n, 20, 'x'), lpad('customer' || n, 22, 'x') || '@example.com',
  '900-00-' || lpad((n % 10000)::text, 4, '0'), 10000 + n * 0.01,
  rpad('A note about ' || n || ' ', 176 - 20 - 34 - 11 - 8 - length(n::text), 'lorem ipsum '), 'secret'
FROM generate_series(1, ${accounts}) AS n;
GRANT SELECT ON accounts TO ${login}, ${directLogin};
VACUUM ANALYZE accounts;`;

export class Stage {
  readonly postgres: TestPostgres;
  readonly #bundles: Bundles;
  readonly #children: Child[] = [];

  private constructor(postgres: TestPostgres, bundles: Bundles) {
    this.postgres = postgres;
    this.#bundles = bundles;
  }

  static async start(bundles: Bundles): Promise<Stage> {
    const [version] = await installedVersions();
    if (version === undefined) throw new Error('no PostgreSQL is installed here');
    // Enough for every idle session that is measured.
    const postgres = await startPostgres({ version, settings: { max_connections: '600' } });
    await postgres.query(`CREATE DATABASE ${database}`);
    await postgres.query(`CREATE ROLE ${login} LOGIN PASSWORD '${password}'`);
    await postgres.query(`CREATE ROLE ${directLogin} LOGIN`);
    const rules = join(postgres.directory, 'data/pg_hba.conf');
    writeFileSync(
      rules,
      `host ${database} ${directLogin} 127.0.0.1/32 trust\n${readFileSync(rules, 'utf8')}`,
    );
    await postgres.query('SELECT pg_reload_conf()');
    for (const statement of schema.split(/;\n/)) {
      await postgres.query(statement, undefined, database);
    }
    return new Stage(postgres, bundles);
  }

  get direct(): Path {
    const { host, port } = this.postgres;
    return { name: 'direct', host, port, user: directLogin, password: '', database };
  }

  /** The direct way with a login by SCRAM, as the proxies make it. */
  get directScram(): Path {
    return { ...this.direct, name: 'direct (SCRAM)', user: login, password };
  }

  /** Undefined when pgbouncer is not installed. */
  async pgbouncer(): Promise<Path | undefined> {
    const command = ['/usr/sbin/pgbouncer', '/usr/bin/pgbouncer'].find((path) => existsSync(path));
    if (command === undefined) return undefined;
    const { user } = await findBinaries(this.postgres.version);
    const directory = temporary('pgbouncer');
    const port = await freePort();
    const file = join(directory, 'pgbouncer.ini');
    writeFileSync(
      file,
      `[databases]
${database} = host=127.0.0.1 port=${this.postgres.port} user=${login} password=${password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = session
default_pool_size = 64
max_client_conn = 200
ignore_startup_parameters = extra_float_digits
log_connections = 0
log_disconnections = 0
stats_period = 3600
`,
    );
    if (user !== undefined) chownSync(directory, user.uid, user.gid);
    chmodSync(file, 0o644);
    const child = await this.#start({
      command,
      args: [file],
      directory,
      ready: 'process up',
      user,
    });
    return {
      name: 'pgbouncer',
      host: '127.0.0.1',
      port,
      user: login,
      password,
      database,
      pid: child.pid,
    };
  }

  /** `chaperone standalone`: control plane, gateway and collector in one process. */
  async standalone(nodeArgs: readonly string[] = []): Promise<Path> {
    const directory = temporary('standalone');
    this.#writeResources(directory);
    const child = await this.#start({
      command: process.execPath,
      args: [
        ...nodeArgs,
        this.#bundles.chaperone,
        'standalone',
        directory,
        '--listen-port',
        '0',
        '--ops-port',
        '0',
        '--collector-port',
        '0',
        '--log-level',
        'warn',
      ],
      directory,
      ready: 'Ctrl-C ends it.',
    });
    const text: string[] = [];
    const output = new Writable({
      write: (chunk, _encoding, done) => {
        text.push(String(chunk));
        done();
      },
    });
    const wanted = { directory, target: 'orders-db', ttl: 3_600_000, output: 'json' } as const;
    await createTicket('bench', { ...wanted, database }, output);
    const ticket = JSON.parse(text.join('')) as {
      host: string;
      port: number;
      user: string;
      password: string;
    };
    return {
      name: 'standalone',
      host: ticket.host,
      port: ticket.port,
      user: ticket.user,
      password: ticket.password,
      database,
      pid: child.pid,
    };
  }

  /** The data path alone; over UNIX sockets on both sides when asked. */
  async gateway(
    name: string,
    options: {
      readonly unix?: boolean;
      readonly recording?: Recording;
      readonly nodeArgs?: readonly string[];
    } = {},
  ): Promise<Path> {
    const directory = temporary('gateway');
    const { host, port, socketDirectory } = this.postgres;
    const settings: GatewaySettings = {
      spool: join(directory, 'spool'),
      listen: options.unix
        ? { socketPath: join(directory, '.s.PGSQL.5432') }
        : { host: '127.0.0.1', port: 0 },
      host: options.unix ? socketDirectory : host,
      port,
      user: login,
      password,
      recording: options.recording ?? 'Statements',
    };
    const child = await this.#start({
      command: process.execPath,
      args: [
        ...shippedNodeArgs,
        ...(options.nodeArgs ?? []),
        this.#bundles.gateway,
        JSON.stringify(settings),
      ],
      directory,
      env: shippedEnv,
      ready: 'ready\n',
    });
    const address = JSON.parse(/^listening (.*) ready$/m.exec(child.output())![1]!) as {
      port?: number;
    };
    return {
      name,
      host: options.unix ? directory : '127.0.0.1',
      port: address.port ?? 5432,
      user: 'bench',
      password,
      database,
      pid: child.pid,
    };
  }

  /** Ends one that is not needed any more. */
  async stopPath(path: Path): Promise<void> {
    const index = this.#children.findIndex(({ pid }) => pid === path.pid);
    if (index >= 0) await this.#children.splice(index, 1)[0]!.stop();
  }

  /** Runs everything, the server included, on these CPUs (as taskset takes them). */
  pin(cpus: string): void {
    const postmaster = readFileSync(join(this.postgres.directory, 'data/postmaster.pid'), 'utf8');
    for (const pid of [
      Number.parseInt(postmaster, 10),
      ...this.#children.map((child) => child.pid),
    ]) {
      execFileSync('taskset', ['-a', '-c', '-p', cpus, String(pid)], { stdio: 'ignore' });
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.stop()));
    await this.postgres.stop();
  }

  async #start(options: Parameters<typeof startChild>[0]): Promise<Child> {
    const child = await startChild(options);
    this.#children.push(child);
    return child;
  }

  #writeResources(directory: string): void {
    const { host, port } = this.postgres;
    const resources = [
      {
        apiVersion: 'chaperone.dev/v1alpha1',
        kind: 'Target',
        metadata: { name: 'orders-db', namespace: 'data' },
        spec: {
          protocol: 'PostgreSQL',
          host,
          port,
          tls: { mode: 'Disable' },
          credentials: { secretRef: { name: 'orders-db' } },
          allowedNamespaces: { from: 'All' },
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
        stringData: { username: login, password },
      },
      identity('bench'),
      policy('bench', policyRules, {
        session: { maxDuration: '8h', idleTimeout: '30m', recording: 'Statements' },
      }),
      ...maskingSpecs.map(({ name, spec }) => masking(name, spec)),
    ];
    writeFileSync(
      join(directory, 'resources.yaml'),
      resources.map((resource) => stringify(resource)).join('---\n'),
      { mode: 0o600 },
    );
  }
}

function temporary(name: string): string {
  const directory = mkdtempSync(join(tmpdir(), `chaperone-bench-${name}-`));
  mkdirSync(directory, { recursive: true });
  return directory;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      probe.close(() => resolve(port));
    });
  });
}
