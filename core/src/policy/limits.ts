import type { LimitObligation, LimitSpec, RuleRef } from './types.ts';

/** A bound that the data path counts itself, and whose it is. */
export interface EffectiveLimit {
  readonly max: number;
  readonly rule: RuleRef;
  readonly onExceed: LimitSpec['onExceed'];
}

/** The bounds of one statement or session; absent where no rule sets one. */
export interface EffectiveLimits {
  readonly rowsPerStatement?: EffectiveLimit;
  readonly bytesPerStatement?: EffectiveLimit;
  /** Sessions of the identity on the target that may be open at once. */
  readonly concurrentSessions?: EffectiveLimit;
}

const counted = ['rowsPerStatement', 'bytesPerStatement', 'concurrentSessions'] as const;

/** Of several rules that limit the same thing, the smallest bound holds. */
export function effectiveLimits(obligations: readonly LimitObligation[]): EffectiveLimits {
  const effective: { -readonly [name in keyof EffectiveLimits]: EffectiveLimits[name] } = {};
  for (const { rule, limits } of obligations) {
    for (const name of counted) {
      const max = limits[name];
      const known = effective[name];
      if (max !== undefined && (known === undefined || max < known.max)) {
        effective[name] = { max, rule, onExceed: limits.onExceed };
      }
    }
  }
  return effective;
}

/** A rate that is used up. */
export interface LimitBreach {
  readonly limit: 'rowsPerHour' | 'statementsPerSecond';
  readonly allowed: number;
  readonly rule: RuleRef;
  readonly onExceed: LimitSpec['onExceed'];
  /** When it makes sense to try again, by the clock that the counter is given. */
  readonly retryAtMs: number;
}

const minuteMs = 60_000;
/** One more than an hour has: the hour before any moment touches 61 minutes of the clock. */
const minutes = 61;

/** What one rule has let pass. */
interface RuleState {
  /** Tokens left in the bucket, and when they were counted. */
  tokens: number;
  countedAtMs: number;
  /** Rows by minute of the clock, at index minute % 61, with the minute that the number is of. */
  readonly rows: Float64Array;
  readonly minuteOf: Float64Array;
}

/**
 * Counts statements and rows against rates, rule by rule. One for all that share a limit: a pod's sessions
 * of one identity, or an identity's everywhere. Time is given; a clock that goes back gains nothing.
 */
export class LimitCounter {
  readonly #states = new Map<string, RuleState>();
  #latestMs = Number.NEGATIVE_INFINITY;

  /**
   * Takes one statement. Gives the first rate that has no room for it, and then takes nothing from any. A
   * bucket holds one second's statements; an hour's rows are full once they are reached.
   */
  admit(obligations: readonly LimitObligation[], nowMs: number): LimitBreach | undefined {
    const now = this.#forward(nowMs);
    for (const obligation of obligations) {
      const breach = this.#breach(obligation, now);
      if (breach !== undefined) return breach;
    }
    for (const obligation of obligations) {
      if (obligation.limits.statementsPerSecond !== undefined) {
        this.#state(obligation, now).tokens -= 1;
      }
    }
    return undefined;
  }

  /** Counts rows that a statement returned or changed; gives the rate that they have passed. */
  addRows(
    obligations: readonly LimitObligation[],
    rows: number,
    nowMs: number,
  ): LimitBreach | undefined {
    const now = this.#forward(nowMs);
    let breach: LimitBreach | undefined;
    for (const obligation of obligations) {
      const { rowsPerHour } = obligation.limits;
      if (rowsPerHour === undefined) continue;
      const state = this.#state(obligation, now);
      const minute = Math.floor(now / minuteMs);
      const index = minute % minutes;
      if (state.minuteOf[index] !== minute) {
        state.minuteOf[index] = minute;
        state.rows[index] = 0;
      }
      state.rows[index]! += rows;
      if (rowsIn(state, minute) > rowsPerHour) {
        breach ??= { ...hourBreach(obligation, rowsPerHour), retryAtMs: retryAt(state, minute) };
      }
    }
    return breach;
  }

  /** Rows that may still pass within the hour, over all the rules; Infinity when none counts them. */
  remainingRows(obligations: readonly LimitObligation[], nowMs: number): number {
    const now = this.#forward(nowMs);
    let remaining = Number.POSITIVE_INFINITY;
    for (const obligation of obligations) {
      const { rowsPerHour } = obligation.limits;
      if (rowsPerHour === undefined) continue;
      const used = rowsIn(this.#state(obligation, now), Math.floor(now / minuteMs));
      remaining = Math.min(remaining, Math.max(0, rowsPerHour - used));
    }
    return remaining;
  }

  #breach(obligation: LimitObligation, now: number): LimitBreach | undefined {
    const { statementsPerSecond, rowsPerHour } = obligation.limits;
    if (statementsPerSecond === undefined && rowsPerHour === undefined) return undefined;
    const state = this.#state(obligation, now);
    if (rowsPerHour !== undefined) {
      const minute = Math.floor(now / minuteMs);
      if (rowsIn(state, minute) >= rowsPerHour) {
        return { ...hourBreach(obligation, rowsPerHour), retryAtMs: retryAt(state, minute) };
      }
    }
    if (statementsPerSecond !== undefined) {
      const gained = ((now - state.countedAtMs) / 1000) * statementsPerSecond;
      state.tokens = Math.min(statementsPerSecond, state.tokens + gained);
      state.countedAtMs = now;
      if (state.tokens < 1) {
        return {
          limit: 'statementsPerSecond',
          allowed: statementsPerSecond,
          rule: obligation.rule,
          onExceed: obligation.limits.onExceed,
          retryAtMs: now + Math.ceil(((1 - state.tokens) / statementsPerSecond) * 1000),
        };
      }
    }
    return undefined;
  }

  #state({ rule, limits }: LimitObligation, now: number): RuleState {
    // Without the generation: an edited rule goes on counting.
    const key = `${rule.kind} ${rule.namespace}/${rule.object}/${rule.rule}`;
    let state = this.#states.get(key);
    if (state === undefined) {
      state = {
        tokens: limits.statementsPerSecond ?? 0,
        countedAtMs: now,
        rows: new Float64Array(minutes),
        minuteOf: new Float64Array(minutes).fill(-1),
      };
      this.#states.set(key, state);
    }
    return state;
  }

  #forward(nowMs: number): number {
    this.#latestMs = Math.max(this.#latestMs, nowMs);
    return this.#latestMs;
  }
}

function rowsIn(state: RuleState, minute: number): number {
  let sum = 0;
  for (let index = 0; index < minutes; index += 1) {
    if (state.minuteOf[index]! > minute - minutes) sum += state.rows[index]!;
  }
  return sum;
}

/** When the oldest rows that still count have passed by. */
function retryAt(state: RuleState, minute: number): number {
  let oldest = minute;
  for (let index = 0; index < minutes; index += 1) {
    const of = state.minuteOf[index]!;
    if (of > minute - minutes && of < oldest && state.rows[index]! > 0) oldest = of;
  }
  return (oldest + minutes) * minuteMs;
}

const hourBreach = ({ rule, limits }: LimitObligation, allowed: number) =>
  ({ limit: 'rowsPerHour', allowed, rule, onExceed: limits.onExceed }) as const;
