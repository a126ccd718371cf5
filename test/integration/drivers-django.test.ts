/** Django: the ORM, its own pool, binding by the server, introspection, and migrations of a schema. */
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { describeDriver } from '../support/driver-suite.ts';
import { pythonWithPools } from '../support/python.ts';

const python = await pythonWithPools();
const source = resolve(import.meta.dirname, '../drivers/python/django_orm.py');

await describeDriver('Django', python === undefined ? undefined : [python, source], (suite) => {
  /** With a connection of its own, and with Django's pool and values bound by the server. */
  const both = (found: unknown): readonly unknown[] => [found, found];
  const columns = ['id', 'customer_id', 'status'];
  const constraints = [
    ...(suite.version >= 18 ? ['order_items_line_not_null'] : []),
    'order_items_order_id_fkey',
    'order_items_pkey',
  ].slice(0, 2);
  suite.steps({
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
  });

  test('migrations, under a policy that allows to change their schema', async () => {
    const migrator = await suite.startAs('migrator');
    try {
      expect(await migrator.run('migrates')).toEqual([9, true, 1]);
    } finally {
      await migrator.kill();
    }
  });

  suite.suspended(both('OperationalError'), both(false));

  suite.nothingElseRefused();
});
