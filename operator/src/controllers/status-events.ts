/** Events that tell of conditions that changed. */
import type { WantedStatus } from '@chaperone/control/controllers/statuses.ts';
import type { Condition } from '@chaperone/core/resources/types.ts';
import type { EventDetails, EventSubject } from '../kubernetes/event-recorder.ts';

/** Conditions of which it is bad news that they hold. */
const troubles: ReadonlySet<string> = new Set(['Expiring', 'ReviewDue', 'Conflict']);

/** Reasons that are bad news although the condition holds. */
const troubleReasons: ReadonlySet<string> = new Set(['PartlyReachable']);

/** One for each condition that came to hold or not, or for another reason; none where nothing was known before and all is well. */
export function eventsOfStatus({ object, patch }: WantedStatus): readonly EventDetails[] {
  const before = object.status?.conditions ?? [];
  return ((patch.conditions ?? []) as readonly Condition[]).flatMap((condition): EventDetails[] => {
    const { type, status, reason, message } = condition;
    // Said by Ready already.
    if (type === 'Accepted' || type === 'CredentialsResolved') return [];
    const known = before.find((other) => other.type === type);
    if (known?.status === status && known.reason === reason) return [];
    // That nobody knows is no news: what is known next is.
    if (status === 'Unknown') return [];
    const bad = (status === 'True') === troubles.has(type) || troubleReasons.has(reason);
    if (known === undefined && !bad) return [];
    return [{ type: bad ? 'Warning' : 'Normal', reason, action: `Set${type}`, note: message }];
  });
}

export function subjectOf({ object }: WantedStatus): EventSubject {
  const { apiVersion, kind, metadata } = object;
  const { namespace, name, uid } = metadata;
  return { apiVersion, kind, namespace, name, uid };
}
