/** pgjdbc and HikariCP: named statements, portals, batches, generated keys, metadata, cancel requests. */
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DriverProgram } from '../support/driver-program.ts';
import { javaWithPgjdbc } from '../support/java.ts';
import { type PoolLab, startPoolLab } from '../support/pool-lab.ts';
import { installedVersions } from '../support/postgres.ts';

const versions = await installedVersions();
const java = await javaWithPgjdbc();
const source = resolve(import.meta.dirname, '../drivers/java/PgJdbc.java');
const maybe = java === undefined ? describe.skip : describe;

maybe.each(versions)('pgjdbc, PostgreSQL %d', (version) => {
  let lab: PoolLab;
  let program: DriverProgram;
  beforeAll(async () => {
    lab = await startPoolLab(version);
    program = new DriverProgram('java', [...java!, source], await lab.environment('pooled'));
  });
  afterAll(async () => {
    await program?.kill();
    await lab?.stop();
  });

  const steps: Readonly<Record<string, unknown>> = {
    open_pool: ['renamed', '1', '30s', true],
    named_and_binary: [2, 4, 6, 8, 1, 2, 1, 2].map((id) => `${id} masked`),
    every_query_mode: ['simple', 'extended', 'extendedForPrepared', 'extendedCacheEverything'].map(
      (mode) => `${mode} masked 42501`,
    ),
    portals: 20,
    batches: [300, '42501', 300],
    generated_keys: 'one12000 masked',
    metadata: {
      baseColumn: 'ssnfalse0',
      catalogs: true,
      clientInfo: 1,
      columnPrivileges: true,
      columns: 10,
      crossReference: 1,
      exportedKeys: 1,
      functionColumns: 2,
      functions: 1,
      functionsOfSystem: true,
      importedKeys: 2,
      indexes: 2,
      isolation: 2,
      keywords: true,
      nameLength: 63,
      parameterType: 'int4',
      primaryKeys: 2,
      privileges: true,
      procedureColumns: 2,
      procedures: 0,
      rowIdentifier: 1,
      schemas: true,
      tableTypes: true,
      tables: true,
      types: true,
      udts: true,
      versionColumns: 1,
    },
    types_of_its_own: ['happy', '("Main Street",Springfield)', 2, '{"a": 1}'],
    refusals: ['42501', '1', '42501', '25P02', '42501', 1],
    cancelled: ['57014', '1', '57014', '2'],
    copies: [2, '*******0002\n*******0003\n'],
    notified: ['jobs', 'work'],
    isolation_and_read_only: ['on', 'serializable', 'public', 'shop'],
  };

  test.each(Object.entries(steps))('%s', async (step, found) => {
    expect(await program.run(step)).toEqual(found);
  });

  test('sessions that are ended by us: the pool is told, and goes on later', async () => {
    await lab.suspend(true);
    expect(await program.run('while_suspended')).toBe(true);
    await lab.suspend(false);
    expect(await program.run('again')).toBe('1');
  });

  test('nothing else was refused', async () => {
    expect(await lab.unexpectedRefusals()).toEqual([]);
  });
});
