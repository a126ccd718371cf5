/** pgjdbc and HikariCP: named statements, portals, batches, generated keys, metadata, cancel requests. */
import { resolve } from 'node:path';
import { describeDriver } from '../support/driver-suite.ts';
import { javaWithPgjdbc } from '../support/java.ts';

const java = await javaWithPgjdbc();
const source = resolve(import.meta.dirname, '../drivers/java/PgJdbc.java');

await describeDriver(
  'pgjdbc',
  java === undefined ? undefined : ['java', ...java, source],
  (suite) => {
    suite.steps({
      open_pool: ['renamed', '1', '30s', true],
      named_and_binary: [2, 4, 6, 8, 1, 2, 1, 2].map((id) => `${id} masked`),
      every_query_mode: [
        'simple',
        'extended',
        'extendedForPrepared',
        'extendedCacheEverything',
      ].map((mode) => `${mode} masked 42501`),
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
    });

    suite.suspended(true, '1');

    suite.nothingElseRefused();
  },
);
