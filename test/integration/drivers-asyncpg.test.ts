/** asyncpg and its pool: binary everywhere, types asked of the catalog, connections cleaned when given back. */
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DriverProgram } from '../support/driver-program.ts';
import { type PoolLab, startPoolLab } from '../support/pool-lab.ts';
import { installedVersions } from '../support/postgres.ts';
import { pythonWithPools } from '../support/python.ts';

const versions = await installedVersions();
const python = await pythonWithPools();
const source = resolve(import.meta.dirname, '../drivers/python/asyncpg_pool.py');
const maybe = python === undefined ? describe.skip : describe;

maybe.each(versions)('asyncpg, PostgreSQL %d', (version) => {
  let lab: PoolLab;
  let program: DriverProgram;
  beforeAll(async () => {
    lab = await startPoolLab(version);
    program = new DriverProgram(python!, [source], await lab.environment('pooled'));
  });
  afterAll(async () => {
    await program?.kill();
    await lab?.stop();
  });

  const steps: Readonly<Record<string, unknown>> = {
    open_pool: true,
    statements_of_its_cache: [[1, 2, 3, 1], true, ['id', 'ssn', 'birth_date', 'profile'], true],
    types_asked_for_at_first_use: [
      'happy',
      ['Main Street', 'Springfield'],
      ['sad', 'happy'],
      'decoded',
      1,
    ],
    refusals: ['42501', '42501', '42501', '42501', [8001]],
    many_and_copy: ['42501', 'COPY 100', '1\t*******0001\n2\t*******0002\n', 'DELETE 200'],
    cursors: [20, true, [3, 4, 5], true],
    cancelled: [1, true, 2],
    notified: ['jobs', 'work'],
    returned_clean: ['0'],
  };

  test.each(Object.entries(steps))('%s', async (step, found) => {
    expect(await program.run(step)).toEqual(found);
  });

  test('sessions that are ended by us: the pool is told, and goes on later', async () => {
    await lab.suspend(true);
    expect(await program.run('while_suspended')).toBe('28000');
    await lab.suspend(false);
    expect(await program.run('again')).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(await program.run('close_pool')).toBe(true);
  });

  test('nothing else was refused', async () => {
    expect(await lab.unexpectedRefusals()).toEqual([]);
  });
});
