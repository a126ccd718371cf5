import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { PassThrough } from 'node:stream';
import { DirectoryStore } from '@chaperone/control/store/directory-store.ts';
import { installationKey, openStateDatabase } from '@chaperone/control/store/state-database.ts';
import { type TestDirectory, testDirectory } from '@chaperone/control/store/testing.ts';
import { Listeners } from '@chaperone/control/tickets/listeners.ts';
import { TicketStore } from '@chaperone/control/tickets/ticket-store.ts';
import { systemClock } from '@chaperone/runtime/clock.ts';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createTicket, listTickets, revokeTicket } from './ticket.ts';

const quickstart = resolve(import.meta.dirname, '../../../examples/quickstart');

describe('chaperone ticket', () => {
  let directory: TestDirectory;
  let database: DatabaseSync;
  let output: PassThrough;
  const options = () => ({
    directory: directory.path,
    target: 'orders-db',
    ttl: 60_000,
    output: 'text' as const,
  });
  const written = (): string => String(output.read() ?? '');

  /** As a standalone that runs over the directory leaves it. */
  beforeEach(async () => {
    const files = readdirSync(quickstart).filter((name) => name.endsWith('.yaml'));
    directory = testDirectory(
      Object.fromEntries(files.map((name) => [name, readFileSync(join(quickstart, name), 'utf8')])),
    );
    const state = join(directory.path, '.chaperone');
    database = openStateDatabase(state);
    const store = await DirectoryStore.open({
      directory: directory.path,
      database,
      key: installationKey(state),
      clock: systemClock(),
    });
    const target = await store.get('Target', 'data', 'orders-db');
    new Listeners(database).replace(
      new Map([[target!.metadata.uid, { host: '127.0.0.1', port: 6543 }]]),
    );
    store.close();
    output = new PassThrough({ encoding: 'utf8' });
  });
  afterEach(async () => {
    database.close();
    await directory.close();
  });

  test('create tells how to connect, as a URL and for psql', async () => {
    await createTicket('nightly-report', { ...options(), database: 'shop' }, output);
    const [comment, url, psql] = written().split('\n');
    expect(comment).toMatch(
      /^# payments\/nightly-report on data\/orders-db; sessions end by \d{4}-/,
    );
    const { username, password, hostname, port, pathname } = new URL(url!);
    expect([username, hostname, port, pathname]).toEqual([
      'nightly-report',
      '127.0.0.1',
      '6543',
      '/shop',
    ]);
    expect(psql).toBe(`PGPASSWORD=${password} psql -h 127.0.0.1 -p 6543 -U nightly-report -d shop`);
    const [ticket] = new TicketStore(database, Date.now).list();
    expect(
      new TicketStore(database, Date.now).verify(password, ticket!.identityUid, ticket!.targetUid),
    ).toBeDefined();
  });

  test('create as JSON, with another host, and a user that names its namespace where it must', async () => {
    directory.write(
      'more.yaml',
      readFileSync(join(quickstart, 'identities.yaml'), 'utf8').replaceAll(
        'namespace: payments',
        'namespace: audit',
      ),
    );
    directory.write(
      'target.yaml',
      readFileSync(join(quickstart, 'target.yaml'), 'utf8').replace(
        /from: Selector\n {4}selector:\n.*\n.*\n/,
        'from: All\n',
      ),
    );
    const store = await DirectoryStore.open({
      directory: directory.path,
      database,
      key: directory.key,
      clock: systemClock(),
    });
    store.close();
    await expect(createTicket('nightly-report', options(), output)).rejects.toMatchObject({
      code: 'CHP-1002',
    });
    await createTicket(
      'audit/nightly-report',
      { ...options(), host: '::1', port: 7, output: 'json' },
      output,
    );
    const made = JSON.parse(written());
    expect(made).toMatchObject({ user: 'audit/nightly-report', host: '::1', port: 7 });
    expect(new URL(made.url).username).toBe('audit%2Fnightly-report');
    expect(made.url).toContain('@[::1]:7/');
  });

  test.each<[string, string, string, string]>([
    ['an unknown identity', 'nobody', 'orders-db', 'CHP-1014'],
    ['an unknown target', 'nightly-report', 'nothing', 'CHP-1014'],
  ])('create refuses %s', async (_, identity, target, code) => {
    await expect(createTicket(identity, { ...options(), target }, output)).rejects.toMatchObject({
      code,
    });
    expect(new TicketStore(database, Date.now).list()).toEqual([]);
  });

  test.each<[string, string, string]>([
    ['a suspended identity', 'suspended: true', 'CHP-2002'],
    ['an expired identity', 'expiresAt: 2020-01-01T00:00:00Z', 'CHP-2003'],
  ])('create refuses %s', async (_, field, code) => {
    const text = readFileSync(join(quickstart, 'identities.yaml'), 'utf8');
    directory.write(
      'identities.yaml',
      text
        .replace(/^ +(expiresAt|suspended):.*\n/gm, '')
        .replaceAll('\nspec:\n', `\nspec:\n  ${field}\n`),
    );
    const store = await DirectoryStore.open({
      directory: directory.path,
      database,
      key: directory.key,
      clock: systemClock(),
    });
    store.close();
    await expect(createTicket('nightly-report', options(), output)).rejects.toMatchObject({ code });
    expect(new TicketStore(database, Date.now).list()).toEqual([]);
  });

  test('while nobody listens no ticket is made, unless host and port are given', async () => {
    new Listeners(database).replace(new Map());
    await expect(createTicket('nightly-report', options(), output)).rejects.toMatchObject({
      code: 'CHP-1003',
    });
    expect(new TicketStore(database, Date.now).list()).toEqual([]);
    await createTicket('nightly-report', { ...options(), host: 'gate', port: 7 }, output);
    expect(written()).toMatch(/psql -h gate -p 7 -U nightly-report -d DATABASE\n$/);
  });

  test('a directory over which nothing ran is told', async () => {
    const elsewhere = { ...options(), directory: directory.state };
    await expect(createTicket('nightly-report', elsewhere, output)).rejects.toMatchObject({
      code: 'CHP-1004',
    });
  });

  test('list shows states and never a secret; revoke ends', async () => {
    await createTicket('nightly-report', { ...options(), output: 'json' }, output);
    const { id, password } = JSON.parse(written());
    await listTickets(options(), output);
    const before = written();
    expect(before).toMatch(
      new RegExp(`${id} +payments/nightly-report +data/orders-db .* never +valid`),
    );
    expect(before).not.toContain(password);
    await revokeTicket(id, options(), output);
    written();
    await listTickets(options(), output);
    expect(written()).toMatch(/never +revoked/);
    await expect(revokeTicket('unknown', options(), output)).rejects.toMatchObject({
      code: 'CHP-1014',
    });
  });
});
