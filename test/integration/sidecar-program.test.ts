/** The sidecar program in a pod: attested, governed, and its end. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { resolve } from 'node:path';
import type { EventView } from '@chaperone/collector/query/render.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type pg from 'pg';
import { masking, policy } from '../support/chaperone.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { runProgram } from '../support/programs.ts';
import { loadShop } from '../support/shop.ts';
import { ownAddress, SidecarLab, startReachablePostgres } from '../support/sidecar-lab.ts';

const readCustomers = {
  name: 'customers',
  action: 'Allow',
  classes: ['Read'],
  resources: ['shop.public.customers'],
};
const readOrders = { ...readCustomers, name: 'orders', resources: ['shop.public.orders'] };
const ssn = masking('ssn', {
  columns: ['shop.public.customers.ssn'],
  transform: { type: 'Partial', keepLast: 4 },
});
/** The pods of test policy APIs have the address 10.1.2.3. */
const readFrom = (name: string, address: string) => ({
  ...readCustomers,
  name,
  resources: [`shop.public.${name}`],
  when: `request.sourceIP == "${address}"`,
});
const resources = [
  policy('p', [readCustomers, readFrom('people', '10.1.2.3'), readFrom('products', '127.0.0.1')]),
  ssn,
];

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startReachablePostgres();
  await loadShop(postgres, { orders: 200 });
});
afterAll(() => postgres?.stop());

/** The error that ends a connection. */
const ended = (client: pg.Client): Promise<{ code?: string; message: string }> =>
  new Promise((resolve) => client.once('error', resolve));

describe('a governed pod', () => {
  let lab: SidecarLab;
  let client: pg.Client;
  beforeAll(async () => {
    lab = await SidecarLab.start({ postgres, resources });
    client = await lab.connect();
  });
  afterAll(async () => {
    await client?.end();
    await lab?.stop();
  });

  test('is ready, and says so', async () => {
    await lab.until(
      () => lab.ops('/readyz'),
      ({ status }) => status === 200,
    );
    expect((await lab.ops('/metrics')).text).toMatch(/^chaperone_policy_age_seconds \d/m);
    process.stdout.write(`sidecar from sources: ${lab.sidecar.residentMiB().toFixed(0)} MiB\n`);
  });

  test('needs no password, whatever user it names, and is allowed, masked and refused', async () => {
    const { rows } = await client.query('SELECT id, ssn FROM customers WHERE id = 1');
    expect(rows).toEqual([{ id: 1, ssn: expect.stringMatching(/^\*+\d{4}$/) }]);
    await expect(client.query('SELECT * FROM orders')).rejects.toMatchObject({
      code: '42501',
      message: expect.stringContaining('payments/nightly-report'),
    });
  });

  test('takes nobody who comes by another address than loopback', async () => {
    const stranger = connect({
      host: '127.0.0.1',
      port: await lab.port(),
      localAddress: ownAddress(),
    });
    const closed = once(stranger, 'close');
    stranger.on('error', () => {}).resume();
    await closed;
    expect(stranger.bytesRead).toBe(0);
    await lab.sidecar.logged('a connection from outside of the pod was refused');
  });

  test('is judged by the pod’s own address, for its connections come from loopback', async () => {
    expect((await client.query('SELECT count(*) AS n FROM people')).rows).toHaveLength(1);
    await expect(client.query('SELECT count(*) FROM products')).rejects.toMatchObject({
      code: '42501',
    });
  });

  test('is in the record with the pod that it is', async () => {
    const [session] = await lab.until(
      () => lab.events({ type: 'SessionOpened' }),
      (events) => events.length > 0,
    );
    expect(session!.event).toMatchObject({
      proof: { method: 'Pod', namespace: 'payments', podUid: 'uid-1' },
      source: { address: '10.1.2.3' },
    });
  });

  test('is offered TLS with a certificate for the name of the target', async () => {
    const secure = await lab.until(
      () =>
        lab
          .connect({ ssl: { ca: lab.ca, servername: 'orders-db.data.svc' } })
          .catch(() => undefined),
      (found) => found !== undefined,
    );
    expect((await secure!.query('SELECT 1 AS one FROM customers LIMIT 1')).rows).toEqual([
      { one: 1 },
    ]);
    await secure!.end();
  });

  test('a policy that is edited holds for the session that is open', async () => {
    lab.write([policy('p', [readCustomers, readOrders]), ssn]);
    const rows = await lab.until(
      () =>
        client.query('SELECT 1 FROM orders LIMIT 1').then(
          ({ rows }) => rows,
          () => [],
        ),
      (found) => found.length > 0,
    );
    expect(rows).toHaveLength(1);
  });

  test('a suspended identity has its sessions ended at once, and opens none', async () => {
    const end = ended(client);
    lab.changeIdentity({ suspended: true });
    expect(await end).toMatchObject({
      code: '57P01',
      message: expect.stringContaining('suspended'),
    });
    await expect(lab.connect()).rejects.toMatchObject({
      code: '28000',
      message: expect.stringContaining('suspended'),
    });
    lab.changeIdentity({});
    client = (await lab.until(
      () => lab.connect().catch(() => undefined),
      (found) => found !== undefined,
    ))!;
  });

  test('an identity that is deleted leaves the pod unbound, with a message that says so', async () => {
    const end = ended(client);
    lab.removeIdentity();
    expect(await end).toMatchObject({ code: '57P01' });
    await expect(lab.connect()).rejects.toMatchObject({
      code: '28000',
      message: expect.stringMatching(/payments\/nightly-report.*CHP-2005/),
      hint: expect.stringContaining('MachineIdentity'),
    });
    expect((await lab.ops('/readyz')).status).toBe(200);
    lab.changeIdentity({});
    client = (await lab.until(
      () => lab.connect().catch(() => undefined),
      (found) => found !== undefined,
    ))!;
  });

  test('goes on while the policy API is away, and trusts another authority when it is back', async () => {
    await lab.stopPolicyApi();
    const other = await lab.connect();
    expect((await other.query('SELECT id FROM customers WHERE id = 2')).rows).toEqual([{ id: 2 }]);
    await lab.restorePolicyApi();
    lab.write([policy('p', [readCustomers]), ssn]);
    await lab.until(
      () =>
        other.query('SELECT 1 FROM orders LIMIT 1').then(
          () => false,
          () => true,
        ),
      (refused) => refused,
    );
    await other.end();
  });

  test('keeps what is recorded while the collector is away, and ships it after', async () => {
    expect(await lab.collector.end('SIGTERM')).toBe(0);
    const other = await lab.connect();
    await other.query('SELECT balance FROM customers LIMIT 1');
    await other.end();
    await lab.startCollector();
    const isIt = ({ parts }: EventView): boolean =>
      parts.statement?.state === 'Kept' && parts.statement.content.includes('balance');
    const events = await lab.until(
      () => lab.events({ type: 'OperationDecided' }),
      (found) => found.some(isIt),
    );
    expect(events.filter(isIt)).toHaveLength(1);
  });
});

