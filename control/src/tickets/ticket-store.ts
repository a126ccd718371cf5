/**
 * Tickets: short-lived passwords that prove one identity towards one target. Kept as digests in the state
 * database, which the running program and the command line share.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';

/** Longest life of a ticket. */
export const maxTicketTtlMs = 24 * 60 * 60 * 1000;
/** Ended tickets stay listed this long. */
const keepEndedMs = 7 * 24 * 60 * 60 * 1000;
const idBytes = 8;
const secretBytes = 32;
const shape = /^chpt_([0-9a-f]{16})_([0-9a-f]{64})$/;

/** What a ticket is bound to; names are for lists and messages, uids decide. */
export interface TicketBinding {
  readonly identity: { readonly uid: string; readonly namespace: string; readonly name: string };
  readonly target: { readonly uid: string; readonly namespace: string; readonly name: string };
}

export interface Ticket {
  readonly id: string;
  readonly identityUid: string;
  /** `namespace/name` at the time of its making. */
  readonly identity: string;
  readonly targetUid: string;
  readonly target: string;
  /** Epoch milliseconds. */
  readonly createdMs: number;
  readonly expiresMs: number;
  readonly revokedMs?: number;
  readonly lastUsedMs?: number;
}

interface Row {
  readonly id: string;
  readonly secret_sha256: Uint8Array;
  readonly identity_uid: string;
  readonly identity: string;
  readonly target_uid: string;
  readonly target: string;
  readonly created_ms: number;
  readonly expires_ms: number;
  readonly revoked_ms: number | null;
  readonly last_used_ms: number | null;
}

const digestOf = (secret: string): Buffer => createHash('sha256').update(secret).digest();
/** Compared with where there is no ticket, so that an unknown id costs what a wrong secret does. */
const nobodysDigest = digestOf(randomBytes(secretBytes).toString('hex'));

export class TicketStore {
  readonly #database: DatabaseSync;
  readonly #nowMs: () => number;

  constructor(database: DatabaseSync, nowMs: () => number) {
    this.#database = database;
    this.#nowMs = nowMs;
  }

  /**
   * Makes a ticket; `secret` is the password and exists nowhere else. Throws CHP-1002 when `ttlMs` is not
   * between a second and 24 hours.
   */
  create(
    binding: TicketBinding,
    ttlMs: number,
  ): { readonly ticket: Ticket; readonly secret: string } {
    if (!Number.isSafeInteger(ttlMs) || ttlMs < 1000 || ttlMs > maxTicketTtlMs) {
      throw new ChaperoneError('CHP-1002', 'A ticket lives between 1s and 24h.');
    }
    const nowMs = this.#nowMs();
    const { identity, target } = binding;
    const id = randomBytes(idBytes).toString('hex');
    const secret = `chpt_${id}_${randomBytes(secretBytes).toString('hex')}`;
    const ticket: Ticket = {
      id,
      identityUid: identity.uid,
      identity: `${identity.namespace}/${identity.name}`,
      targetUid: target.uid,
      target: `${target.namespace}/${target.name}`,
      createdMs: nowMs,
      expiresMs: nowMs + ttlMs,
    };
    this.#database
      .prepare(
        `INSERT INTO tickets (id, secret_sha256, identity_uid, identity, target_uid, target, created_ms, expires_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(
        id,
        digestOf(secret),
        ticket.identityUid,
        ticket.identity,
        ticket.targetUid,
        ticket.target,
        ticket.createdMs,
        ticket.expiresMs,
      );
    this.prune();
    return { ticket, secret };
  }

  /** The ticket that `secret` is, if it is one, for that identity and target, and neither ended nor revoked. */
  verify(secret: string, identityUid: string | undefined, targetUid: string): Ticket | undefined {
    const id = shape.exec(secret)?.[1];
    const row = id === undefined ? undefined : this.#row(id);
    const matches = timingSafeEqual(digestOf(secret), row?.secret_sha256 ?? nobodysDigest);
    if (!matches || row === undefined) return undefined;
    const nowMs = this.#nowMs();
    const valid =
      row.identity_uid === identityUid &&
      row.target_uid === targetUid &&
      row.revoked_ms === null &&
      nowMs < row.expires_ms;
    if (!valid) return undefined;
    try {
      this.#database.prepare('UPDATE tickets SET last_used_ms = ? WHERE id = ?').run(nowMs, row.id);
    } catch {
      // A full disk keeps nobody out: the time of use is for lists alone, and the record has it anyway.
    }
    return fromRow(row);
  }

  /** Why `verify` refuses, for the log: the ticket's id where there is one, never its secret. */
  whyRefused(secret: string, identityUid: string | undefined, targetUid: string): string {
    const id = shape.exec(secret)?.[1];
    if (id === undefined) return 'what was given is no ticket';
    const row = this.#row(id);
    if (row === undefined || !timingSafeEqual(digestOf(secret), row.secret_sha256)) {
      return `ticket ${id} is not known`;
    }
    if (row.revoked_ms !== null) return `ticket ${id} was revoked`;
    if (this.#nowMs() >= row.expires_ms) return `ticket ${id} has expired`;
    if (row.target_uid !== targetUid) return `ticket ${id} is for ${row.target}`;
    if (row.identity_uid !== identityUid) return `ticket ${id} is for ${row.identity}`;
    return `ticket ${id} is valid`;
  }

  /** Newest first; those that ended within the last week are among them. */
  list(): Ticket[] {
    const rows = this.#database.prepare('SELECT * FROM tickets ORDER BY created_ms DESC, id').all();
    return rows.map((row) => fromRow(row as unknown as Row));
  }

  /** Whether there was such a ticket. New sessions with it are refused from now on. */
  revoke(id: string): boolean {
    const { changes } = this.#database
      .prepare('UPDATE tickets SET revoked_ms = coalesce(revoked_ms, ?) WHERE id = ?')
      .run(this.#nowMs(), id);
    return Number(changes) > 0;
  }

  /** Forgets tickets that ended more than a week ago. */
  prune(): void {
    this.#database
      .prepare('DELETE FROM tickets WHERE expires_ms < ?')
      .run(this.#nowMs() - keepEndedMs);
  }

  #row(id: string): Row | undefined {
    return this.#database.prepare('SELECT * FROM tickets WHERE id = ?').get(id) as Row | undefined;
  }
}

function fromRow(row: Row): Ticket {
  return {
    id: row.id,
    identityUid: row.identity_uid,
    identity: row.identity,
    targetUid: row.target_uid,
    target: row.target,
    createdMs: row.created_ms,
    expiresMs: row.expires_ms,
    ...(row.revoked_ms !== null && { revokedMs: row.revoked_ms }),
    ...(row.last_used_ms !== null && { lastUsedMs: row.last_used_ms }),
  };
}
