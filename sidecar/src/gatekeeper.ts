/**
 * The one place with effects around a decision: it counts limits, and holds statements back while the
 * record cannot be written. No record, no access.
 */
import type { LimitReached } from '@chaperone/core/events/types.ts';
import type { TargetPolicy } from '@chaperone/core/policy/compile.ts';
import {
  type EffectiveLimit,
  type EffectiveLimits,
  LimitCounter,
} from '@chaperone/core/policy/limits.ts';
import { refusalOfIdentity } from '@chaperone/core/policy/refusals.ts';
import type {
  Durability,
  LimitObligation,
  Permit,
  Refusal,
  RuleRef,
} from '@chaperone/core/policy/types.ts';
import type { Clock } from '@chaperone/runtime/clock.ts';
import type { SpoolRecorder } from '@chaperone/runtime/recorder/options.ts';
import type { RecorderFailure } from '@chaperone/runtime/recorder/types.ts';

/** What the gatekeeper needs to know of a decided statement, whatever its protocol. */
export interface Admissible {
  readonly permit?: Permit;
  readonly limits: EffectiveLimits;
}

/** A result that has passed its limit. */
export interface OverLimit {
  readonly limit: Omit<LimitReached, 'type'>;
  readonly message: string;
  readonly hint: string;
}

export class Gatekeeper {
  readonly #recorder: SpoolRecorder;
  readonly #clock: Clock;
  readonly #isStale: (identityUid: string) => boolean;
  /** By identity and target: the limits' scope within this proxy. */
  readonly #counters = new Map<string, LimitCounter>();
  /** The same by policy, of which there are several in an identity's life: asked for at each statement. */
  readonly #counterOf = new WeakMap<TargetPolicy, LimitCounter>();
  readonly #sessions = new Map<string, number>();

  /** `isStale`: whether the policy of that identity is too old to be enforced. */
  constructor(recorder: SpoolRecorder, clock: Clock, isStale: (identityUid: string) => boolean) {
    this.#recorder = recorder;
    this.#clock = clock;
    this.#isStale = isStale;
  }

  /** Counts a session; undefined when it may be opened, else why not. Every one opened is to be closed. */
  openSession(policy: TargetPolicy): Refusal | undefined {
    const gone = this.identityRefusal(policy) ?? this.#staleRefusal(policy);
    if (gone !== undefined) return gone;
    const open = this.#sessions.get(scopeOf(policy)) ?? 0;
    for (const rule of policy.bundle.rules) {
      const max = rule.limits?.concurrentSessions;
      if (rule.action !== 'Allow' || max === undefined || open < max) continue;
      return limitRefusal(
        rule.ref,
        `${max} sessions of this identity are open`,
        'Close one first.',
      );
    }
    this.#sessions.set(scopeOf(policy), open + 1);
    return undefined;
  }

