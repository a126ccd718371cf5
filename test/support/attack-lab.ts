/**
 * A laboratory for attacks: a real server with unmistakable values in protected columns, the product before
 * it with the server's superuser as its login (so that nothing but the product stands in the way), a client
 * that keeps every byte it is sent, and a look at the database from behind.
 */

import type { Logger } from '@chaperone/runtime/logging/logger.ts';
import type { ServerTls } from '@chaperone/sidecar/protocols/postgres/handshake/server-tls.ts';
import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { identity, masking, policy, type Resource, TestChaperone } from './chaperone.ts';
import { type PostgresVersion, startPostgres, type TestPostgres } from './postgres.ts';
import { errorFields, RawClient, type RawMessage } from './raw-client.ts';
import { loadShop } from './shop.ts';

/** Kept apart so that no file that is searched for them holds them by accident. */
export const canaries = {
  ssn: 'QZJX-VKWB-HGPF-0042',
  otherSsn: 'YWQJ-XBKZ-FVHP-0043',
  email: 'wxqzkvjb.hgqf@canary.test',
  card: '4012888888881881',
} as const;

/** The id of the row that holds the canaries. */
export const canaryId = 9001;

/** A canary, in a column without a table of origin: only the decision can mask it. */
export const hidden = `SELECT ssn FROM customers WHERE id = ${canaryId} UNION ALL SELECT '' WHERE false`;
export const harmless = "SELECT 'nothing'::text";

export const readWriteExport: Resource = {
  name: 'read-write-export',
  action: 'Allow',
  classes: ['Read', 'Write', 'Export'],
  resources: ['shop.public.**', 'shop.decoy.**'],
};
export const noDestruction: Resource = {
  name: 'no-destruction',
  action: 'Deny',
  verbs: ['Delete', 'Truncate'],
  resources: ['shop.public.orders', 'shop.public.order_items', 'shop.public.products'],
};

export function labPolicy(...more: Resource[]): Resource {
  return policy('reporting', [readWriteExport, noDestruction, ...more]);
}

export const labMasks: readonly Resource[] = [
  masking('ssn', {
    columns: ['shop.public.*.ssn'],
    transform: { type: 'Partial', keepLast: 4 },
  }),
  masking('email', {
    columns: ['shop.public.*.email'],
    transform: { type: 'Partial', keepLast: 4 },
  }),
  masking('birth', {
    columns: ['shop.public.customers.birth_date'],
    transform: { type: 'Generalize', dateUnit: 'Year' },
  }),
  masking('cards', {
    detectors: ['PaymentCard'],
    resources: ['shop.public.customers', 'shop.public.orders', 'shop.public.plain'],
    transform: { type: 'Partial', keepLast: 4 },
  }),
];

export interface LabOptions {
  readonly version?: PostgresVersion;
  /** Run as the superuser in the database shop before the product starts. */
  readonly setup?: readonly string[];
  /** Instead of the usual policy and masks. */
  readonly resources?: readonly Resource[];
  readonly target?: Resource;
  readonly login?: { readonly username: string; readonly password: string };
  readonly logger?: Logger;
  /** Callers are offered TLS. */
  readonly tls?: ServerTls;
  /** Where the product finds the server, if not where it is: a test may stand in between. */
  readonly through?: (postgres: TestPostgres) => Promise<number>;
}

export class AttackLab {
  readonly postgres: TestPostgres;
  readonly chaperone: TestChaperone;
  readonly #open = new Set<Attacker>();

  private constructor(postgres: TestPostgres, chaperone: TestChaperone) {
    this.postgres = postgres;
    this.chaperone = chaperone;
  }

  static async start(options: LabOptions = {}): Promise<AttackLab> {
    const postgres = await startPostgres({ version: options.version ?? 18 });
    await loadShop(postgres, { orders: 100 });
    for (const sql of [...canarySetup, ...(options.setup ?? [])]) {
      await postgres.query(sql, undefined, 'shop');
    }
    const port = (await options.through?.(postgres)) ?? postgres.port;
    const chaperone = await TestChaperone.start({
      postgres: { ...postgres, port },
      resources: options.resources ?? [labPolicy(), ...labMasks, identity('other')],
      ...(options.target && { target: options.target }),
      ...(options.login && { login: options.login }),
      ...(options.logger && { logger: options.logger }),
      ...(options.tls && { tls: options.tls }),
    });
    return new AttackLab(postgres, chaperone);
  }

  /** Logs in; `parameters` go into the startup message. */
  async attacker(
    parameters: Readonly<Record<string, string>> = {},
    name = 'nightly-report',
  ): Promise<Attacker> {
    const connection = await this.chaperone.connection('shop', name);
    const attacker = new Attacker(await RawClient.login({ ...connection, parameters }));
    this.#open.add(attacker);
    return attacker;
  }

