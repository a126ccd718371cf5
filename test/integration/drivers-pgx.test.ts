/** pgx with its pool: every way it has to run a query, its batches, binary COPY, LISTEN and cancel requests. */
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DriverProgram } from '../support/driver-program.ts';
import { goProgram } from '../support/go.ts';
import { type PoolLab, startPoolLab } from '../support/pool-lab.ts';
import { installedVersions } from '../support/postgres.ts';

const versions = await installedVersions();
const built = await goProgram(resolve(import.meta.dirname, '../drivers/go'));
const maybe = built === undefined ? describe.skip : describe;

const inMode = [[1, 2, 3], '42501'];

maybe.each(versions)('pgx, PostgreSQL %d', (version) => {
  let lab: PoolLab;
  let program: DriverProgram;
  beforeAll(async () => {
    lab = await startPoolLab(version);
    program = new DriverProgram(built!, [], await lab.environment('pooled'));
  });
  afterAll(async () => {
    await program?.kill();
    await lab?.stop();
  });

  const steps: Readonly<Record<string, unknown>> = {
    open_pool: 'pgx',
    every_mode: {
      'cache statement': inMode,
      'cache describe': inMode,
      'describe exec': inMode,
      exec: inMode,
      'simple protocol': inMode,
    },
    text_and_binary: ['*******0002', '*******0003', '*******0002', '*******0003'],
    types: ['happy', ['sad', 'happy'], 'Springfield', 'home'],
    refusals: ['42501', '42501', '42501'],
    stays_after_error: 0,
    transactions: [['42501', '42501'], [9500]],
    batches: [1830, 0, 1830, 0, 1830, 0, 1830, 0],
    copy_from: [500, '*******0002\n*******0003\n', 500],
    cancelled: [true, '57014', 1],
    notified: ['jobs', 'work'],
  };

  test.each(Object.entries(steps))('%s', async (step, found) => {
    expect(await program.run(step)).toEqual(found);
  });

  test('sessions that are ended by us: the pool is told, and goes on later', async () => {
    await lab.suspend(true);
    expect(await program.run('while_suspended')).toBe('28000');
    await lab.suspend(false);
    expect(await program.run('again')).toBe(1);
  });

  test('nothing else was refused', async () => {
    expect(await lab.unexpectedRefusals()).toEqual([]);
  });
});
