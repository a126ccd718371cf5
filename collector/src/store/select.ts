import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import type {
  EventFilter,
  Page,
  PageRequest,
  PartName,
  ReadScope,
  SessionFilter,
  Store,
  StoredEvent,
  StoredPart,
  StoredSession,
} from './types.ts';

/** Conditions and their values, joined by AND. */
class Where {
  readonly #conditions: string[] = [];
  readonly values: SQLInputValue[] = [];

  add(condition: string, ...values: SQLInputValue[]): void {
    this.#conditions.push(condition);
    this.values.push(...values);
  }

  toString(): string {
    return this.#conditions.length === 0 ? '' : `WHERE ${this.#conditions.join(' AND ')}`;
  }
}

/** Who a session belongs to, for a query in which `sessions` is `s`. */
function whereSession(where: Where, filter: SessionFilter, scope: ReadScope): void {
  if (filter.identity) {
    where.add('s.identity_name = ?', filter.identity.name);
    if (filter.identity.namespace !== undefined) {
      where.add('s.identity_namespace = ?', filter.identity.namespace);
    }
  }
  if (filter.target) {
    where.add('s.target_name = ?', filter.target.name);
    if (filter.target.namespace !== undefined) {
      where.add('s.target_namespace = ?', filter.target.namespace);
    }
  }
  if (filter.idPrefix !== undefined) {
    // A range of the primary key: `g` comes after all that may stand in an id.
    where.add('s.id >= ?', filter.idPrefix);
    where.add('s.id < ?', `${filter.idPrefix}g`);
  }
  if (filter.owner !== undefined) where.add('s.owner = ?', filter.owner);
  if (scope.owners) {
    where.add(`s.owner IN (${scope.owners.map(() => '?').join(', ')})`, ...scope.owners);
  }
}

/** Words as FTS5 phrases, all required; a final `*` makes the last token of a word a prefix. */
function searchExpression(text: string): string {
  const words = text.split(/\s+/u).filter((word) => word !== '');
  return words
    .map((word) => {
      const prefix = word.length > 1 && word.endsWith('*');
      return `"${(prefix ? word.slice(0, -1) : word).replaceAll('"', '""')}"${prefix ? '*' : ''}`;
    })
    .join(' ');
}

function whereEvent(where: Where, filter: EventFilter): void {
  if (filter.session !== undefined) where.add('e.session = ?', filter.session);
  if (filter.fromUs !== undefined) where.add('e.time_us >= ?', filter.fromUs);
  if (filter.toUs !== undefined) where.add('e.time_us < ?', filter.toUs);
  if (filter.type !== undefined) where.add('e.type = ?', filter.type);
  if (filter.verdict !== undefined) where.add('e.verdict = ?', filter.verdict);
  if (filter.verb !== undefined || filter.resource !== undefined) {
    const operation = new Where();
    operation.add('o.position = e.position');
    if (filter.verb !== undefined) operation.add('o.verb = ?', filter.verb);
    if (filter.resource !== undefined) {
      operation.add(
        'o.resource IN (SELECT id FROM resources WHERE matches_resource(?, name))',
        filter.resource,
      );
    }
    where.add(`EXISTS (SELECT 1 FROM operations o ${operation})`, ...operation.values);
  }
  if (filter.rule) {
    const rule = new Where();
    rule.add('r.object = ?', filter.rule.object);
    if (filter.rule.namespace !== undefined) rule.add('r.namespace = ?', filter.rule.namespace);
    if (filter.rule.rule !== undefined) rule.add('r.rule = ?', filter.rule.rule);
    where.add(
      `EXISTS (SELECT 1 FROM event_rules er JOIN rules r ON r.id = er.rule ${rule} AND er.position = e.position)`,
      ...rule.values,
    );
  }
  if (filter.text !== undefined) {
    where.add(
      'EXISTS (SELECT 1 FROM part_statement p WHERE p.session = e.session AND p.seq = e.seq AND p.digest = e.statement_digest AND p.id IN (SELECT rowid FROM statement_search WHERE statement_search MATCH ?))',
      searchExpression(filter.text),
    );
  }
}

interface EventRow {
  readonly position: number;
  readonly session: string;
  readonly seq: number;
  readonly time_us: number;
  readonly received_ms: number;
  readonly line: string;
  readonly statement_digest: string | null;
  readonly parameters_digest: string | null;
  readonly result_digest: string | null;
  readonly statement: string | null;
  readonly statement_salt: Uint8Array | null;
  readonly parameters: string | null;
  readonly parameters_salt: Uint8Array | null;
  readonly has_result: number;
}