  /** A question to the database from behind, as the superuser. */
  async behind(sql: string, params?: readonly unknown[]): Promise<unknown[][]> {
    const { rows } = await this.postgres.query(sql, params, 'shop');
    return rows.map((row) => Object.values(row));
  }

  /** Everything an attack could have changed, in a form that compares. */
  async state(): Promise<unknown> {
    const [row] = await this.behind(stateQuery);
    return row![0];
  }

  /** Writes resources and waits until the bundle of `name` has changed. */
  async applyPolicy(resources: readonly Resource[], name = 'nightly-report'): Promise<void> {
    await this.chaperone.inForce(() => this.chaperone.write(resources), name);
  }

  /** Ends every attacker's connection. */
  disconnect(): void {
    for (const attacker of this.#open) attacker.end();
    this.#open.clear();
  }

  async stop(): Promise<void> {
    this.disconnect();
    await this.chaperone.stop();
    await this.postgres.stop();
  }
}

/** What came back for one exchange. */
export class Answer {
  readonly messages: readonly RawMessage[];
  constructor(messages: readonly RawMessage[]) {
    this.messages = messages;
  }

  /** Message types in order, a letter each. */
  get types(): string {
    return this.messages.map(({ type }) => type).join('');
  }

  get errors(): ReadonlyMap<string, string>[] {
    return this.messages.filter(({ type }) => type === 'E').map(({ body }) => errorFields(body));
  }

  /** SQLSTATE of the first error; undefined where there was none. */
  get sqlstate(): string | undefined {
    return this.errors[0]?.get('C');
  }

  get message(): string {
    return this.errors[0]?.get('M') ?? '';
  }

  /** The transaction status of the last ReadyForQuery. */
  get status(): string | undefined {
    return this.messages.findLast(({ type }) => type === 'Z')?.body.toString('latin1');
  }

  get tags(): string[] {
    return this.messages
      .filter(({ type }) => type === 'C')
      .map(({ body }) => body.toString('latin1', 0, body.length - 1));
  }

  /** Fields of all DataRows as they came. */
  get fields(): (Buffer | null)[][] {
    return this.messages.filter(({ type }) => type === 'D').map(({ body }) => rowFields(body));
  }

  get rows(): (string | null)[][] {
    return this.fields.map((row) => row.map((field) => field?.toString('utf8') ?? null));
  }

  get bytes(): Buffer {
    return Buffer.concat(this.messages.map(({ body }) => body));
  }
}

function rowFields(body: Buffer): (Buffer | null)[] {
  const fields: (Buffer | null)[] = [];
  let at = 2;
  for (let left = body.readUInt16BE(0); left > 0; left -= 1) {
    const length = body.readInt32BE(at);
    at += 4;
    fields.push(length === -1 ? null : body.subarray(at, at + length));
    at += Math.max(0, length);
  }
  return fields;
}

export interface ExtendedOptions {
  readonly statement?: string;
  readonly portal?: string;
  readonly parameters?: readonly (string | null)[];
  readonly resultFormats?: readonly (0 | 1)[];
  readonly describe?: boolean;
  readonly maxRows?: number;
}

/** Parse, Bind, Describe if asked, Execute; without the Sync. */
export function extended(text: string, options: ExtendedOptions = {}): Buffer[] {
  const { statement = '', portal = '', parameters = [], resultFormats = [] } = options;
  return [
    write.parse(statement, text),
    bind(statement, { portal, parameters, resultFormats }),
    ...(options.describe ? [write.describe('Portal', portal)] : []),
    write.execute(portal, options.maxRows ?? 0),
  ];
}

export function bind(statement: string, options: ExtendedOptions = {}): Buffer {
  return write.bind({
    portal: options.portal ?? '',
    statement,
    parameterFormats: [],
    parameters: (options.parameters ?? []).map((value) =>
      value === null ? null : Buffer.from(value),
    ),
    resultFormats: options.resultFormats ?? [],
  });
}

/** A client that keeps every byte since its login. */
export class Attacker {
  readonly client: RawClient;
  readonly #seen: Buffer[] = [];

