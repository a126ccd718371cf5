/** PostgreSQL's own limit of a target list (MaxTupleAttributeNumber). */
export const maxFields = 1664;

/**
 * Units of work that one text may take. A unit is about one object made or one list entry copied. An
 * INSERT of 64,000 values into one table takes 3 % of them.
 */
export const maxWork = 2_000_000;

/** How many entries that are only looked at, as names are when one is resolved, count as one unit. */
const entriesPerUnit = 32;

/** The text asks for more than the analysis may spend; it is refused as one over the other caps is. */
export class CapError extends Error {
  override readonly name = 'CapError';
}

/**
 * What is left of the work that a text may take. The tree's size is bounded before, but a few stars,
 * recursive queries or joins multiply what each other mean.
 */
export class Budget {
  #left: number;

  constructor(units: number = maxWork) {
    this.#left = units;
  }

  /** Throws CapError once it is used up. */
  spend(units: number): void {
    this.#left -= units;
    if (this.#left < 0) throw new CapError('the statement takes too much work to analyze');
  }

  /** For `entries` that are only compared. */
  search(entries: number): void {
    this.spend(Math.ceil(entries / entriesPerUnit));
  }
}

/** Throws CapError for more columns than PostgreSQL gives a list. */
export function checkWidth(fields: number): void {
  if (fields > maxFields) throw new CapError(`a list has more than ${maxFields} columns`);
}
