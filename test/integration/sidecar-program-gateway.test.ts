/** The sidecar program as a gateway: callers prove who they are by a ticket or a ServiceAccount token. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type pg from 'pg';
import { policy } from '../support/chaperone.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { loadShop } from '../support/shop.ts';
import { SidecarLab, startReachablePostgres } from '../support/sidecar-lab.ts';

const resources = [
  policy('p', [
    {
      name: 'customers',
      action: 'Allow',
      classes: ['Read'],
      resources: ['shop.public.customers'],
    },
  ]),
];
const user = 'payments/nightly-report';
const serviceAccountToken = 'sa.payments.nightly-report';

let postgres: TestPostgres;
let lab: SidecarLab;
beforeAll(async () => {
  postgres = await startReachablePostgres();
  await loadShop(postgres, { orders: 200 });
  lab = await SidecarLab.start({ postgres, resources, mode: 'Gateway' });
});
afterAll(async () => {
  await lab?.stop();
  await postgres?.stop();
});

const ended = (client: pg.Client): Promise<{ code?: string; message: string }> =>
  new Promise((resolve) => client.once('error', resolve));

test.each([
  ['a ticket', async () => lab.ticket(), 'Ticket'],
  ['a ServiceAccount token', async () => serviceAccountToken, 'ServiceAccountToken'],
])('takes %s as password', async (_name, password, method) => {
  const client = await lab.connect({ user, password: await password() });
  expect((await client.query('SELECT id FROM customers WHERE id = 1')).rows).toEqual([{ id: 1 }]);
  await expect(client.query('SELECT 1 FROM orders')).rejects.toMatchObject({ code: '42501' });
  await client.end();
  const events = await lab.until(
    () => lab.events({ type: 'SessionOpened' }),
    (found) =>
      found.some(({ event }) => (event as { proof: { method: string } }).proof.method === method),
  );
  expect(events.length).toBeGreaterThan(0);
});

test.each([
  ['a ticket that is none', { user, password: 'wrong' }],
  ["another ServiceAccount's token", { user, password: 'sa.payments.other' }],
  ['a token for another identity', { user: 'payments/other', password: serviceAccountToken }],
  ['a pod’s token', { user, password: 'pod.payments.nightly-report.uid-1' }],
])('refuses %s', async (_name, options) => {
  await expect(lab.connect(options)).rejects.toMatchObject({
    code: '28P01',
    message: expect.stringContaining('CHP-2001'),
  });
});

test('offers TLS with a certificate for the names of its targets', async () => {
  const client = await lab.until(
    () =>
      lab
        .connect({
          user,
          password: serviceAccountToken,
          ssl: { ca: lab.ca, servername: 'orders-db.data.svc' },
        })
        .catch(() => undefined),
    (found) => found !== undefined,
  );
  await client!.end();
});

test('a suspended identity has its sessions ended; a target that is deleted is listened for no more', async () => {
  const client = await lab.connect({ user, password: serviceAccountToken });
  const end = ended(client);
  lab.changeIdentity({ suspended: true });
  expect(await end).toMatchObject({ code: '57P01', message: expect.stringContaining('suspended') });
  lab.write([], 'base.yaml');
  const failure = await lab.until(
    () =>
      lab.connect({ user, password: serviceAccountToken }).then(
        () => undefined,
        (error) => error,
      ),
    (error) => error?.code === 'ECONNREFUSED',
  );
  expect(failure).toBeDefined();
});

test('SIGTERM: not ready at once, callers are taken a while longer, everything is shipped', async () => {
  lab.changeIdentity({});
  const connect = () => lab.connect({ user, password: serviceAccountToken }).catch(() => undefined);
  await (await lab.until(connect, (client) => client !== undefined))!.end();
  const left = lab.sidecar.end('SIGTERM');
  const { text } = await lab.until(
    () => lab.ops('/readyz'),
    ({ status }) => status === 503,
  );
  expect(text).toBe('program: stopping\n');
  const late = await connect();
  const end = ended(late!);
  expect((await late!.query('SELECT id FROM customers WHERE id = 1')).rows).toEqual([{ id: 1 }]);
  expect(await end).toMatchObject({ code: '57P01' });
  expect(await left).toBe(0);
  const sessions = await lab.sessions();
  expect(sessions.length).toBeGreaterThan(3);
  expect(sessions.every(({ closed }) => closed !== undefined)).toBe(true);
});
