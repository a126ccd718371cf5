import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { identity, masking, policy, TestChaperone } from '../support/chaperone.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { eventsOf, sessionsOf } from '../support/record.ts';
import { loadShop } from '../support/shop.ts';

let postgres: TestPostgres;
let chaperone: TestChaperone;

beforeAll(async () => {
  postgres = await startPostgres({ version: 18 });
  await loadShop(postgres, { orders: 200 });
  chaperone = await TestChaperone.start({
    postgres,
    resources: [
      policy('reporting', [
        {
          name: 'read',
          action: 'Allow',
          classes: ['Read', 'Write', 'Export'],
          resources: ['shop.public.**'],
        },
        { name: 'no-delete', action: 'Deny', verbs: ['Delete'], resources: ['shop.public.orders'] },
      ]),
      masking('ssn', {
        columns: ['shop.public.customers.ssn'],
        transform: { type: 'Partial', keepLast: 4 },
      }),
      identity('suspended', { suspended: true }),
    ],
  });
}, 60_000);

afterAll(async () => {
  await chaperone?.stop();
  await postgres?.stop();
});

describe('a session', () => {
  test('reads what the policy allows', async () => {
    const client = await chaperone.connect('shop');
    const { rows } = await client.query('SELECT count(*)::int AS n FROM orders');
    expect(rows).toEqual([{ n: 200 }]);
    await client.end();
  });

  test('sees a protected column masked, by alias and through a view', async () => {
    const client = await chaperone.connect('shop');
    const direct = await postgres.query('SELECT ssn FROM customers WHERE id = 1', [], 'shop');
    const last = String(direct.rows[0].ssn).slice(-4);
    const { rows } = await client.query('SELECT id, ssn AS x FROM customers WHERE id = $1', [1]);
    expect(rows).toEqual([{ id: 1, x: `*******${last}` }]);
    await client.end();
  });

  test('gets a refusal and goes on', async () => {
    const client = await chaperone.connect('shop');
    await expect(client.query('DELETE FROM orders')).rejects.toMatchObject({ code: '42501' });
    await expect(client.query('SELECT 1 AS one')).resolves.toMatchObject({ rows: [{ one: 1 }] });
    const left = await postgres.query('SELECT count(*)::int AS n FROM orders', [], 'shop');
    expect(left.rows).toEqual([{ n: 200 }]);
    await client.end();
  });

  test('that is refused at login is on record, with its reason', async () => {
    await expect(chaperone.connect('shop', 'suspended')).rejects.toMatchObject({ code: '28000' });
    const [session, ...more] = await sessionsOf(chaperone, 'payments/suspended');
    expect(more).toEqual([]);
    const events = await eventsOf(chaperone, { session: session?.id ?? '' });
    expect(events.map(({ event }) => event.type)).toEqual([
      'SessionOpened',
      'OperationDecided',
      'SessionClosed',
    ]);
    expect(events[1]?.event).toMatchObject({ verdict: 'Deny', reason: 'Suspended' });
    expect(events[2]?.event).toMatchObject({ reason: 'Refused', refused: 1 });
  });
});
