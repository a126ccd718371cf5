import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { isOfferedTo } from '@chaperone/control/controllers/attachment.ts';
import { lookUp } from '@chaperone/control/controllers/lookup.ts';
import type { Stored } from '@chaperone/control/store/resource-store.ts';
import { openStateDatabase } from '@chaperone/control/store/state-database.ts';
import { stateSnapshot } from '@chaperone/control/store/state-snapshot.ts';
import { Listeners } from '@chaperone/control/tickets/listeners.ts';
import { type Ticket, TicketStore } from '@chaperone/control/tickets/ticket-store.ts';
import { parseDurationMs } from '@chaperone/core/resources/duration.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Output, writeLine } from '../output.ts';
import { type Column, writeTable } from '../table.ts';

interface StateOptions {
  readonly directory: string;
}

export interface CreateOptions extends StateOptions {
  readonly target: string;
  readonly ttl: number;
  readonly database?: string;
  readonly host?: string;
  readonly port?: number;
  readonly output: 'text' | 'json';
}

/** Makes a ticket and writes how to connect with it. */
export async function createTicket(
  identityName: string,
  options: CreateOptions,
  output: Output,
): Promise<void> {
  const made = withState(options, (database) => {
    const snapshot = stateSnapshot(database);
    const identity = lookUp(snapshot, 'MachineIdentity', identityName);
    const target = lookUp(snapshot, 'Target', options.target);
    if (!isOfferedTo(target, identity.metadata.namespace, snapshot)) {
      throw new ChaperoneError(
        'CHP-2012',
        `Target ${options.target} is not open to namespace ${identity.metadata.namespace}.`,
        { hint: 'Have allowedNamespaces of the Target include it.' },
      );
    }
    const sameName = snapshot
      .all('MachineIdentity')
      .filter(
        ({ metadata }) =>
          metadata.name === identity.metadata.name &&
          isOfferedTo(target, metadata.namespace, snapshot),
      );
    const { namespace, name } = identity.metadata;
    refuseUnusable(identity);
    const listener = new Listeners(database).get(target.metadata.uid);
    const host = options.host ?? listener?.host;
    const port = options.port ?? listener?.port;
    // Before the ticket is stored: nobody would see the secret of one that is.
    if (host === undefined || port === undefined) {
      const label = `${target.metadata.namespace}/${target.metadata.name}`;
      throw new ChaperoneError('CHP-1003', `Nobody listens for Target ${label}.`, {
        hint: 'Start `chaperone standalone`, or give --host and --port.',
      });
    }
    return {
      ...new TicketStore(database, Date.now).create(
        { identity: identity.metadata, target: target.metadata },
        options.ttl,
      ),
      user: sameName.length === 1 ? name : `${namespace}/${name}`,
      host,
      port,
    };
  });
  const { ticket, secret, user, host, port } = made;
  const url = connectionUrl({ user, secret, host, port, database: options.database });
  const expires = new Date(ticket.expiresMs).toISOString();
  if (options.output === 'json') {
    const { database } = options;
    const fields = { id: ticket.id, expires, host, port, user, password: secret, url };
    await writeLine(output, JSON.stringify({ ...fields, ...(database && { database }) }));
    return;
  }
  const words = [`-h ${shellWord(host)}`, `-p ${port}`, `-U ${shellWord(user)}`];
  // Without -d, psql asks for a database of the user's name, which is that of the identity.
  const database = options.database === undefined ? 'DATABASE' : shellWord(options.database);
  const lines = [
    `# ${ticket.identity} on ${ticket.target}; sessions end by ${expires}`,
    url,
    `PGPASSWORD=${secret} psql ${words.join(' ')} -d ${database}`,
  ];
  for (const line of lines) await writeLine(output, line);
}

/** A ticket for an identity that may not connect would only fail later, without a reason that the caller sees. */
function refuseUnusable({ metadata, spec }: Stored<'MachineIdentity'>): void {
  const label = `MachineIdentity ${metadata.namespace}/${metadata.name}`;
  if (spec.suspended) throw new ChaperoneError('CHP-2002', `${label} is suspended.`);
  if (spec.expiresAt !== undefined && Date.parse(spec.expiresAt) <= Date.now()) {
    throw new ChaperoneError('CHP-2003', `${label} expired at ${spec.expiresAt}.`);
  }
}

