/** The record of an identity's sessions, in the terms of the tally that its programs kept. */
import { type RecordedEvent, type RecordedView, recordedViews } from './record.ts';

export interface SessionRecord {
  readonly session: string;
  /** Of the pod that opened it. */
  readonly pod: string;
  readonly events: readonly RecordedEvent[];
  /** Ids of the statements that it decided, with their outcomes as a tally would have them. */
  readonly statements: ReadonlyMap<number, readonly string[]>;
}

/** What is on record of an identity (`namespace/name`), session by session. */
export async function recordOf(identity: string): Promise<readonly SessionRecord[]> {
  const views = await recordedViews({ identity });
  return [...Map.groupBy(views, ({ event }) => event.session as string)].map(
    ([session, ofSession]) => {
      const events = ofSession.map(({ event }) => event).sort((a, b) => a.seq - b.seq);
      const opened = events.find(({ type }) => type === 'SessionOpened');
      const statements = statementsOf(ofSession, events);
      return { session, pod: opened?.proof.pod ?? '', events, statements };
    },
  );
}

/** What is wrong with a session that has ended: events missing, double, or not closed. Empty: nothing. */
export function faultsOf({ session, events }: SessionRecord): string[] {
  const numbers = events.map(({ seq }) => seq);
  const last = events.at(-1);
  const faults = [];
  if (numbers.some((seq, index) => seq !== index + 1)) faults.push(`events ${numbers}`);
  if (events[0]?.type !== 'SessionOpened') faults.push(`begins with ${events[0]?.type}`);
  if (last?.type !== 'SessionClosed') faults.push(`ends with ${last?.type}`);
  else if (last.lastSeq !== numbers.length) faults.push(`lastSeq ${last.lastSeq}`);
  return faults.map((fault) => `${session}: ${fault}`);
}

/** The id that a program of `tally.ts` puts into its statement. */
const idInStatement = /statement_(\d+)/;

function statementsOf(views: readonly RecordedView[], events: readonly RecordedEvent[]) {
  const completed = new Map(
    events
      .filter(({ type }) => type === 'OperationCompleted')
      .map((event) => [event.decision as number, event]),
  );
  const statements = new Map<number, string[]>();
  for (const { event, parts } of views) {
    const [, id] = idInStatement.exec(parts.statement?.content ?? '') ?? [];
    if (event.type !== 'OperationDecided' || id === undefined) continue;
    const outcomes = statements.get(Number(id)) ?? [];
    outcomes.push(outcomeOf(event, completed.get(event.seq)));
    statements.set(Number(id), outcomes);
  }
  return statements;
}

function outcomeOf(decided: RecordedEvent, completed: RecordedEvent | undefined): string {
  if (decided.verdict !== 'Allow') return '42501';
  if (completed === undefined) return 'not completed';
  return completed.sqlstate ?? completed.outcome;
}
