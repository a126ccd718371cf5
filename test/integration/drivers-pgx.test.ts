/** pgx with its pool: every way it has to run a query, its batches, binary COPY, LISTEN and cancel requests. */
import { resolve } from 'node:path';
import { describeDriver } from '../support/driver-suite.ts';
import { goProgram } from '../support/go.ts';

const built = await goProgram(resolve(import.meta.dirname, '../drivers/go'));

const inMode = [[1, 2, 3], '42501'];

await describeDriver('pgx', built === undefined ? undefined : [built], (suite) => {
  suite.steps({
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
  });

  suite.suspended('28000', 1);

  suite.nothingElseRefused();
});