/** Writes the tickets that live or ended within a week; no secret is among what is known of them. */
export async function listTickets(options: StateOptions, output: Output): Promise<void> {
  const tickets = withState(options, (database) => new TicketStore(database, Date.now).list());
  const seconds = (timeMs: number): string => new Date(timeMs).toISOString().slice(0, 19);
  const rows = tickets.map((ticket) => [
    ticket.id,
    ticket.identity,
    ticket.target,
    seconds(ticket.expiresMs),
    ticket.lastUsedMs === undefined ? 'never' : seconds(ticket.lastUsedMs),
    stateOf(ticket, Date.now()),
  ]);
  await writeTable(output, columns, rows, { empty: 'no tickets' });
}

const columns: readonly Column[] = [
  { heading: 'ID' },
  { heading: 'IDENTITY', leastWidth: 12 },
  { heading: 'TARGET', leastWidth: 10 },
  { heading: 'EXPIRES' },
  { heading: 'LAST USED' },
  { heading: 'STATE' },
];

/** Ends a ticket for new sessions. */
export async function revokeTicket(
  id: string,
  options: StateOptions,
  output: Output,
): Promise<void> {
  const known = withState(options, (database) => new TicketStore(database, Date.now).revoke(id));
  if (!known) throw new ChaperoneError('CHP-1014', 'There is no such ticket.');
  await writeLine(
    output,
    `revoked ${id}: no new session opens with it; open ones end when it expires`,
  );
}

function stateOf({ revokedMs, expiresMs }: Ticket, nowMs: number): string {
  if (revokedMs !== undefined) return 'revoked';
  return expiresMs <= nowMs ? 'expired' : 'valid';
}

function withState<T>({ directory }: StateOptions, work: (database: DatabaseSync) => T): T {
  const state = join(directory, '.chaperone');
  if (!existsSync(join(state, 'state.db'))) {
    throw new ChaperoneError('CHP-1004', `There is no state in ${state}.`, {
      hint: `Start \`chaperone standalone ${directory}\`, or name its directory with --directory.`,
    });
  }
  const database = openStateDatabase(state);
  try {
    return work(database);
  } finally {
    database.close();
  }
}

function connectionUrl(parts: {
  readonly user: string;
  readonly secret: string;
  readonly host: string;
  readonly port: number;
  readonly database: string | undefined;
}): string {
  const { user, secret, host, port } = parts;
  const encoded = encodeURIComponent(user);
  const database = parts.database === undefined ? '' : encodeURIComponent(parts.database);
  if (host.startsWith('/')) {
    return `postgres://${encoded}:${secret}@/${database}?host=${encodeURIComponent(host)}&port=${port}`;
  }
  const authority = host.includes(':') ? `[${host}]` : host;
  return `postgres://${encoded}:${secret}@${authority}:${port}/${database}`;
}

function shellWord(text: string): string {
  return /^[\w./:@-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

function readTtl(text: string): number {
  const ms = parseDurationMs(text);
  if (ms === undefined)
    throw new InvalidArgumentError('a duration such as 10m, 1h30m or 8h, at most 24h.');
  return ms;
}

function readPort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65535) throw new InvalidArgumentError('a port number.');
  return port;
}

const addState = (command: Command): Command =>
  command.option('-d, --directory <dir>', 'directory that chaperone standalone runs over', '.');

export function registerTicket(program: Command): void {
  const ticket = program
    .command('ticket')
    .description('make, list and revoke the short-lived passwords of callers');
  addState(ticket.command('create <identity>'))
    .description('make a ticket for NAME or NAMESPACE/NAME of a MachineIdentity; shown once')
    .requiredOption('-t, --target <name>', 'NAME or NAMESPACE/NAME of the Target it is for')
    .addOption(
      new Option('--ttl <duration>', 'how long it lives, at most 24h')
        .argParser(readTtl)
        .default(10 * 60 * 1000, '10m'),
    )
    .option('--database <name>', 'database to connect to')
    .option('--host <host>', 'where callers reach the target; default: where standalone listens')
    .option('--port <port>', 'its port', readPort)
    .addOption(
      new Option('-o, --output <form>', 'text for psql, or json')
        .choices(['text', 'json'])
        .default('text'),
    )
    .action((identity: string, options: CreateOptions) =>
      createTicket(identity, options, process.stdout),
    );
  addState(ticket.command('list'))
    .description('list tickets that live or ended within a week')
    .action((options: StateOptions) => listTickets(options, process.stdout));
  addState(ticket.command('revoke <id>'))
    .description('let no new session open with a ticket')
    .action((id: string, options: StateOptions) => revokeTicket(id, options, process.stdout));
}
