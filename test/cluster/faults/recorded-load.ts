import type { RecordedEvent, RecordedView } from '../support/record.ts';
import { numberIn } from './statements.ts';

/** What the record holds of a load. */
export class RecordedLoad {
  /** By session, in the order of their numbers. */
  readonly sessions: ReadonlyMap<string, readonly RecordedEvent[]>;
  /** By the number of the statement that they decide. */
  readonly decisions: ReadonlyMap<number, readonly RecordedEvent[]>;

  constructor(views: readonly RecordedView[]) {
    const sessions = new Map<string, RecordedEvent[]>();
    const decisions = new Map<number, RecordedEvent[]>();
    for (const { event, parts } of views) {
      add(sessions, event.session, event);
      const number = numberIn(parts.statement?.content ?? '');
      if (event.type === 'OperationDecided' && number !== undefined) add(decisions, number, event);
    }
    for (const events of sessions.values()) events.sort((a, b) => a.seq - b.seq);
    this.sessions = sessions;
    this.decisions = decisions;
  }

  get events(): readonly RecordedEvent[] {
    return [...this.sessions.values()].flat();
  }

  /** Sessions whose end is not on record. */
  get unclosed(): readonly string[] {
    return [...this.sessions].flatMap(([session, events]) =>
      events.at(-1)?.type === 'SessionClosed' ? [] : [session],
    );
  }

  /** Whether nothing of its session comes after it. */
  isLast({ session, seq }: RecordedEvent): boolean {
    return this.sessions.get(session)?.at(-1)?.seq === seq;
  }

  /** The events that close a decision. */
  completionsOf({ session, seq }: RecordedEvent): readonly RecordedEvent[] {
    const events = this.sessions.get(session) ?? [];
    return events.filter(({ type, decision }) => type === 'OperationCompleted' && decision === seq);
  }
}

function add<Key>(map: Map<Key, RecordedEvent[]>, key: Key, event: RecordedEvent): void {
  const events = map.get(key);
  if (events === undefined) map.set(key, [event]);
  else events.push(event);
}