function storedPart(
  digest: string | null,
  content: string | null,
  salt: Uint8Array | null,
  payloads: boolean,
): StoredPart | undefined {
  if (digest === null) return undefined;
  if (!payloads) return { state: 'Withheld' };
  if (content === null || salt === null) return { state: 'Purged' };
  return { state: 'Kept', salt, content };
}

function storedEvent(row: EventRow, payloads: boolean): StoredEvent {
  const parts: Partial<Record<PartName, StoredPart>> = {};
  const { statement_digest: statementDigest, parameters_digest: parametersDigest } = row;
  const statement = storedPart(statementDigest, row.statement, row.statement_salt, payloads);
  if (statement) parts.statement = statement;
  const parameters = storedPart(parametersDigest, row.parameters, row.parameters_salt, payloads);
  if (parameters) parts.parameters = parameters;
  if (row.result_digest !== null) {
    const kept = row.has_result === 1 ? 'Apart' : 'Purged';
    parts.result = { state: payloads ? kept : 'Withheld' };
  }
  const { session, seq, received_ms: receivedMs, line } = row;
  return { session, seq, receivedMs, line, parts };
}

/**
 * Events of one question. The pages of one question show the record as it stood at the first: what is
 * committed later is not in them, so a page never repeats or skips, and reading the record (which adds to
 * it) comes to an end. The key is [highest position at the first page, sort key, position].
 */
export function selectEvents(
  database: DatabaseSync,
  filter: EventFilter,
  scope: ReadScope,
  page: PageRequest,
): Page<StoredEvent> {
  if (filter.text !== undefined && !scope.payloads) return { items: [] };
  const sortKey = filter.session === undefined ? 'time_us' : 'seq';
  const [asOf, ...key] = page.after ?? [newestPosition(database)];
  const newest = page.order === 'newest';
  const where = new Where();
  whereEvent(where, filter);
  whereSession(where, filter, scope);
  where.add('e.position <= ?', asOf as number);
  if (key.length > 0) {
    where.add(`(e.${sortKey}, e.position) ${newest ? '<' : '>'} (?, ?)`, ...key);
  }
  const direction = newest ? 'DESC' : 'ASC';
  const parts = scope.payloads
    ? {
        columns:
          'ps.content AS statement, ps.salt AS statement_salt, pp.content AS parameters, pp.salt AS parameters_salt, pr.digest IS NOT NULL AS has_result',
        join: `LEFT JOIN part_statement ps ON ps.session = e.session AND ps.seq = e.seq AND ps.digest = e.statement_digest
           LEFT JOIN part_parameters pp ON pp.session = e.session AND pp.seq = e.seq AND pp.digest = e.parameters_digest
           LEFT JOIN part_result pr ON pr.session = e.session AND pr.seq = e.seq AND pr.digest = e.result_digest`,
      }
    : {
        columns:
          'NULL AS statement, NULL AS statement_salt, NULL AS parameters, NULL AS parameters_salt, 0 AS has_result',
        join: '',
      };
  const rows = database
    .prepare(
      `SELECT e.position, e.session, e.seq, e.time_us, e.received_ms, e.line,
         e.statement_digest, e.parameters_digest, e.result_digest, ${parts.columns}
       FROM events e JOIN sessions s ON s.id = e.session ${parts.join} ${where}
       ORDER BY e.${sortKey} ${direction}, e.position ${direction} LIMIT ?`,
    )
    .iterate(...where.values, page.limit + 1) as Iterable<unknown> as Iterable<EventRow>;

  const items: StoredEvent[] = [];
  let last: EventRow | undefined;
  let bytes = 0;
  for (const row of rows) {
    bytes += row.line.length + (row.statement?.length ?? 0) + (row.parameters?.length ?? 0);
    if (last && (items.length === page.limit || bytes > page.maxBytes)) {
      return { items, next: [asOf as number, last[sortKey], last.position] };
    }
    items.push(storedEvent(row, scope.payloads));
    last = row;
  }
  return { items };
}

function newestPosition(database: DatabaseSync): number {
  const row = database.prepare('SELECT max(position) AS newest FROM events').get();
  return (row as { newest: number | null }).newest ?? 0;
}

type SessionRow = Readonly<Record<string, number | string | null>>;

