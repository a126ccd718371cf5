import { expectThat, type Play, showRefusal, showRows } from '../scene.ts';
import { ordersLoaded } from '../stage.ts';

/** Returns the number of the session, for the record to be read. */
export async function refused(play: Play): Promise<number> {
  const { screen, stage } = play;
  screen.scene(
    'What is not allowed does not happen',
    'A refusal is an ordinary PostgreSQL error, and the connection goes on.',
  );
  const caller = await stage.connect('nightly-report');
  await showRefusal(play, caller, 'DELETE FROM orders', '42501');
  await showRefusal(
    play,
    caller,
    'WITH gone AS (DELETE FROM orders RETURNING id) SELECT count(*) FROM gone',
    '42501',
  );
  const left = await stage.count('orders');
  expectThat(left === ordersLoaded, `${left} orders are left`);
  screen.holds(`orders in the database: ${left.toLocaleString('en')}, as before`);

  screen.paragraph('A bulk export is denied to everyone, whoever may read the table:');
  await showRefusal(play, caller, 'COPY order_items TO STDOUT', '42501');

  screen.paragraph('Some statements need a person. Approvals do not exist yet, so it is refused:');
  await showRefusal(play, caller, 'TRUNCATE order_items', '42501');

  await showRows(play, caller, 'SELECT count(*) FROM order_items');
  screen.holds('the same connection, after four refusals');
  await caller.end();
  return caller.number;
}