test('a credential that was replaced is asked for anew, and no caller notices', async () => {
  const login = { username: 'rotated', password: 'first-password' };
  await postgres.query(`CREATE ROLE rotated LOGIN PASSWORD '${login.password}'`);
  await postgres.query('GRANT SELECT ON customers TO rotated', undefined, 'shop');
  const lab = await SidecarLab.start({ postgres, resources, login });
  try {
    await (await lab.connect()).end();
    await lab.changeLogin({ ...login, password: 'second-password' });
    await postgres.query("ALTER ROLE rotated PASSWORD 'second-password'");
    const client = await lab.connect();
    expect((await client.query('SELECT id FROM customers WHERE id = 1')).rows).toEqual([{ id: 1 }]);
    await client.end();
  } finally {
    await lab.stop();
  }
});

describe('the end of the program', () => {
  test('SIGTERM: statements end, sessions are told, everything is with the collector', async () => {
    const lab = await SidecarLab.start({ postgres, resources });
    try {
      const idle = await lab.connect();
      const idleEnd = ended(idle);
      const busy = await lab.connect();
      await busy.query('SELECT 1 FROM customers LIMIT 1');
      await busy.query('BEGIN');
      const busyEnd = ended(busy);
      const left = lab.sidecar.end('SIGTERM');
      expect(await idleEnd).toMatchObject({ code: '57P01' });
      // A transaction that is open may still be ended.
      await busy.query('SELECT 2 FROM customers LIMIT 1');
      await busy.query('COMMIT');
      expect(await busyEnd).toMatchObject({ code: '57P01' });
      expect(await left).toBe(0);
      await lab.sidecar.logged('stopped');
      const sessions = await lab.sessions();
      expect(sessions.map(({ source, closed }) => [source, closed?.reason])).toEqual([
        ['pod:uid-1', 'Shutdown'],
        ['pod:uid-1', 'Shutdown'],
      ]);
      expect(await lab.events({ type: 'ProgramStopped' })).toHaveLength(1);
    } finally {
      await lab.stop();
    }
  });

  test('SIGTERM while the collector is away: it ends in time, says what is left, and the next one ships it', async () => {
    const lab = await SidecarLab.start({ postgres, resources, shutdownGrace: '1s' });
    try {
      await lab.collector.end('SIGKILL');
      const client = await lab.connect();
      await client.query('SELECT 1 FROM customers LIMIT 1');
      await client.end();
      expect(await lab.sidecar.end('SIGTERM')).toBe(0);
      await lab.sidecar.logged('nobody has taken these events; they are in the spool');
      await lab.startCollector();
      await lab.startSidecar();
      const sessions = await lab.until(
        () => lab.sessions(),
        (found) => found.some(({ closed }) => closed !== undefined),
      );
      expect(sessions).toHaveLength(1);
    } finally {
      await lab.stop();
    }
  });

  test('kill -9: the next one ships what was recorded, and nothing twice', async () => {
    const lab = await SidecarLab.start({ postgres, resources });
    try {
      await lab.collector.end('SIGKILL');
      const client = await lab.connect();
      const statements = 20;
      for (let n = 0; n < statements; n += 1)
        await client.query(`SELECT ${n} FROM customers LIMIT 1`);
      const end = ended(client);
      await lab.sidecar.end('SIGKILL');
      await end;
      await lab.startCollector();
      await lab.startSidecar();
      const decided = await lab.until(
        () => lab.events({ type: 'OperationDecided' }),
        (events) => events.length >= statements,
      );
      expect(decided).toHaveLength(statements);
      expect(new Set(decided.map(({ event }) => event.id)).size).toBe(statements);
      const again = await lab.connect();
      await again.query('SELECT 1 FROM customers LIMIT 1');
      await again.end();
    } finally {
      await lab.stop();
    }
  });
});

