/** SQLAlchemy over psycopg and asyncpg: pre-ping, reflection, the ORM's sessions, many rows, cursors. */
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DriverProgram } from '../support/driver-program.ts';
import { type PoolLab, startPoolLab } from '../support/pool-lab.ts';
import { installedVersions } from '../support/postgres.ts';
import { pythonWithPools } from '../support/python.ts';

const versions = await installedVersions();
const python = await pythonWithPools();
const source = resolve(import.meta.dirname, '../drivers/python/sqlalchemy_pools.py');
const maybe = python === undefined ? describe.skip : describe;

maybe.each(versions)('SQLAlchemy, PostgreSQL %d', (version) => {
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
    connects: [50, 2],
    reflects: [
      ['customers', 'employees', 'events'],
      ['customer_contacts', 'vip'],
      ['customer_totals'],
      ['id', 'name', 'email', 'ssn'],
      ['order_id', 'line'],
      ['orders', 'products'],
      ['orders_customer'],
      1,
      [],
      null,
      ['mood'],
      ['app', 'information_schema', 'public'],
      true,
      ['notes_id_seq', 'order_audit_id_seq'],
      true,
      [],
      true,
    ],
    reflects_with_bound_values: [true, 1],
    sessions: [true, 'silver', 250, ['kept', 'kept, too']],
    many: [1500, 1500, 1500],
    cursors_of_the_server: [20, true, [8, 8, 4]],
    refusals: ['42501', '25P02', 1, '42501', 0],
    isolation_and_autocommit: ['serializable', 'SERIALIZABLE', '42501', 1, 'on'],
    cancelled: [['57014', '57014'], 1],
    over_asyncpg: [
      true,
      'silver',
      50,
      '42501',
      [20, true],
      [true, ['INTEGER', 'VARCHAR(5)'], 'happy', ['Main Street', 'Springfield']],
      1,
    ],
  };

  test.each(Object.entries(steps))('%s', async (step, found) => {
    expect(await program.run(step)).toEqual(found);
  });

  test('sessions that are ended by us: the pool is told, and goes on later', async () => {
    await lab.suspend(true);
    expect(await program.run('while_suspended')).toBe(true);
    await lab.suspend(false);
    expect(await program.run('again')).toBe(1);
  });

  test('nothing else was refused', async () => {
    expect(await lab.unexpectedRefusals()).toEqual([]);
  });
});
