/** asyncpg and its pool: binary everywhere, types asked of the catalog, connections cleaned when given back. */
import { resolve } from 'node:path';
import { describeDriver } from '../support/driver-suite.ts';
import { pythonWithPools } from '../support/python.ts';

const python = await pythonWithPools();
const source = resolve(import.meta.dirname, '../drivers/python/asyncpg_pool.py');

await describeDriver('asyncpg', python === undefined ? undefined : [python, source], (suite) => {
  suite.steps({
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
  });

  suite.suspended('28000', [0, 1, 2, 3, 4, 5, 6, 7]);
  suite.steps({ close_pool: true });

  suite.nothingElseRefused();
});
