/** What the suites of drivers with pools share: on each version a lab, and one program that the steps run in. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DriverProgram } from './driver-program.ts';
import { type PoolLab, startPoolLab } from './pool-lab.ts';
import { installedVersions, type PostgresVersion } from './postgres.ts';

/** A program and its arguments. */
export type Command = readonly [file: string, ...args: string[]];

export interface DriverSuite {
  readonly version: PostgresVersion;
  /** Starts the program once more, as this identity; whoever does ends it. */
  startAs(identity: string): Promise<DriverProgram>;
  /** Declares a test for each step of the program, which it runs in this order: what it finds. */
  steps(found: Readonly<Record<string, unknown>>): void;
  /** Declares the test of sessions that we end: what its steps find while the identity is suspended, and later. */
  suspended(whileSuspended: unknown, again: unknown): void;
  /** Declares the test that nothing was refused that the steps do not provoke. */
  nothingElseRefused(): void;
}

/** The tests that `declare` declares, on each version; skipped without a command, which this machine cannot run then. */
export async function describeDriver(
  name: string,
  command: Command | undefined,
  declare: (suite: DriverSuite) => void,
): Promise<void> {
  const versions = await installedVersions();
  const maybe = command === undefined ? describe.skip : describe;
  maybe.each(versions)(`${name}, PostgreSQL %d`, (version) => {
    const [file, ...args] = command ?? [''];
    let lab: PoolLab;
    let program: DriverProgram;
    const startAs = async (identity: string): Promise<DriverProgram> =>
      new DriverProgram(file, args, await lab.environment(identity));

    beforeAll(async () => {
      lab = await startPoolLab(version);
      program = await startAs('pooled');
    });
    afterAll(async () => {
      await program?.kill();
      await lab?.stop();
    });

    declare({
      version,
      startAs,
      steps(found) {
        test.each(Object.entries(found))('%s', async (step, value) => {
          expect(await program.run(step)).toEqual(value);
        });
      },
      suspended(whileSuspended, again) {
        test('sessions that are ended by us: the pool is told, and goes on later', async () => {
          await lab.suspend('pooled', true);
          expect(await program.run('while_suspended')).toEqual(whileSuspended);
          await lab.suspend('pooled', false);
          expect(await program.run('again')).toEqual(again);
        });
      },
      nothingElseRefused() {
        test('nothing else was refused', async () => {
          expect(await lab.unexpectedRefusals()).toEqual([]);
        });
      },
    });
  });
}
