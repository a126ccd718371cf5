/**
 * Properties that run for a time instead of a number of cases. In `make test` that is a moment
 * (`CHAPERONE_FUZZ_SECONDS` is not set), after the cases that once failed; `make fuzz` gives each its time.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from '@jest/globals';
import fc from 'fast-check';

/** A failure that was found and repaired: how fast-check finds the same case again, and what it was. */
interface PastFailure {
  readonly seed: number;
  readonly path?: string;
  readonly was: string;
}

type PastFailures = Readonly<Record<string, readonly PastFailure[]>>;

const pastFailures = JSON.parse(
  readFileSync(join(import.meta.dirname, '..', 'past-failures.json'), 'utf8'),
) as PastFailures;

const given = process.env['CHAPERONE_FUZZ_SECONDS'];

export interface FuzzOptions {
  /** Seconds in `make test`. */
  readonly briefly: number;
}

/** Declares a test that runs the property until its time is over; a failure prints seed and path. */
export function fuzz<Values>(
  name: string,
  property: fc.IRawProperty<Values>,
  { briefly }: FuzzOptions,
): void {
  const seconds = given === undefined ? briefly : Number(given);
  const again = process.env['CHAPERONE_SEED'];
  test(
    name,
    async () => {
      for (const { seed, path } of pastFailures[name] ?? []) {
        await fc.assert(property, { seed, ...(path === undefined ? { numRuns: 100 } : { path }) });
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
