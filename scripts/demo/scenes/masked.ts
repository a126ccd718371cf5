import { expectThat, type Play, showRefusal, showRows } from '../scene.ts';

export async function masked(play: Play): Promise<void> {
  const { screen, stage } = play;
  screen.scene(
    'What is protected arrives masked',
    'masking.yaml protects customers.ssn. The mask follows the value, not the name.',
  );
  const caller = await stage.connect('nightly-report');
  const { rows: originals } = await stage.postgres.query<{ ssn: string; email: string }>(
    'SELECT ssn, email FROM customers',
    [],
    stage.shop.database,
  );
  const inClear = new Set(originals.flatMap(({ ssn, email }) => [ssn, email]));
  const nothingInClear = (rows: readonly (readonly unknown[])[]): void => {
    expectThat(rows.length > 0, 'rows were expected');
    for (const value of rows.flat()) {
      expectThat(!inClear.has(String(value)), `${String(value)} arrived in clear`);
    }
  };

  const byName = 'SELECT id, name, ssn, birth_date FROM customers ORDER BY id LIMIT 3';
  nothingInClear((await showRows(play, caller, byName)).rows);
  const byAlias =
    "SELECT c.ssn AS nothing_special FROM customers AS c WHERE name LIKE 'Ada %' LIMIT 2";
  nothingInClear((await showRows(play, caller, byAlias)).rows);
  const throughViews = 'SELECT * FROM vip ORDER BY id LIMIT 2';
  nothingInClear((await showRows(play, caller, throughViews)).rows);
  screen.holds('vip is a view of a view, and its column address is customers.email');

  await showRefusal(play, caller, 'SELECT row_to_json(customers) FROM customers', '42501');
  await showRefusal(play, caller, "SELECT id FROM customers WHERE ssn LIKE '123-%'", '42501');
  screen.holds('what cannot be masked is not delivered, and nobody may guess by ranges');

  const note = 'SELECT profile FROM customers WHERE id = $1';
  const [[profile] = []] = (await showRows(play, caller, note, [7])).rows;
  expectThat(!JSON.stringify(profile).includes('4111111111111111'), 'a card number in clear');
  screen.holds('the second net: a card number within JSON');
  await caller.end();
}
