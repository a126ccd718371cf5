import { formatTimeUs } from '../record/time.ts';
import type {
  Alert,
  KeptPart,
  SourceIntegrity,
  StoredEvent,
  StoredSession,
} from '../store/types.ts';

function timeOfMs(ms: number): string {
  return formatTimeUs(ms * 1000);
}

/** A part as readers get it; the salt only where exact bytes are asked for. */
export type PartView =
  | { readonly state: 'Kept'; readonly content: string; readonly salt?: string }
  /** `Apart`: kept, and given by a request of its own. */
  | { readonly state: 'Apart' | 'Purged' | 'Withheld' };

/** An event as readers get it. */
export interface EventView {
  /** RFC 3339: when the collector had it. */
  readonly receivedAt: string;
  /** The metadata line, parsed. */
  readonly event: Readonly<Record<string, unknown>>;
  /** The metadata line's exact text, where it was asked for. */
  readonly line?: string;
  readonly parts: Readonly<Record<string, PartView>>;
}

/** A part with its salt, in base64. */
export function viewPart({ content, salt }: KeptPart): PartView {
  return { state: 'Kept', content, salt: Buffer.from(salt).toString('base64') };
}

/** JSON of an EventView. The line stands in it as it is: it is JSON, and is not written again. */
export function renderEvent(event: StoredEvent, exact: boolean): string {
  const parts: Record<string, PartView> = {};
  for (const [name, part] of Object.entries(event.parts)) {
    if (part.state !== 'Kept') parts[name] = part;
    else parts[name] = exact ? viewPart(part) : { state: 'Kept', content: part.content };
  }
  const line = exact ? `,"line":${JSON.stringify(event.line)}` : '';
  return `{"receivedAt":"${timeOfMs(event.receivedMs)}","event":${event.line}${line},"parts":${JSON.stringify(parts)}}`;
}

/** A session as readers get it; times RFC 3339. */
export interface SessionView {
  readonly id: string;
  readonly source: string;
  readonly program?: string;
  readonly startedAt?: string;
  readonly lastEventAt?: string;
  readonly identity?: NonNullable<StoredSession['opened']>['identity'];
  readonly target?: NonNullable<StoredSession['opened']>['target'];
  readonly database?: string;
  readonly closed?: {
    readonly at: string;
    readonly reason: string;
    readonly statements: number;
    readonly refused: number;
    readonly rows: number;
    readonly bytes: number;
    readonly lastSeq: number;
  };
  /** All events up to this number are here, or known to be lost. */
  readonly acknowledged: number;
  /** The highest number known to exist. */
  readonly known: number;
  readonly hold: boolean;
}

export function viewSession(session: StoredSession): SessionView {
  const { id, source, program, startedUs, lastUs, opened, closed } = session;
  const { acknowledged, known, hold } = session;
  return {
    id,
    source,
    ...(program !== undefined && { program }),
    ...(startedUs !== undefined && { startedAt: formatTimeUs(startedUs) }),
    ...(lastUs !== undefined && { lastEventAt: formatTimeUs(lastUs) }),
    ...opened,
    ...(closed && {
      closed: {
        at: formatTimeUs(closed.timeUs),
        reason: closed.reason,
        statements: closed.statements,
        refused: closed.refused,
        rows: closed.rows,
        bytes: closed.bytes,
        lastSeq: closed.lastSeq,
      },
    }),
    acknowledged,
    known,
    hold,
  };
}

export function viewSource(integrity: SourceIntegrity) {
  const { completeUpToUs, ...rest } = integrity;
  return {
    ...rest,
    ...(completeUpToUs !== undefined && { completeUpTo: formatTimeUs(completeUpToUs) }),
  };
}

export function viewAlert(alert: Alert) {
  const { raisedMs, ...rest } = alert;
  return { ...rest, raisedAt: timeOfMs(raisedMs) };
}
