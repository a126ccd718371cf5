import { expectThat, type Play, showRows } from '../scene.ts';

export async function allowed(play: Play): Promise<void> {
  const { screen, stage } = play;
  screen.scene(
    'What the policy allows passes',
    'The nightly report connects with an ordinary driver and a ten-minute ticket. It has never seen the database password.',
  );
  const caller = await stage.connect('nightly-report');
  const { rows } = await showRows(
    play,
    caller,
    'SELECT status, count(*), sum(total) FROM orders GROUP BY status ORDER BY status',
  );
  const direct = await stage.postgres.query(
    'SELECT status, count(*), sum(total) FROM orders GROUP BY status ORDER BY status',
    [],
    stage.shop.database,
  );
  const same = JSON.stringify(direct.rows.map((row) => Object.values(row)));
  expectThat(JSON.stringify(rows) === same, 'the report differs from the database');
  screen.holds('the same rows as the database gives directly');
  await caller.end();
}
