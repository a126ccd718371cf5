/** Where a load's tally, the database and the record do not say the same: a sentence each. */
import type { RecordedLoad } from './recorded-load.ts';
import type { StatementEntry, Tally } from './tally.ts';

/** What a test did to a sidecar, and what its events may lack for that. */
export interface SidecarLoss {
  /** Sessions that its death cut off: they may have no end on record, nor their last statement. */
  readonly cutOff: number;
  /** Its spool went with it: refusals may be lost that were not followed by what had to wait for the record. */
  readonly spoolLost: boolean;
}

export const noLoss: SidecarLoss = { cutOff: 0, spoolLost: false };

const name = ({ kind, number }: StatementEntry): string => `${kind} ${number}`;

/** Nothing that should not be was answered. */
export function ofAnswers(tally: Tally): string[] {
  return tally.statements.flatMap((statement) => {
    const { kind, outcome, value } = statement;
    if (outcome !== 'Done') return [];
    if (kind === 'Read' || kind === 'Write') return [`${name(statement)} was carried out`];
    if (kind === 'Masked' && !/^\*{7}\d{4}$/.test(value ?? '')) {
      return [`${name(statement)} was answered in clear`];
    }
    return [];
  });
}

/**
 * What was acknowledged is there, and nothing that nobody asked for or that was refused. `traces` are what refused writes
 * left.
 */
export function ofDatabase(
  tally: Tally,
  inserted: ReadonlyMap<number, number>,
  traces: readonly string[],
): string[] {
  const inserts = tally.statements.filter(({ kind }) => kind === 'Insert');
  const missing = inserts.filter(
    ({ outcome, number }) => outcome === 'Done' && !inserted.has(number),
  );
  const possible = new Set(
    inserts.filter(({ outcome }) => outcome !== 'Refused').map(({ number }) => number),
  );
  const unasked = [...inserted.keys()].filter((number) => !possible.has(number));
  return [
    ...missing.map((statement) => `${name(statement)} was acknowledged and is not in the database`),
    ...unasked.map((number) => `Insert ${number} is in the database and was not asked for`),
    ...traces.map((trace) => `Write ${trace} reached the database`),
  ];
}

/**
 * Each answer has its one decision, each row's decision came before it, and no event is missing or there
 * twice.
 */
export function ofRecord(
  tally: Tally,
  record: RecordedLoad,
  inserted: ReadonlyMap<number, number>,
  { cutOff, spoolLost }: SidecarLoss,
): string[] {
  const found: string[] = [];
  const asked = new Set(tally.statements.map(({ number }) => number));
  for (const number of record.decisions.keys()) {
    if (!asked.has(number)) found.push(`${number} was decided and not asked for`);
  }
  for (const statement of tally.statements) {
    const { number, outcome } = statement;
    const decisions = record.decisions.get(number) ?? [];
    const ran = outcome === 'Done' || inserted.has(number);
    const verdict = ran ? 'Allow' : outcome === 'Refused' ? 'Deny' : undefined;
    // Of what broke, nobody knows whether it came so far.
    const expected = verdict !== undefined || decisions.length > 0 ? 1 : 0;
    // Refusals are not waited for: nothing goes out.
    const lost = spoolLost && outcome === 'Refused' && tally.isCutOffAfter(statement);
    if (decisions.length !== expected && !(lost && decisions.length === 0)) {
      found.push(`${name(statement)}, ${outcome}, has ${decisions.length} decisions on record`);
    }
    const [decision] = decisions;
    if (decision === undefined) continue;
    const ends = record.completionsOf(decision);
    // A policy may be withdrawn from a statement that is under way.
    const cut = outcome === 'Refused' && ends.some((end) => end.outcome === 'Cut');
    if (verdict !== undefined && decision.verdict !== verdict && !cut) {
      found.push(`${name(statement)}, ${outcome}, is on record as ${decision.verdict}`);
    }
    const mayLackEnd = cutOff > 0 && record.isLast(decision);
    if (outcome === 'Done' && ends.length !== 1 && !(mayLackEnd && ends.length === 0)) {
      found.push(`${name(statement)} has ${ends.length} ends on record`);
    }
    const insertedUs = inserted.get(number);
    if (insertedUs !== undefined && microseconds(decision.time) > insertedUs) {
      found.push(`${name(statement)} was in the database before its decision was on record`);
    }
  }
  for (const [session, events] of record.sessions) {
    const gap = events.findIndex(({ seq }, at) => seq !== at + 1);
    if (gap >= 0) found.push(`session ${session} has event ${events[gap]!.seq} for ${gap + 1}`);
  }
  const ids = new Set(record.events.map(({ id }) => id));
  if (ids.size < record.events.length) found.push('events of the same id are on record');
  if (record.unclosed.length > cutOff) {
    found.push(`sessions without an end: ${record.unclosed.join(' ')}`);
  }
  return found;
}

/** RFC 3339 with six digits → microseconds of the epoch. */
function microseconds(time: string): number {
  return Date.parse(`${time.slice(0, 19)}Z`) * 1000 + Number(time.slice(20, 26));
}
