import { createHash } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { settler } from './gaps.ts';
import { separator } from './pattern.ts';
import {
  type Alert,
  type AlertKind,
  type AppendResult,
  type Batch,
  ForeignSessionError,
  type IncomingEvent,
} from './types.ts';

interface SessionRow {
  readonly source: string;
  readonly highest: number;
  readonly purged_through: number;
  readonly last_seq: number | null;
}

/** Writes batches; each call runs inside a transaction that the caller opened. */
export function appender(database: DatabaseSync): (batch: Batch) => AppendResult {
  const sql = (text: string) => database.prepare(text);
  const makeSession = sql('INSERT INTO sessions (id, source) VALUES (?, ?) ON CONFLICT DO NOTHING');
  const getSession = sql(
    'SELECT source, highest, purged_through, last_seq FROM sessions WHERE id = ?',
  );
  const getLine = sql('SELECT line FROM events WHERE session = ? AND seq = ?');
  const putEvent = sql(
    'INSERT INTO events (session, seq, time_us, received_ms, type, verdict, statement_digest, parameters_digest, result_digest, line) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
  );
  const partInto = (table: string) =>
    sql(
      `INSERT INTO ${table} (session, seq, digest, salt, content, received_ms) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    );
  const putPart = {
    statement: partInto('part_statement'),
    parameters: partInto('part_parameters'),
    result: partInto('part_result'),
  };
  const putSearch = sql('INSERT INTO statement_search (rowid, content) VALUES (?, ?)');
  const getResource = sql('SELECT id FROM resources WHERE name = ?');
  const makeResource = sql('INSERT INTO resources (name) VALUES (?)');
  const putOperation = sql('INSERT OR IGNORE INTO operations VALUES (?, ?, ?)');
  const getRule = sql('SELECT id FROM rules WHERE object = ? AND namespace = ? AND rule = ?');
  const makeRule = sql('INSERT INTO rules (object, namespace, rule) VALUES (?, ?, ?)');
  const putRule = sql('INSERT OR IGNORE INTO event_rules VALUES (?, ?)');
  const putReference = sql('INSERT OR IGNORE INTO recording_refs VALUES (?, ?, ?)');
  const putGap = sql("INSERT OR IGNORE INTO gaps VALUES (?, ?, ?, 'Announced')");
  const putAlert = sql(
    'INSERT INTO alerts (kind, source, session, from_seq, to_seq, line, line_sha256, raised_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
  );
  const touch = sql(
    `UPDATE sessions SET highest = max(highest, ?2), started_us = min(coalesce(started_us, ?3), ?3),
       last_us = max(coalesce(last_us, ?3), ?3), program = coalesce(program, ?4) WHERE id = ?1`,
  );
  const open = sql(
    `UPDATE sessions SET identity_uid = ?, identity_namespace = ?, identity_name = ?, owner = ?, purpose = ?,
       target_uid = ?, target_namespace = ?, target_name = ?, database = ? WHERE id = ?`,
  );
  const close = sql(
    `UPDATE sessions SET closed_us = ?, close_reason = ?, last_seq = ?, statements = ?, refused = ?, rows = ?,
       bytes = ?, announced = max(announced, ?) WHERE id = ?`,
  );
  const announce = sql('UPDATE sessions SET announced = max(announced, ?) WHERE id = ?');
  const heartbeat = sql(
    'UPDATE sessions SET heartbeat_us = max(coalesce(heartbeat_us, ?2), ?2) WHERE id = ?1',
  );
  const session = (id: string) => getSession.get(id) as unknown as SessionRow;
  const idOf = (found: unknown): number | undefined => (found as { id: number } | undefined)?.id;

  const settleSession = settler(database);

  return function append(batch) {
    const { session: id, source, receivedMs } = batch;
    const alerts: Alert[] = [];
    const alert = (kind: AlertKind, about: string, fromSeq: number, toSeq: number, line = '') => {
      const digest = createHash('sha256').update(line).digest();
      const { changes } = putAlert.run(
        ...([kind, source, about, fromSeq, toSeq, line, digest, receivedMs] as const),
      );
      if (changes === 0) return;
      const raised: Alert = { kind, source, session: about, fromSeq, toSeq, raisedMs: receivedMs };
      alerts.push(line === '' ? raised : { ...raised, line });
    };

    makeSession.run(id, source);
    const before = session(id);
    if (before.source !== source) throw new ForeignSessionError(id);

    const putParts = ({ seq, facts, parts }: IncomingEvent) => {
      for (const part of parts) {
        const digest = facts.digests[part.name] as string;
        // Base64 that was checked to be what its bytes give comes back as it was.
        const content = part.name === 'result' ? Buffer.from(part.content, 'base64') : part.content;
        const { changes, lastInsertRowid } = putPart[part.name].run(
          ...([id, seq, digest, part.salt, content, receivedMs] as const),
        );
        if (part.name === 'statement' && changes > 0) putSearch.run(lastInsertRowid, part.content);
      }
    };

    const index = (position: number | bigint, { seq, facts }: IncomingEvent) => {
      for (const operation of facts.operations) {
        const name = operation.resource.join(separator);
        const resource = idOf(getResource.get(name)) ?? makeResource.run(name).lastInsertRowid;
        putOperation.run(position, operation.verb, resource);
      }
      for (const { object, namespace, rule } of facts.rules) {
        const known = idOf(getRule.get(object, namespace, rule));
        putRule.run(position, known ?? makeRule.run(object, namespace, rule).lastInsertRowid);
      }
      for (const sha256 of facts.recordings) putReference.run(sha256, id, seq);
    };

    /** Whether this source may speak for that session; if nobody ships it yet, it is this source's. */
    const speaksFor = (about: string, fromSeq: number, toSeq: number): boolean => {
      makeSession.run(about, source);
      if (session(about).source === source) return true;
      alert('ForeignSession', about, fromSeq, toSeq);
      return false;
    };

    const takeHeartbeat = (announced: Readonly<Record<string, number>>) => {
      for (const [about, lastSeq] of Object.entries(announced)) {
        if (!speaksFor(about, lastSeq, lastSeq)) continue;
        announce.run(lastSeq, about);
        if (about !== id) settleSession(about, receivedMs);
      }
    };

    const takeGap = (about: string, from: number, to: number) => {
      if (!speaksFor(about, from, to)) return;
      putGap.run(about, from, to);
      announce.run(to, about);
      alert('AnnouncedGap', about, from, to);
      if (about !== id) settleSession(about, receivedMs);
    };

    const takeFacts = ({ seq, facts }: IncomingEvent) => {
      touch.run(id, seq, facts.timeUs, facts.program ?? null);
      if (facts.opened) {
        const { identity, target, database: name } = facts.opened;
        const { uid, namespace, name: identityName, owner, purpose } = identity;
        open.run(
          ...([uid, namespace, identityName, owner, purpose] as const),
          ...([target.uid, target.namespace, target.name, name, id] as const),
        );
      }
      if (facts.closed) {
        const { reason, lastSeq, statements, refused, rows, bytes } = facts.closed;
        close.run(
          ...([
            facts.timeUs,
            reason,
            lastSeq,
            statements,
            refused,
            rows,
            bytes,
            lastSeq,
            id,
          ] as const),
        );
      }
      if (facts.gap) takeGap(facts.gap.session, facts.gap.from, facts.gap.to);
      if (facts.announced) {
        heartbeat.run(id, facts.timeUs);
        takeHeartbeat(facts.announced);
      }
    };

    let stored = 0;
    let duplicates = 0;
    for (const event of batch.events) {
      const { seq, line, facts } = event;
      const existing = getLine.get(id, seq) as { line: string } | undefined;
      if (existing === undefined) {
        if (seq <= before.purged_through) {
          duplicates += 1; // it came, was kept, and its time is over
          continue;
        }
        const { statement = null, parameters = null, result = null } = facts.digests;
        const { lastInsertRowid } = putEvent.run(
          ...([id, seq, facts.timeUs, receivedMs, facts.type, facts.verdict ?? null] as const),
          ...([statement, parameters, result, line] as const),
        );
        putParts(event);
        index(lastInsertRowid, event);
        takeFacts(event);
        stored += 1;
      } else if (existing.line !== line) {
        // Both are evidence. Which one is true is for a person to say, so the second is kept too.
        alert('Contradiction', id, seq, seq, line);
        putParts(event);
      } else {
        duplicates += 1;
      }
    }
    const acknowledged = settleSession(id, receivedMs);
    const after = session(id);
    if (after.last_seq !== null && after.highest > after.last_seq) {
      alert('AfterClose', id, after.last_seq + 1, after.highest);
    }
    return { acknowledged, stored, duplicates, alerts };
  };
}
