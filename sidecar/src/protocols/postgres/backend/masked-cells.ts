import type { RuleRef } from '@chaperone/core/policy/types.ts';

/**
 * Values masked in one result, by rule. A detector's mask is shared by results and names the rule of its last hit, so the
 * rule is taken at each hit; it seldom is another one than before.
 */
export class MaskedCells {
  /** By column, since the rule there was another. */
  readonly #counts: number[];
  readonly #rules: (RuleRef | undefined)[];
  readonly #before = new Map<RuleRef, number>();

  constructor(columns: number) {
    this.#counts = new Array<number>(columns).fill(0);
    this.#rules = new Array<RuleRef | undefined>(columns).fill(undefined);
  }

  /** One more value of that column was masked by `rule`. */
  hit(column: number, rule: RuleRef): void {
    if (this.#rules[column] !== rule) {
      this.#settle(column);
      this.#rules[column] = rule;
    }
    this.#counts[column] = this.#counts[column]! + 1;
  }

  /** What was counted since this was asked last, rule by rule. */
  take(): [rule: RuleRef, cells: number][] {
    for (let column = 0; column < this.#counts.length; column += 1) this.#settle(column);
    if (this.#before.size === 0) return [];
    const taken = [...this.#before];
    this.#before.clear();
    return taken;
  }

  #settle(column: number): void {
    const rule = this.#rules[column];
    const count = this.#counts[column]!;
    if (rule === undefined || count === 0) return;
    this.#before.set(rule, (this.#before.get(rule) ?? 0) + count);
    this.#counts[column] = 0;
  }
}
