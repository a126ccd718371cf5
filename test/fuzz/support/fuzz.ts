/**
 * Properties that run for a time instead of a number of cases. In `make test` that is a moment
 * (`CHAPERONE_FUZZ_SECONDS` is not set), after the cases that once failed; `make fuzz` gives each its time.
 */
import { setTimeout as delay } from 'node:timers/promises';
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

/** A bound on hanging, not a measure: a case that has not ended by then never does. */
const longestCaseMs = 30_000;

export interface FuzzOptions<Values> {
  /** Seconds in `make test`. */
  readonly briefly: number;
  readonly past?: readonly PastFailure<Values>[];
  /** Cases that are run whatever they take: on a busy machine the time may be over before the first has ended. */
  readonly atLeast?: number;
}

/** Declares a test that runs the property until its time is over; a failure prints the case, and its seed and path. */
export function fuzz<Values>(
  name: string,
  property: fc.IRawProperty<Values>,
  { briefly, past = [], atLeast = 3 }: FuzzOptions<NoInfer<Values>>,
): void {
  const seconds = given === undefined ? briefly : Number(given);
  const again = process.env['CHAPERONE_SEED'];
  const timeout = longestCaseMs;
  test(
    name,
    async () => {
      for (const { values, was } of past) {
        const details = await fc.check(property, { examples: [values], numRuns: 1, timeout });
        if (details.failed) throw new Error(`again: ${was}`, { cause: details.errorInstance });
      }
      const seed = again === undefined ? Date.now() | 0 : Number(again);
      const { watched, end } = watch(property);
      fail(
        await fc.check(watched, {
          seed,
          numRuns: atLeast,
          timeout,
          interruptAfterTimeLimit: 60_000,
        }),
      );
      await end();
      const details = await fc.check(watched, {
        seed,
        numRuns: Number.MAX_SAFE_INTEGER,
        timeout,
        interruptAfterTimeLimit: seconds * 1000,
      });
      if (given !== undefined) process.stdout.write(`${details.numRuns} cases: ${name}\n`);
      fail(details);
      await end();
    },
    seconds * 1000 + 240_000,
  );
}

/** Throws where a property has failed. */
function fail<Values>(details: fc.RunDetails<Values>): void {
  if (!details.failed || details.counterexample === null) return;
  throw new Error(fc.defaultReportMessage(details), { cause: details.errorInstance });
}

/** The property, and what waits for the case that its time ran out in: one that fails then, or never ends, has failed. */
function watch<Values>(property: fc.IRawProperty<Values>): {
  readonly watched: fc.IRawProperty<Values>;
  readonly end: () => Promise<void>;
} {
  type Result = ReturnType<fc.IRawProperty<Values>['run']>;
  let last: { readonly values: Values; readonly result: Result } | undefined;
  const watched: fc.IRawProperty<Values> = Object.create(property, {
    run: {
      value: (values: Values) => {
        const result = property.run(values);
        last = { values, result };
        return result;
      },
    },
  });
  const end = async (): Promise<void> => {
    if (last === undefined) return;
    const { values, result } = last;
    const over = new AbortController();
    const never = delay(longestCaseMs, { error: 'it does not end' }, { signal: over.signal });
    never.catch(() => {});
    const failure = await Promise.race([result, never]);
    over.abort();
    if (failure === null) return;
    const cause = 'error' in failure ? failure.error : undefined;
    throw new Error(`the last case: ${fc.stringify(values)}: ${cause}`, { cause });
  };
  return { watched, end };
}
