/** SQLAlchemy over psycopg and asyncpg: pre-ping, reflection, the ORM's sessions, many rows, cursors. */
import { resolve } from 'node:path';
import { describeDriver } from '../support/driver-suite.ts';
import { pythonWithPools } from '../support/python.ts';

const python = await pythonWithPools();
const source = resolve(import.meta.dirname, '../drivers/python/sqlalchemy_pools.py');

await describeDriver('SQLAlchemy', python === undefined ? undefined : [python, source], (suite) => {
  suite.steps({
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
  });

  suite.suspended(true, 1);

  suite.nothingElseRefused();
});
