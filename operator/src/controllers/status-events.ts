/** Events that tell of conditions that changed. */
import {
  backendCondition,
  isBackendTrouble,
} from '@chaperone/control/controllers/backend-status.ts';
import type { WantedStatus } from '@chaperone/control/controllers/statuses.ts';
import type { Condition } from '@chaperone/core/resources/types.ts';
import type { Clock, Timer } from '@chaperone/runtime/clock.ts';
import type { EventDetails, EventSubject } from '../kubernetes/event-recorder.ts';

/** Conditions of which it is bad news that they hold. */
const troubles: ReadonlySet<string> = new Set(['Expiring', 'ReviewDue', 'Conflict']);

/**
 * What may only not have arrived: objects that are applied together come by one watch for each kind, and in no
 * order.
 */
const passing: ReadonlySet<string> = new Set([
  'TargetNotFound',
  'NotPermitted',
  'SecretNotFound',
  'CANotFound',
  'KeyNotFound',
]);
/** It is told of when it has lasted for this long. */
const lastingMs = 10_000;

export interface StatusEventsOptions {
  readonly record: (subject: EventSubject, details: EventDetails) => void;
  readonly clock: Clock;
}

/** Of one condition, what is told when it lasts. */
interface Pending {
  readonly timer: Timer;
  readonly tell: () => void;
  /** Whether something else was amiss before, and told of. */
  readonly afterTrouble: boolean;
}

/** An Event for each condition that came to hold or not, or for another reason; none of what passes by itself. */
export class StatusEvents {
  readonly #options: StatusEventsOptions;
  /** By the object's uid and the condition's type. */
  readonly #pending = new Map<string, Pending>();

  constructor(options: StatusEventsOptions) {
    this.#options = options;
  }

  /** To be told of each status that was written; `object` is as it was before. */
  written(status: WantedStatus): void {
    const subject = subjectOf(status);
    for (const { type, wasBad, event } of changesOf(status)) {
      const key = JSON.stringify([status.object.metadata.uid, type]);
      const waiting = this.#pending.get(key);
      waiting?.timer.cancel();
      this.#pending.delete(key);
      if (event === undefined) continue;
      const tell = (): void => {
        this.#pending.delete(key);
        this.#options.record(subject, event);
      };
      const afterTrouble = waiting?.afterTrouble ?? wasBad;
      if (passing.has(event.reason)) {
        const timer = this.#options.clock.setTimer(lastingMs, tell);
        this.#pending.set(key, { timer, tell, afterTrouble });
        continue;
      }
      // Of what nobody heard was amiss, nobody need hear that it is well.
      if (waiting === undefined || afterTrouble || event.type === 'Warning') tell();
    }
  }

  /** Tells what is waiting: whoever goes on finds the conditions as they are, and nothing to tell. */
  stop(): void {
    for (const { timer, tell } of [...this.#pending.values()]) {
      timer.cancel();
      tell();
    }
  }
}

interface Change {
  /** Of the condition. */
  readonly type: string;
  /** Whether it was bad news before. */
  readonly wasBad: boolean;
  /** Undefined where nothing was known before and all is well. */
  readonly event: EventDetails | undefined;
}

function changesOf({ object, patch }: WantedStatus): readonly Change[] {
  const before = object.status?.conditions ?? [];
  return ((patch.conditions ?? []) as readonly Condition[]).flatMap((condition): Change[] => {
    const { type, status, reason, message } = condition;
    // Said by Ready already.
    if (type === 'Accepted' || type === 'CredentialsResolved') return [];
    const known = before.find((other) => other.type === type);
    if (known?.status === status && known.reason === reason) return [];
    // That nobody knows is no news: what is known next is.
    if (status === 'Unknown') return [];
    const bad = isBad(condition);
    const wasBad = known !== undefined && isBad(known);
    if (known === undefined && !bad) return [{ type, wasBad, event: undefined }];
    const event: EventDetails = {
      type: bad ? 'Warning' : 'Normal',
      reason,
      action: `Set${type}`,
      note: message,
    };
    return [{ type, wasBad, event }];
  });
}

const isBad = (condition: Condition): boolean => {
  const { type, status } = condition;
  if (status === 'Unknown') return false;
  if (type === backendCondition) return isBackendTrouble(condition);
  return (status === 'True') === troubles.has(type);
};

function subjectOf({ object }: WantedStatus): EventSubject {
  const { apiVersion, kind, metadata } = object;
  const { namespace, name, uid } = metadata;
  return { apiVersion, kind, namespace, name, uid };
}