test('a target that is deleted is refused with a message that says so', async () => {
  const lab = await SidecarLab.start({ postgres, resources });
  try {
    const end = ended(await lab.connect());
    lab.removeTarget();
    expect(await end).toMatchObject({ code: '57P01' });
    await expect(lab.connect()).rejects.toMatchObject({
      code: '28000',
      message: expect.stringMatching(/Target data\/orders-db is not open .*CHP-2012/),
    });
    expect((await lab.ops('/readyz')).status).toBe(200);
  } finally {
    await lab.stop();
  }
});

test('without a policy API it is alive and not ready, and ends when it is told to', async () => {
  const lab = await SidecarLab.start({ postgres, resources });
  try {
    await lab.sidecar.end('SIGKILL');
    await lab.stopPolicyApi();
    lab.spawnSidecar();
    await lab.sidecar.logged('not attested');
    expect((await lab.ops('/healthz')).status).toBe(200);
    expect(await lab.ops('/readyz')).toMatchObject({
      status: 503,
      text: expect.stringContaining('attestation: not attested (CHP-2020)'),
    });
    expect(await lab.sidecar.end('SIGTERM')).toBe(0);
  } finally {
    await lab.stop();
  }
});

test('an option that cannot be used ends it with a message', async () => {
  const program = resolve(import.meta.dirname, '../../sidecar/src/main.ts');
  const missing = await runProgram(process.execPath, [program]);
  expect(missing).toMatchObject({
    code: 1,
    err: expect.stringContaining('policyApiUrl is missing'),
  });
  const unknown = await runProgram(process.execPath, [program, '--policy-api-ulr', 'x']);
  expect(unknown.err).toContain('did you mean --policy-api-url?');
});

test('a pod without an identity is ready, and is told so', async () => {
  const lab = await SidecarLab.start({ postgres, resources, serviceAccount: 'stranger' });
  try {
    await lab.until(
      () => lab.ops('/readyz'),
      ({ status }) => status === 200,
    );
    await expect(lab.connect()).rejects.toMatchObject({
      code: '28000',
      message: expect.stringContaining('CHP-2005'),
    });
  } finally {
    await lab.stop();
  }
});