  constructor(client: RawClient) {
    this.client = client;
    client.socket.on('data', (chunk: Buffer) => this.#seen.push(Buffer.from(chunk)));
  }

  get seen(): Buffer {
    return Buffer.concat(this.#seen);
  }

  /** What came since it was last asked for. */
  takeSeen(): Buffer {
    return Buffer.concat(this.#seen.splice(0));
  }

  /** One simple Query. */
  async query(text: string): Promise<Answer> {
    return new Answer(await this.client.exchange(write.query(text)));
  }

  /** Messages in one write, up to the `ready`-th ReadyForQuery. */
  async send(messages: readonly Buffer[], ready = 1): Promise<Answer> {
    return new Answer(await this.client.exchange(Buffer.concat([...messages]), ready));
  }

  /** One statement by the extended protocol, with its Sync. */
  async extended(text: string, options?: ExtendedOptions): Promise<Answer> {
    return this.send([...extended(text, options), write.sync]);
  }

  /** Everything until the connection ends. */
  async rest(): Promise<Answer> {
    return new Answer(await this.client.until(() => false));
  }

  end(): void {
    this.client.end();
  }
}

const windowChars = 4;

function windows(hidden: string, size: number): string[] {
  const found: string[] = [];
  for (let at = 0; at + size <= hidden.length; at += 1) found.push(hidden.slice(at, at + size));
  return found;
}

/** What must never be seen: parts of the hidden values, also reversed, in lower case, in hex and base64. */
const needles: readonly { readonly name: string; readonly bytes: Buffer }[] = [
  ...[canaries.ssn, canaries.otherSsn].flatMap((value) => windows(value.slice(0, -4), windowChars)),
  ...windows(canaries.email.slice(0, -4), 6),
  ...windows(canaries.card.slice(0, -4), 8),
]
  .filter((part) => !/^[-.]|[-.]$/.test(part))
  .flatMap((part) => {
    const reversed = [...part].reverse().join('');
    const forms = [part, part.toLowerCase(), reversed, Buffer.from(part).toString('hex')];
    return forms.map((form) => ({ name: part, bytes: Buffer.from(form) }));
  })
  .concat(
    [canaries.ssn, canaries.otherSsn, canaries.email, canaries.card].flatMap((value) =>
      [0, 1, 2].map((skip) => ({
        name: `base64 of ${value}`,
        bytes: Buffer.from(Buffer.from(value.slice(skip, skip + 9)).toString('base64')),
      })),
    ),
  );

/** Parts of protected values found in these bytes; empty is what a test wants. */
export function leaks(bytes: Buffer | string): string[] {
  const haystack = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
  return [
    ...new Set(needles.filter((one) => haystack.includes(one.bytes)).map(({ name }) => name)),
  ];
}

const canarySetup: readonly string[] = [
  `INSERT INTO customers VALUES (${canaryId}, 'Canary', '${canaries.email}', '${canaries.ssn}', '1987-11-23', 1,
    null, 'card ${canaries.card} on file', '{"card": "${canaries.card}", "tier": "gold"}', '2024-01-01Z'),
   (${canaryId + 1}, 'Second', '${canaries.email}', '${canaries.otherSsn}', '1987-11-23', 2,
    null, null, '{}', '2024-01-01Z')`,
  `INSERT INTO people VALUES (${canaryId}, 'Canary', '${canaries.ssn}')`,
  `INSERT INTO employees VALUES (${canaryId + 1}, 'Second', '${canaries.otherSsn}', 1)`,
  'CREATE TABLE plain (id int, note text)',
  "INSERT INTO plain VALUES (1, 'nothing')",
  // The same names as in public, and nothing protected in them.
  'CREATE SCHEMA decoy',
  'CREATE TABLE decoy.customers (id int, ssn text, email text, name text)',
  "INSERT INTO decoy.customers VALUES (1, 'decoy', 'decoy', 'decoy')",
  'CREATE TABLE decoy.orders (id int, status text)',
  'ANALYZE',
];

const stateQuery = `
SELECT json_build_object(
  'orders', (SELECT count(*) FROM public.orders),
  'order_items', (SELECT count(*) FROM public.order_items),
  'products', (SELECT md5(string_agg(p::text, '|' ORDER BY id)) FROM public.products p),
  'customers', (SELECT md5(string_agg(c::text, '|' ORDER BY id)) FROM public.customers c),
  'plain', (SELECT md5(string_agg(p::text, '|' ORDER BY id)) FROM public.plain p),
  'relations', (SELECT md5(string_agg(concat_ws(' ', relnamespace, relname, relowner, relacl::text, relkind), '|' ORDER BY oid))
    FROM pg_class WHERE relnamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname LIKE 'pg\\_t%') AND oid >= 16384),
  'functions', (SELECT count(*) FROM pg_proc),
  'triggers', (SELECT count(*) FROM pg_trigger), 'rules', (SELECT count(*) FROM pg_rewrite WHERE oid >= 16384),
  'types', (SELECT count(*) FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace WHERE nspname NOT LIKE 'pg\\_t%'),
  'schemas', (SELECT count(*) FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_t%'),
  'extensions', (SELECT count(*) FROM pg_extension), 'languages', (SELECT count(*) FROM pg_language),
  'objects', (SELECT count(*) FROM pg_largeobject_metadata),
  'databases', (SELECT string_agg(datname, ',' ORDER BY oid) FROM pg_database),
  'roles', (SELECT md5(string_agg(concat_ws(' ', rolname, rolsuper, rolcreaterole, rolpassword), '|' ORDER BY oid)) FROM pg_authid),
  'settings', (SELECT count(*) FROM pg_db_role_setting),
  'servers', (SELECT count(*) FROM pg_foreign_server), 'publications', (SELECT count(*) FROM pg_publication),
  'slots', (SELECT count(*) FROM pg_replication_slots)
)::text`;
