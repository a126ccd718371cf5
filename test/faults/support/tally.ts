/**
 * What three sides say of statements with names of their own: the client that sent them, the database, and the
 * record. A fault may leave one of them without an answer; no two may contradict each other.
 */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setImmediate as turn } from 'node:timers/promises';
import { expect } from '@jest/globals';
import { policy, type Resource } from '../../support/chaperone.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { type FaultRow, rowsFileVariable } from './tally-row.ts';

/** `Lost`: the connection ended before an answer came. */
export type Belief = 'Ok' | 'Refused' | 'Lost';
export type Level = 'Process' | 'Disk' | 'Collector';
export const levels: readonly Level[] = ['Process', 'Disk', 'Collector'];

/** A policy for each durability, each for the identity of that name. */
export const levelPolicies: readonly Resource[] = levels.map((durability) =>
  policy(
    durability.toLowerCase(),
    [{ name: 'all', action: 'Allow', classes: ['Read', 'Write'], resources: ['tally.public.**'] }],
    {
      subjects: { identities: [{ namespace: 'payments', name: durability.toLowerCase() }] },
      session: { durability, recording: 'Statements' },
    },
  ),
);

/** For the table at the end. */
export function addRow(row: FaultRow): void {
  const path = process.env[rowsFileVariable];
  if (path !== undefined) appendFileSync(path, `${JSON.stringify(row)}\n`);
}

/** What the record has of one statement. */
interface Recorded {
  allowed: number;
  denied: number;
  readonly outcomes: string[];
  readonly durationsUs: number[];
}

let names = 0;

/** A statement that is found again in the database, and by its output's name in the record. */
export function namedInsert(): { readonly id: string; readonly sql: string } {
  names += 1;
  const id = `f${process.pid}_${names}_`;
  return { id, sql: `INSERT INTO done VALUES ('${id}') RETURNING id AS ${id}` };
}

const idForm = /f\d+_\d+_/;
export const idIn = (text: string): string | undefined => idForm.exec(text)?.[0];

export class Tally {
  readonly #postgres: TestPostgres;
  readonly #directory: string;
  readonly #beliefs = new Map<string, Belief>();

  constructor(postgres: TestPostgres, directory: string) {
    this.#postgres = postgres;
    this.#directory = directory;
  }

  say(id: string, belief: Belief): void {
    this.#beliefs.set(id, belief);
  }

  /**
   * Compares the three, and begins anew. The record is read until what the database did is in it, or `patienceMs`
   * are over: what an earlier process left in its spool takes a moment.
   */
  async settle(fault: string, level: Level | '', patienceMs = 20_000): Promise<FaultRow> {
    const { rows } = await this.#postgres.query<{ id: string; n: number }>(
      'SELECT id, count(*)::int AS n FROM done GROUP BY id',
      [],
      'tally',
    );
    const done = new Map(rows.map(({ id, n }) => [id, n]));
    const mine = [...this.#beliefs].map(([id, belief]) => ({
      id,
      belief,
      done: done.get(id) ?? 0,
    }));
    let recorded = this.#recorded();
    const until = performance.now() + patienceMs;
    const missing = (): boolean =>
      mine.some((one) => one.done > 0 && (recorded.get(one.id)?.allowed ?? 0) === 0);
    while (missing() && performance.now() < until) {
      await turn();
      recorded = this.#recorded();
    }
    const contradictions = mine.flatMap((one) => {
      const what = contradiction(one.belief, one.done, recorded.get(one.id));
      return what === undefined ? [] : [`${one.id} ${one.belief}: ${what}`];
    });
    const count = (test: (one: (typeof mine)[number]) => boolean): number =>
      mine.filter(test).length;
    const beliefs = (['Ok', 'Refused', 'Lost'] as const)
      .map((belief) => `${count((one) => one.belief === belief)} ${belief.toLowerCase()}`)
      .join(', ');
    const row: FaultRow = {
      fault,
      level,
      client: beliefs,
      database: `${count(({ done: n }) => n > 0)} of ${mine.length}`,
      record: `${count(({ id }) => (recorded.get(id)?.allowed ?? 0) > 0)} allowed`,
      contradictions: contradictions.length,
    };
    addRow(row);
    this.#beliefs.clear();
    expect(contradictions).toEqual([]);
    return row;
  }

  #recorded(): Map<string, Recorded> {
    const path = join(this.#directory, '.chaperone', 'record', 'record.db');
    const database = new DatabaseSync(path, { readOnly: true });
    try {
      const found = new Map<string, Recorded>();
      const byDecision = new Map<string, Recorded>();
      const events = database
        .prepare(
          `SELECT e.session, e.seq, e.type, e.line, p.content FROM events e
           LEFT JOIN part_statement p ON p.session = e.session AND p.seq = e.seq
           WHERE e.type IN ('OperationDecided', 'OperationCompleted') ORDER BY e.session, e.seq`,
        )
        .all() as unknown as readonly EventRow[];
      for (const { session, seq, type, line, content } of events) {
        const event = JSON.parse(line) as Told;
        if (type === 'OperationCompleted') {
          const of = byDecision.get(`${session} ${event.decision}`);
          of?.outcomes.push(event.outcome!);
          of?.durationsUs.push(event.durationUs!);
          continue;
        }
        const id = content === null ? undefined : idIn(content);
        if (id === undefined) continue;
        const one = found.get(id) ?? { allowed: 0, denied: 0, outcomes: [], durationsUs: [] };
        if (event.verdict === 'Allow') one.allowed += 1;
        else one.denied += 1;
        found.set(id, one);
        byDecision.set(`${session} ${seq}`, one);
      }
      return found;
    } finally {
      database.close();
    }
  }
}

interface EventRow {
  readonly session: string;
  readonly seq: number;
  readonly type: string;
  readonly line: string;
  readonly content: string | null;
}

/** Of a line. */
interface Told {
  readonly verdict?: string;
  readonly decision?: number;
  readonly outcome?: string;
  readonly durationUs?: number;
}

/** More than any test takes. */
const longestUs = 600e6;

/** What cannot be true of one statement at once; undefined where all may be. */
function contradiction(belief: Belief, done: number, recorded?: Recorded): string | undefined {
  const allowed = recorded?.allowed ?? 0;
  const outcomes = recorded?.outcomes ?? [];
  if (done > 1) return 'it ran twice';
  if (allowed > 1) return 'it is on record twice';
  if (done === 1 && allowed === 0) return 'it ran and is not on record';
  if (belief === 'Ok' && done === 0) return 'the client was told that it ran';
  if (belief === 'Refused' && done === 1) return 'the client was told that it did not run';
  if (done === 0 && outcomes.includes('Ok')) return 'the record says that it ran';
  if (done === 1 && outcomes.some((outcome) => outcome === 'Error' || outcome === 'Skipped')) {
    return 'the record says that it failed';
  }
  if (recorded?.durationsUs.some((us) => !(us >= 0 && us < longestUs))) {
    return 'the record has it take a time that it cannot have taken';
  }
  return undefined;
}
