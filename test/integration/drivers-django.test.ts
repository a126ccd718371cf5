/** Django: the ORM, its own pool, binding by the server, introspection, and migrations of a schema. */
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DriverProgram } from '../support/driver-program.ts';
import { type PoolLab, startPoolLab } from '../support/pool-lab.ts';
import { installedVersions } from '../support/postgres.ts';
import { pythonWithPools } from '../support/python.ts';

const versions = await installedVersions();
const python = await pythonWithPools();
const source = resolve(import.meta.dirname, '../drivers/python/django_orm.py');
const maybe = python === undefined ? describe.skip : describe;

maybe.each(versions)('Django, PostgreSQL %d', (version) => {
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

  /** With a connection of its own, and with Django's pool and values bound by the server. */
  const both = (found: unknown): readonly unknown[] => [found, found];
  const columns = ['id', 'customer_id', 'status'];
  const constraints = [
    ...(version >= 18 ? ['order_items_line_not_null'] : []),
    'order_items_order_id_fkey',
    'order_items_pkey',
  ].slice(0, 2);
  const steps: Readonly<Record<string, unknown>> = {
    reads: both([5, true, 'silver', true, [50, 50, 50, 50], 7, true]),
    writes: both([true, false, 10, 'two', 301]),
    transactions: both(['42501', '42501', '42501', ['kept']]),
    cursors_of_the_server: both([20, true, 200]),
    introspects: [
      ...both([
        true,
        true,
        columns,
        ['order_id', 'product_id'],
        ['order_id', 'line'],
        constraints,
        1,
      ]),
      6,
      false,
    ],
    locks_and_explains: both([[1, 2, 3], true]),
    cancelled: ['57014', 1],
  };

  test.each(Object.entries(steps))('%s', async (step, found) => {
    expect(await program.run(step)).toEqual(found);
  });

  test('migrations, under a policy that allows to change their schema', async () => {
    const migrator = new DriverProgram(python!, [source], await lab.environment('migrator'));
    try {
      expect(await migrator.run('migrates')).toEqual([9, true, 1]);
    } finally {
      await migrator.kill();
    }
  });

  test('sessions that are ended by us: the pool is told, and goes on later', async () => {
    await lab.suspend(true);
    expect(await program.run('while_suspended')).toEqual(both('OperationalError'));
    await lab.suspend(false);
    expect(await program.run('again')).toEqual(both(false));
  });

  test('nothing else was refused', async () => {
    expect(await lab.unexpectedRefusals()).toEqual([]);
  });
});