  closeSession(policy: TargetPolicy): void {
    const open = (this.#sessions.get(scopeOf(policy)) ?? 1) - 1;
    if (open > 0) this.#sessions.set(scopeOf(policy), open);
    else this.#sessions.delete(scopeOf(policy));
  }

  /** Why the identity may do nothing now, if so. */
  identityRefusal(policy: TargetPolicy): Refusal | undefined {
    return refusalOfIdentity(policy, this.#clock.nowMs());
  }

  #staleRefusal({ identity }: TargetPolicy): Refusal | undefined {
    if (!this.#isStale(identity.uid)) return undefined;
    return {
      verdict: 'Deny',
      reason: 'StalePolicy',
      message:
        'the policy API has not been heard of for longer than a policy may be enforced without it (CHP-3010)',
      hint: 'Try again later; the operator of the proxy can tell why the policy API is not reachable.',
      wouldDeny: [],
    };
  }

  /**
   * Takes one statement against its rates; a refusal when one is used up, nothing can be recorded, or the
   * policy that allowed it is too old.
   */
  admit(policy: TargetPolicy, statement: Admissible): Refusal | undefined {
    const { failure } = this.#recorder;
    if (failure !== undefined) {
      return {
        verdict: 'Deny',
        reason: 'Recorder',
        message: `nothing can be recorded now, so nothing is forwarded (${failure.code})`,
        hint: 'Try again later; the operator of the proxy can tell why the record cannot be written.',
        wouldDeny: [],
      };
    }
    const stale = this.#staleRefusal(policy);
    if (stale !== undefined) return stale;
    const obligations = statement.permit?.limits ?? [];
    if (obligations.length === 0) return undefined;
    const breach = this.#counter(policy).admit(obligations, this.#rateMs());
    if (breach === undefined) return undefined;
    const seconds = Math.max(1, Math.ceil((breach.retryAtMs - this.#rateMs()) / 1000));
    return limitRefusal(
      breach.rule,
      `${breach.limit} is ${breach.allowed}`,
      `Try again in ${seconds} s, or have the limit raised.`,
    );
  }

  /** What is over when `rows` rows of `bytes` bytes in all have come, or undefined. */
  overLimit(statement: Admissible, rows: number, bytes: number): OverLimit | undefined {
    const { rowsPerStatement, bytesPerStatement } = statement.limits;
    if (rowsPerStatement !== undefined && rows > rowsPerStatement.max) {
      return over('rowsPerStatement', rowsPerStatement);
    }
    if (bytesPerStatement !== undefined && bytes > bytesPerStatement.max) {
      return over('bytesPerStatement', bytesPerStatement);
    }
    return undefined;
  }

  /** What is over when the hour has no room for another row. */
  overHour(obligations: readonly LimitObligation[]): OverLimit | undefined {
    let smallest: EffectiveLimit | undefined;
    for (const { rule, limits } of obligations) {
      const max = limits.rowsPerHour;
      if (max !== undefined && (smallest === undefined || max < smallest.max)) {
        smallest = { max, rule, onExceed: limits.onExceed };
      }
    }
    return smallest && over('rowsPerHour', smallest);
  }

  /** Counts the rows of a statement that has ended. */
  countRows(policy: TargetPolicy, obligations: readonly LimitObligation[], rows: number): void {
    if (obligations.length === 0 || rows === 0) return;
    this.#counter(policy).addRows(obligations, rows, this.#rateMs());
  }

  /** Rows that may still pass within the hour. */
  remainingRows(policy: TargetPolicy, obligations: readonly LimitObligation[]): number {
    if (obligations.length === 0) return Number.POSITIVE_INFINITY;
    return this.#counter(policy).remainingRows(obligations, this.#rateMs());
  }

  /** See `Recorder.whenDurable`. */
  whenDurable(level: Durability, callback: (failure?: RecorderFailure) => void): void {
    this.#recorder.whenDurable(level, callback);
  }

  /** What rates are counted by: a wall clock that is set would let an hour pass, or hold it for as long as it was ahead. */
  #rateMs(): number {
    return this.#clock.monotonicUs() / 1000;
  }

  #counter(policy: TargetPolicy): LimitCounter {
    const known = this.#counterOf.get(policy);
    if (known !== undefined) return known;
    const scope = scopeOf(policy);
    let counter = this.#counters.get(scope);
    if (counter === undefined) this.#counters.set(scope, (counter = new LimitCounter()));
    this.#counterOf.set(policy, counter);
    return counter;
  }
}

const scopeOf = ({ identity, bundle }: TargetPolicy): string =>
  `${identity.uid} ${bundle.target.uid}`;

const named = (rule: RuleRef): string =>
  `rule ${rule.rule} of AccessPolicy ${rule.namespace}/${rule.object}`;

function limitRefusal(rule: RuleRef, what: string, hint: string): Refusal {
  return {
    verdict: 'Deny',
    rule,
    reason: 'Limit',
    message: `the limit of ${named(rule)} is reached: ${what} (CHP-3008)`,
    hint,
    wouldDeny: [],
  };
}

function over(limit: string, { max, rule }: EffectiveLimit): OverLimit {
  return {
    limit: { rule, limit, allowed: max },
    message: `the result was cut: ${limit} of ${named(rule)} is ${max} (CHP-3008)`,
    hint: 'Ask for less at once, or have the limit raised.',
  };
}
