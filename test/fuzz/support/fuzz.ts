/**
 * Properties that run for a time instead of a number of cases. In `make test` that is a moment
 * (`CHAPERONE_FUZZ_SECONDS` is not set), after the cases that once failed; `make fuzz` gives each its time.
 */
import { test } from '@jest/globals';
import fc from 'fast-check';

/**
 * A case that failed once. It is kept as the values that the property was run with, which a failure prints as its
 * counterexample: a seed means another case as soon as a generator changes, and nobody is told. Values go on meaning
 * the same, or do not compile any more. What a generator makes that has no literal (a step, an event) is made by the
 * same function here. Who keeps one has seen it fail without the repair.
 */
export interface PastFailure<Values> {
  readonly values: Values;
  /** What was wrong. */
  readonly was: string;
}

const given = process.env['CHAPERONE_FUZZ_SECONDS'];

export interface FuzzOptions<Values> {
  /** Seconds in `make test`. */
  readonly briefly: number;
  readonly past?: readonly PastFailure<Values>[];
}

/** Declares a test that runs the property until its time is over; a failure prints the case, and its seed and path. */
export function fuzz<Values>(
  name: string,
  property: fc.IRawProperty<Values>,
  { briefly, past = [] }: FuzzOptions<NoInfer<Values>>,
): void {
  const seconds = given === undefined ? briefly : Number(given);
  const again = process.env['CHAPERONE_SEED'];
  test(
    name,
    async () => {
      for (const { values, was } of past) {
        const details = await fc.check(property, { examples: [values], numRuns: 1 });
        if (details.failed) {
          throw new Error(`again: ${was}`, { cause: details.errorInstance });
        }
      }
      const seed = again === undefined ? Date.now() | 0 : Number(again);
      // A few whatever they take: on a busy machine the time may be over before the first has ended.
      await fc.assert(property, { seed, numRuns: 3 });
      const details = await fc.check(property, {
        seed,
        numRuns: Number.MAX_SAFE_INTEGER,
        interruptAfterTimeLimit: seconds * 1000,
      });
      if (given !== undefined) process.stdout.write(`${details.numRuns} cases: ${name}\n`);
      if (details.failed && details.counterexample !== null) {
        throw new Error(fc.defaultReportMessage(details), { cause: details.errorInstance });
      }
    },
    seconds * 1000 + 120_000,
  );
}
