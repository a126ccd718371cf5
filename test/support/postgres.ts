/**
 * A real PostgreSQL of its own for tests, the demo and the benchmark: a fresh data directory, a free
 * loopback port and a UNIX socket, gone with the process that started it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { findBinaries, type PostgresBinaries, type PostgresVersion } from './postgres-binaries.ts';
import { Connections } from './postgres-connections.ts';
import { type AuthMethod, copyData, give, superuser, template } from './postgres-template.ts';

export { installedVersions, type PostgresVersion } from './postgres-binaries.ts';

export interface StartOptions {
  /** Default 18. */
  readonly version?: PostgresVersion;
  /** Settings of postgresql.conf; they win over the defaults (no durability, quiet log). */
  readonly settings?: Readonly<Record<string, string>>;
  /** PEM texts; switches TLS on (and leaves plain connections possible). */
  readonly ssl?: { readonly cert: string; readonly key: string };
  /** For every user and database, over TCP and the socket. Default scram-sha-256. */
  readonly auth?: AuthMethod;
}

export interface TestPostgres {
  readonly version: PostgresVersion;
  /** 127.0.0.1 */
  readonly host: string;
  readonly port: number;
  /** Holds `.s.PGSQL.<port>`; only the server's user and ours may enter it. */
  readonly socketDirectory: string;
  readonly superuser: string;
  readonly password: string;
  /** Holds all of it; gone after the end. */
  readonly directory: string;
  /** A connection URL over TCP as the superuser; database defaults to `postgres`. */
  url(database?: string): string;
  /** Runs as the superuser, on one connection per database that is kept open. Several statements only without parameters. */
  // biome-ignore lint/suspicious/noExplicitAny: a test names the columns that it asked for
  query<Row extends pg.QueryResultRow = any>(
    sql: string,
    params?: readonly unknown[],
    database?: string,
  ): Promise<pg.QueryResult<Row>>;
  /** The last megabyte of the server's log. */
  log(): string;
  /** Kills the server at once and removes its directory. */
  stop(): Promise<void>;
}

const host = '127.0.0.1';
const startAttempts = 5;
const keptLogChars = 1 << 20;

/** No durability: the directory lives as long as the process. LOG and worse only, so that errors that tests provoke stay quiet. */
const defaultSettings: Readonly<Record<string, string>> = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  max_connections: '200',
  log_min_messages: 'log',
  log_checkpoints: 'off',
  listen_addresses: host,
};

/**
 * Runs PostgreSQL until it ends or our end of standard input closes, which it does however we die; then
 * kills it and removes the directory. The subshell that waits is ended first, so no foreign process is hit.
 */
const supervisor = `
directory=$1; shift
exec 3<&0
"$@" 3<&- </dev/null & server=$!
{ read -r _ <&3; kill -QUIT "$server"; } & watcher=$!
exec 3<&-
wait "$server"; status=$?
kill "$watcher" 2>/dev/null; wait "$watcher" 2>/dev/null
cd /
rm -rf "$directory"
exit "$status"
`;

/** Starts a server and resolves when it accepts connections; throws with its log when it does not. */
export async function startPostgres(options: StartOptions = {}): Promise<TestPostgres> {
  const binaries = await findBinaries(options.version ?? 18);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await startOnce(binaries, options);
    } catch (error) {
      // Between choosing a free port and PostgreSQL taking it, another process may have it.
      const portTaken = error instanceof Error && /could not bind|in use/.test(error.message);
      if (!portTaken || attempt === startAttempts) throw error;
    }
  }
}

async function startOnce(binaries: PostgresBinaries, options: StartOptions): Promise<TestPostgres> {
  const auth = options.auth ?? 'scram-sha-256';
  const { data: source, password } = await template(binaries, auth);
  const directory = mkdtempSync(join(tmpdir(), 'chaperone-postgres-'));
  const socketDirectory = join(directory, 'socket');
  const data = join(directory, 'data');
  let child: ChildProcess;
  const port = await freePort();
  try {
    mkdirSync(socketDirectory);
    copyData(source, data);
    configure(binaries, data, { port, socketDirectory, auth }, options);
    give(socketDirectory, binaries.user);
    give(directory, binaries.user);
    child = spawn(
      '/bin/sh',
      ['-c', supervisor, 'postgres', directory, binaries.postgres, '-D', data],
      {
        ...binaries.user,
        cwd: directory,
        // Its own session: Ctrl-C reaches us, and we decide when it ends.
        detached: true,
        stdio: ['pipe', 'ignore', 'pipe'],
      },
    );
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const log = collectLog(child);
  await ready(child, log);
  unreference(child);
  const connections = new Connections({ host: socketDirectory, port, user: superuser, password });

  return {
    version: binaries.version,
    host,
    port,
    socketDirectory,
    superuser,
    password,
    directory,
    url: (database = 'postgres') =>
      `postgres://${superuser}:${encodeURIComponent(password)}@${host}:${port}/${encodeURIComponent(database)}`,
    query: (sql, params, database = 'postgres') => connections.query(sql, params, database),
    log: () => log.text,
    async stop() {
      child.ref();
      await connections.close();
      child.stdin?.destroy();
      await ended;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function configure(
  binaries: PostgresBinaries,
  data: string,
  { port, socketDirectory, auth }: { port: number; socketDirectory: string; auth: AuthMethod },
  options: StartOptions,
): void {
  const settings: Record<string, string> = {
    ...defaultSettings,
    password_encryption: auth === 'md5' ? 'md5' : 'scram-sha-256',
    port: String(port),
    unix_socket_directories: socketDirectory,
  };
  if (options.ssl !== undefined) {
    writeFileSync(join(data, 'server.crt'), options.ssl.cert);
    writeFileSync(join(data, 'server.key'), options.ssl.key, { mode: 0o600 });
    give(join(data, 'server.key'), binaries.user); // it must be the server's and nobody else's
    settings.ssl = 'on';
  }
  Object.assign(settings, options.settings);
  const lines = Object.entries(settings).map(
    ([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`,
  );
  writeFileSync(join(data, 'postgresql.conf'), lines.join(''), { flag: 'a' });
  const rules = ['all', 'replication'].flatMap((database) => [
    `local ${database} all ${auth}\n`,
    `host ${database} all samehost ${auth}\n`,
    `host ${database} all ::1/128 ${auth}\n`,
  ]);
  writeFileSync(join(data, 'pg_hba.conf'), rules.join(''));
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, host, () => {
      const address = probe.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      probe.close(() => resolve(port));
    });
  });
}

interface Log {
  text: string;
}

function collectLog(child: ChildProcess): Log {
  const log = { text: '' };
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    log.text = (log.text + chunk).slice(-keptLogChars);
  });
  return log;
}

function ready(child: ChildProcess, log: Log): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      if (!log.text.includes('database system is ready to accept connections')) return;
      settle();
      resolve();
    };
    // `close`, not `exit`: by then the log has been read to its end.
    const fail = (): void => {
      settle();
      reject(new Error(`PostgreSQL did not start:\n${log.text}`));
    };
    const settle = (): void => {
      child.stderr?.off('data', look);
      child.off('error', fail).off('close', fail);
    };
    child.stderr?.on('data', look);
    child.once('error', fail).once('close', fail);
    child.once('exit', () => child.stdin?.destroy());
    child.stdin?.on('error', () => {}); // the supervisor went first
  });
}

/** A forgotten server does not keep the process alive: it ends with it. */
function unreference(child: ChildProcess): void {
  child.unref();
  for (const stream of [child.stdin, child.stderr]) {
    (stream as { unref?: () => void } | null)?.unref?.();
  }
}
