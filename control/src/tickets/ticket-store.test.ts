import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { openStateDatabase } from '../store/state-database.ts';
import { TicketStore } from './ticket-store.ts';

const hourMs = 3_600_000;
const binding = {
  identity: { uid: 'i', namespace: 'pay', name: 'report' },
  target: { uid: 't', namespace: 'data', name: 'orders' },
};

describe('TicketStore', () => {
  let directory: string;
  let database: DatabaseSync;
  let nowMs: number;
  let tickets: TicketStore;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'chaperone-'));
    database = openStateDatabase(directory);
    nowMs = Date.UTC(2026, 0, 1);
    tickets = new TicketStore(database, () => nowMs);
  });
  afterEach(() => {
    database.close();
    rmSync(directory, { recursive: true });
  });

  test('a ticket proves its identity to its target until it expires', () => {
    const { ticket, secret } = tickets.create(binding, hourMs);
    expect(secret).toMatch(/^chpt_[0-9a-f]{16}_[0-9a-f]{64}$/);
    expect(tickets.verify(secret, 'i', 't')).toMatchObject({
      id: ticket.id,
      expiresMs: nowMs + hourMs,
    });
    nowMs += hourMs - 1;
    expect(tickets.verify(secret, 'i', 't')).toBeDefined();
    nowMs += 1;
    expect(tickets.verify(secret, 'i', 't')).toBeUndefined();
  });

  test('it proves nothing else', () => {
    const { secret } = tickets.create(binding, hourMs);
    const other = tickets.create(binding, hourMs).secret;
    const [, id] = secret.split('_');
    const [, , otherSecret] = other.split('_');
    const wrong: [string, string | undefined, string][] = [
      [secret, 'another identity', 't'],
      [secret, undefined, 't'],
      [secret, 'i', 'another target'],
      [secret.slice(0, -1), 'i', 't'],
      [`${secret}0`, 'i', 't'],
      [secret.toUpperCase(), 'i', 't'],
      [`chpt_${id}_${otherSecret}`, 'i', 't'],
      ['', 'i', 't'],
      ["chpt_' OR 1=1 --", 'i', 't'],
    ];
    for (const proof of wrong)
      expect([proof, tickets.verify(...proof)]).toEqual([proof, undefined]);
  });

  test('the database does not give away the secret', () => {
    const { secret } = tickets.create(binding, hourMs);
    const dump = JSON.stringify(
      database
        .prepare('SELECT * FROM tickets')
        .all()
        .map((row) =>
          Object.values(row).map((value) =>
            value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value,
          ),
        ),
    );
    expect(dump).not.toContain(secret.split('_')[2]);
  });

  test.each([0, 999, 24 * hourMs + 1, Number.NaN, Number.POSITIVE_INFINITY, -1])(
    'no ticket of %p ms',
    (ttlMs) => {
      expect(() => tickets.create(binding, ttlMs)).toThrow('between 1s and 24h');
    },
  );

  test('a revoked ticket proves nothing, and stays listed', () => {
    const { ticket, secret } = tickets.create(binding, hourMs);
    expect(tickets.revoke(ticket.id)).toBe(true);
    expect(tickets.revoke('unknown')).toBe(false);
    expect(tickets.verify(secret, 'i', 't')).toBeUndefined();
    expect(tickets.list()).toEqual([expect.objectContaining({ id: ticket.id, revokedMs: nowMs })]);
  });

  test('the list tells names and last use, newest first, and forgets after a week', () => {
    const first = tickets.create(binding, hourMs);
    nowMs += 1000;
    const second = tickets.create(binding, hourMs);
    tickets.verify(first.secret, 'i', 't');
    expect(
      tickets
        .list()
        .map(({ id, identity, target, lastUsedMs }) => [id, identity, target, lastUsedMs]),
    ).toEqual([
      [second.ticket.id, 'pay/report', 'data/orders', undefined],
      [first.ticket.id, 'pay/report', 'data/orders', nowMs],
    ]);
    nowMs += 8 * 24 * hourMs;
    const third = tickets.create(binding, hourMs);
    expect(tickets.list().map(({ id }) => id)).toEqual([third.ticket.id]);
  });

  test('a ticket made by one process is known to another at once', () => {
    const other = openStateDatabase(directory);
    const made = new TicketStore(other, () => nowMs).create(binding, hourMs);
    expect(tickets.verify(made.secret, 'i', 't')).toBeDefined();
    new TicketStore(other, () => nowMs).revoke(made.ticket.id);
    expect(tickets.verify(made.secret, 'i', 't')).toBeUndefined();
    other.close();
  });
});
