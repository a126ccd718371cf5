import { expectThat, type Play, showRows } from '../scene.ts';
import { ordersLoaded } from '../stage.ts';
import { showReplay } from './record.ts';

export async function observe(play: Play): Promise<void> {
  const { screen, stage } = play;
  screen.scene(
    'The way in: Observe',
    'With enforcement: Observe a Target is watched only. The same statements pass, unmasked, and the record says what would have become of them.',
  );
  screen.edit('target.yaml', 'enforcement: Enforce', 'enforcement: Observe');
  await stage.editInForce('target.yaml', 'enforcement: Enforce', 'enforcement: Observe');
  const caller = await stage.connect('nightly-report');
  const { rows } = await showRows(play, caller, 'SELECT id, ssn FROM customers WHERE id = 1');
  const { rows: direct } = await stage.postgres.query(
    'SELECT ssn FROM customers WHERE id = 1',
    [],
    stage.shop.database,
  );
  expectThat(rows[0]?.[1] === direct[0].ssn, 'Observe masks nothing');
  const { count } = await showRows(play, caller, 'COPY order_items TO STDOUT');
  expectThat(count === 2 * ordersLoaded, `${count} rows were copied`);
  await showRows(play, caller, 'BEGIN');
  const deleted = await showRows(play, caller, 'DELETE FROM orders WHERE id = 1');
  expectThat(deleted.count === 1, 'Observe refuses nothing');
  await showRows(play, caller, 'ROLLBACK');
  await caller.end();

  const replayed = (await showReplay(play, caller.number)).join('\n');
  expectThat(
    (replayed.match(/observed only/g) ?? []).length >= 2,
    'the record was expected to say what would have been refused',
  );
  await stage.editInForce('target.yaml', 'enforcement: Observe', 'enforcement: Enforce');
}