function storedSession(row: SessionRow): StoredSession {
  const text = (column: string) => row[column] as string;
  const number = (column: string) => row[column] as number;
  return {
    id: text('id'),
    source: text('source'),
    ...(row.started_us !== null && { startedUs: number('started_us'), lastUs: number('last_us') }),
    ...(row.identity_name !== null && {
      opened: {
        identity: {
          uid: text('identity_uid'),
          namespace: text('identity_namespace'),
          name: text('identity_name'),
          owner: text('owner'),
          purpose: text('purpose'),
        },
        target: {
          uid: text('target_uid'),
          namespace: text('target_namespace'),
          name: text('target_name'),
        },
        database: text('database'),
      },
    }),
    ...(row.program !== null && { program: text('program') }),
    ...(row.closed_us !== null && {
      closed: {
        timeUs: number('closed_us'),
        reason: text('close_reason'),
        statements: number('statements'),
        refused: number('refused'),
        rows: number('rows'),
        bytes: number('bytes'),
        lastSeq: number('last_seq'),
      },
    }),
    acknowledged: number('contiguous'),
    known: Math.max(number('highest'), number('announced')),
    hold: row.hold === 1,
  };
}

/** Sessions by id: a UUIDv7, so in the order in which they began. */
export function selectSessions(
  database: DatabaseSync,
  filter: SessionFilter,
  scope: ReadScope,
  page: PageRequest,
): Page<StoredSession> {
  const newest = page.order === 'newest';
  const where = new Where();
  whereSession(where, filter, scope);
  if (filter.fromUs !== undefined) where.add('s.last_us >= ?', filter.fromUs);
  if (filter.toUs !== undefined) where.add('s.started_us < ?', filter.toUs);
  if (page.after) where.add(`s.id ${newest ? '<' : '>'} ?`, page.after[0] as string);
  const rows = database
    .prepare(`SELECT * FROM sessions s ${where} ORDER BY s.id ${newest ? 'DESC' : 'ASC'} LIMIT ?`)
    .all(...where.values, page.limit + 1) as unknown as SessionRow[];
  const items = rows.slice(0, page.limit).map(storedSession);
  return rows.length > page.limit ? { items, next: [items.at(-1)!.id] } : { items };
}

/** One session, if it is within the scope. */
export function selectSession(
  database: DatabaseSync,
  id: string,
  scope: ReadScope,
): StoredSession | undefined {
  const where = new Where();
  where.add('s.id = ?', id);
  whereSession(where, {}, scope);
  const row = database.prepare(`SELECT * FROM sessions s ${where}`).get(...where.values);
  return row === undefined ? undefined : storedSession(row as SessionRow);
}

/** Whether an event within the scope names that recording; who sees everything needs no event. */
export function recordingInScope(
  database: DatabaseSync,
  sha256: string,
  scope: ReadScope,
): boolean {
  if (scope.owners === undefined) return true;
  const where = new Where();
  where.add('f.sha256 IN (SELECT sha256 FROM named_by)');
  whereSession(where, {}, scope);
  const found = database
    .prepare(
      `WITH RECURSIVE named_by (sha256, depth) AS (
         VALUES (?, 0) UNION
         SELECT i.index_sha256, n.depth + 1 FROM recording_index i
         JOIN named_by n ON i.sha256 = n.sha256 WHERE n.depth < 2)
       SELECT 1 FROM recording_refs f JOIN sessions s ON s.id = f.session ${where} LIMIT 1`,
    )
    .get(sha256, ...where.values);
  return found !== undefined;
}

/** See Store.result. */
export function selectResult(
  database: DatabaseSync,
  session: string,
  seq: number,
  scope: ReadScope,
): Awaited<ReturnType<Store['result']>> {
  if (!scope.payloads) return undefined;
  const where = new Where();
  where.add('e.session = ?', session);
  where.add('e.seq = ?', seq);
  where.add('e.result_digest IS NOT NULL');
  whereSession(where, {}, scope);
  const row = database
    .prepare(
      `SELECT p.content, p.salt FROM events e JOIN sessions s ON s.id = e.session
       LEFT JOIN part_result p ON p.session = e.session AND p.seq = e.seq AND p.digest = e.result_digest ${where}`,
    )
    .get(...where.values) as { content: Uint8Array | null; salt: Uint8Array | null } | undefined;
  if (row === undefined) return undefined;
  const { content, salt } = row;
  if (content === null || salt === null) return { state: 'Purged' };
  return { state: 'Kept', salt, content: Buffer.from(content).toString('base64') };
}
