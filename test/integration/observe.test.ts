/** The ways in: a Target that only observes, and a policy that only tries. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type pg from 'pg';
import { masking, policy, TestChaperone } from '../support/chaperone.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { eventsOf } from '../support/record.ts';
import { loadShop } from '../support/shop.ts';

let postgres: TestPostgres;
let chaperone: TestChaperone;
let client: pg.Client;

const readProducts = {
  name: 'products',
  action: 'Allow',
  classes: ['Read'],
  resources: ['shop.public.products'],
};
const ssn = masking('ssn', {
  columns: ['shop.public.*.ssn'],
  transform: { type: 'Partial', keepLast: 4 },
});

beforeAll(async () => {
  postgres = await startPostgres({ version: 18 });
  await loadShop(postgres, { orders: 200 });
});
afterAll(() => postgres?.stop());

async function metric(name: string): Promise<string[]> {
  const text = await chaperone.standalone.registry.metrics();
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
}

/** Of what ran in the open session: verdict and whether it was enforced, by the statement's kind. */
async function verdicts(): Promise<unknown[]> {
  const events = await eventsOf(chaperone, { type: 'OperationDecided' });
  return events.map(({ event, parts }) => {
    const { verdict, enforced, wouldDeny, reason, masks } = event as Record<string, never>;
    const statement = parts.statement?.state === 'Kept' ? parts.statement.content : undefined;
    return { statement, verdict, enforced, wouldDeny, reason, masks };
  });
}

describe('enforcement Observe', () => {
  beforeAll(async () => {
    chaperone = await TestChaperone.start({
      postgres,
      resources: [policy('p', [readProducts]), ssn],
      target: { enforcement: 'Observe' },
    });
    client = await chaperone.connect('shop');
  });
  afterAll(async () => {
    await client?.end();
    await chaperone?.stop();
  });

  test('forwards what would be refused, masks nothing, and records the verdict', async () => {
    const { rows } = await client.query('SELECT ssn FROM people WHERE id = $1', [1]);
    expect(rows).toEqual([{ ssn: '900-00-0001' }]);
    expect((await client.query("UPDATE orders SET status = 'paid' WHERE id = 1")).rowCount).toBe(1);
    expect((await client.query('SELECT count(*)::int AS n FROM products')).rows).toEqual([
      { n: 50 },
    ]);
    await client.query('BEGIN');
    await client.query('DELETE FROM order_items');
    await client.query('ROLLBACK');
    await client.query('CREATE TABLE made (a int)');
    await client.query('SET work_mem = 8192; DROP TABLE made');
    expect((await client.query('SELECT customer_name(1) IS NOT NULL AS named')).rows).toEqual([
      { named: true },
    ]);
    await expect(client.query('SELECT no_such_column FROM people')).rejects.toMatchObject({
      code: '42703',
      message: 'column "no_such_column" does not exist',
    });
    expect(await verdicts()).toEqual(
      [
        ['SELECT ssn FROM people WHERE id = $1', 'Deny'],
        ['UPDATE orders SET status = ? WHERE id = ?', 'Deny'],
        ['SELECT count(*)::int AS n FROM products', 'Allow'],
        ['BEGIN', 'Allow'],
        ['DELETE FROM order_items', 'Deny'],
        ['ROLLBACK', 'Allow'],
        ['CREATE TABLE made (a int)', 'Deny'],
        [expect.stringContaining('DROP TABLE made'), 'Deny'],
        [expect.stringContaining('customer_name'), 'Deny'],
        ['SELECT no_such_column FROM people', 'Deny'],
      ].map(([statement, verdict]) =>
        expect.objectContaining({ statement, verdict, enforced: false }),
      ),
    );
  });

  test('says so in the session’s record and in the metrics', async () => {
    const [opened] = await eventsOf(chaperone, { type: 'SessionOpened' });
    expect(opened!.event).toMatchObject({ enforcement: 'Observe' });
    const completed = await eventsOf(chaperone, { type: 'OperationCompleted' });
    expect(completed.flatMap(({ event }) => event.masked)).toEqual([]);
    expect(await metric('chaperone_would_deny_total')).toContain(
      'chaperone_would_deny_total{mode="Observe"} 7',
    );
    expect(
      (await metric('chaperone_masked_cells_total')).every((line) => line.endsWith(' 0')),
    ).toBe(true);
  });
});

describe('a DryRun policy', () => {
  beforeAll(async () => {
    chaperone = await TestChaperone.start({
      postgres,
      resources: [
        policy('p', [{ ...readProducts, resources: ['shop.public.**'] }]),
        policy(
          'trial',
          [
            {
              name: 'no-orders',
              action: 'Deny',
              classes: ['Read'],
              resources: ['shop.public.orders'],
            },
          ],
          { mode: 'DryRun' },
        ),
        policy(
          'trial-allow',
          [{ name: 'write', action: 'Allow', classes: ['Write'], resources: ['shop.**'] }],
          { mode: 'DryRun' },
        ),
        ssn,
      ],
    });
    client = await chaperone.connect('shop');
  });
  afterAll(async () => {
    await client?.end();
    await chaperone?.stop();
  });

  test('denies nothing, allows nothing, and is recorded and counted as what it would deny', async () => {
    expect((await client.query('SELECT count(*)::int AS n FROM orders')).rows).toEqual([
      { n: 200 },
    ]);
    await expect(client.query('DELETE FROM products')).rejects.toMatchObject({ code: '42501' });
    expect((await client.query('SELECT ssn FROM people WHERE id = 1')).rows).toEqual([
      { ssn: '*******0001' },
    ]);
    expect(await verdicts()).toMatchObject([
      {
        verdict: 'Allow',
        enforced: true,
        wouldDeny: [{ kind: 'AccessPolicy', object: 'trial', rule: 'no-orders' }],
      },
      { verdict: 'Deny', enforced: true },
      { verdict: 'Allow', enforced: true, wouldDeny: [], masks: [{ object: 'ssn' }] },
    ]);
    expect(await metric('chaperone_would_deny_total')).toContain(
      'chaperone_would_deny_total{mode="DryRun"} 1',
    );
  });
});
