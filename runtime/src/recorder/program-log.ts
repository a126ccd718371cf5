import type { EventBody, ProgramEvent, RecordGap } from '@chaperone/core/events/types.ts';
import type { Clock, Timer } from '../clock.ts';
import type { EventBatch } from './event-batch.ts';
import type { EventWriter } from './event-writer.ts';
import type { RecorderLogger } from './options.ts';
import type { SpoolDamage } from './recover.ts';
import type { RecordedSession } from './session.ts';
import type { LeftRange } from './shipper.ts';

/** Open sessions that one Heartbeat names. */
const sessionsPerHeartbeat = 500;

export interface ProgramLogOptions {
  readonly program: { readonly name: string; readonly version: string };
  readonly clock: Clock;
  readonly logger: RecorderLogger;
  readonly heartbeatMs?: number;
  readonly writer: EventWriter;
  /** The session of this process. */
  readonly session: RecordedSession;
}

/** What a program records of itself: start, stop, the state of its spool, and heartbeats. */
export class ProgramLog {
  readonly #options: ProgramLogOptions;
  #heartbeat: Timer | undefined;

  constructor(options: ProgramLogOptions) {
    this.#options = options;
  }

  report(type: ProgramEvent['type'], detail?: string): void {
    this.#options.session.append(this.#event(type, detail));
  }

  started(recoveredEvents: number, damages: readonly SpoolDamage[]): void {
    const { logger } = this.#options;
    this.report('ProgramStarted');
    if (recoveredEvents > 0) {
      logger.info({ events: recoveredEvents }, 'events of an earlier run are in the spool');
    }
    for (const damage of damages) {
      logger.error({ code: 'CHP-4008', damage }, 'the spool was damaged');
      this.report('SpoolState', describeDamage(damage));
    }
  }

  stopped(): void {
    this.#heartbeat?.cancel();
    this.report('ProgramStopped');
  }

  /** Names every open session and its last event, so that a withheld session or a cut tail is visible. */
  beat(sessions: ReadonlyMap<string, RecordedSession>): void {
    const { clock, session: own, heartbeatMs = 30_000 } = this.#options;
    this.#heartbeat = clock.setTimer(heartbeatMs, () => {
      const open = [...sessions.values()].filter((session) => session !== own);
      for (let at = 0; at === 0 || at < open.length; at += sessionsPerHeartbeat) {
        const some = open.slice(at, at + sessionsPerHeartbeat);
        const last = Object.fromEntries(some.map(({ id, lastSeq }) => [id, lastSeq]));
        own.append({ ...this.#event('Heartbeat'), sessions: last });
      }
      this.beat(sessions);
    });
  }

  /** Two events in a session of their own, so that they can go out before everything that waits. */
  gapNotice(ofSession: string, from: number, to: number): EventBatch {
    this.#options.logger.error({ session: ofSession, from, to }, 'the collector misses events');
    return this.#notice(`events ${from} to ${to} of session ${ofSession} are gone`, [
      { ofSession, from, to, reason: 'not in the spool: lost, damaged or refused earlier' },
    ]);
  }

  /** The same of events that nobody took before the program had to end. */
  leftNotice(ranges: readonly LeftRange[]): EventBatch {
    return this.#notice(
      `events of ${ranges.length} sessions were not taken before the program ended`,
      ranges.map(({ session: ofSession, from, to }) => ({
        ofSession,
        from,
        to,
        reason: 'not taken by anyone before the program had to end',
      })),
    );
  }

  /** Events in a session of their own. */
  #notice(detail: string, gaps: readonly Omit<RecordGap, 'type'>[]): EventBatch {
    const bodies: EventBody[] = [
      this.#event('SpoolState', detail),
      ...gaps.map((gap) => ({ type: 'RecordGap' as const, ...gap })),
    ];
    return this.#options.writer.session(bodies);
  }

  #event(type: ProgramEvent['type'], detail?: string): ProgramEvent {
    const { name: program, version } = this.#options.program;
    return { type, program, version, ...(detail === undefined ? {} : { detail }) };
  }
}

function describeDamage(damage: SpoolDamage): string {
  const { kind, segment, offset, bytes, after, keptIn } = damage;
  const what = kind === 'TornTail' ? 'an unfinished write was cut' : 'damaged bytes were cut out';
  const where = `segment ${segment}, ${bytes} bytes from offset ${offset}`;
  const last = after === undefined ? '' : `, after event ${after.seq} of session ${after.session}`;
  return `${what}: ${where}${last}${keptIn === undefined ? '' : `; kept in ${keptIn}`}`;
}
