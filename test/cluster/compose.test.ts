/** compose.yaml, its containers run as it says, and what examples/compose/README.md promises. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Compose } from './support/compose.ts';
import { ownCluster } from './support/context.ts';
import { deleteNamespace, makeNamespace } from './support/namespaces.ts';
import { exec, podLogs } from './support/pods.ts';

const resources = resolve(import.meta.dirname, '../../examples/compose/resources');

interface RecordedSession {
  readonly identity?: object;
  readonly closed?: object;
}

let namespace: string;
let directory: string;
let compose: Compose;

beforeAll(async () => {
  ownCluster(); // its volumes are directories of this machine
  namespace = await makeNamespace('compose');
  directory = mkdtempSync(join(tmpdir(), 'chaperone-compose-'));
  const copy = join(directory, 'resources');
  cpSync(resources, copy, { recursive: true });
  // A Docker network knows services by their name alone; a cluster's DNS wants all of it.
  const target = join(copy, 'target.yaml');
  const text = readFileSync(target, 'utf8');
  expect(text).toContain('host: postgres\n');
  writeFileSync(
    target,
    text.replace('host: postgres\n', `host: postgres.${namespace}.svc.cluster.local\n`),
  );
  compose = new Compose({
    namespace,
    directory,
    instead: { './examples/compose/resources': copy },
    ports: { 'policy-api': 8443, collector: 8443, gateway: 6432, postgres: 5432 },
  });
  await compose.up();
}, 240_000);

afterAll(async () => {
  await deleteNamespace(namespace);
  rmSync(directory, { recursive: true, force: true });
});

test('a ticket opens a session, which is masked, refused and recorded', async () => {
  await compose.run('cli', 'ticket', [
    ...['ticket', 'create', 'nightly-report', '--target', 'shop-db', '--database', 'shop'],
    ...['--host', 'gateway', '--port', '6432'],
  ]);
  const [url] = /postgres:\/\/\S+/.exec(await podLogs(namespace, 'ticket', 'app')) ?? [];
  const psql = (statement: string) =>
    exec(namespace, 'postgres', ['psql', '--no-psqlrc', '-At', '-c', statement, url!]);

  const read = await psql('SELECT name, email FROM customers ORDER BY id LIMIT 1');
  expect(read).toMatchObject({ code: 0, stdout: 'Customer 1|cu*******************\n' });
  const refused = await psql('DELETE FROM orders');
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain(
    'Delete on shop.public.orders is refused to shop/nightly-report: no rule of any AccessPolicy allows it.',
  );

  await compose.run('cli', 'sessions', ['sessions', '--ca', '/for-gateway/ca.crt', '-o', 'json']);
  const lines = (await podLogs(namespace, 'sessions', 'app')).trim().split('\n');
  const sessions = lines.map((line) => JSON.parse(line) as RecordedSession);
  // The programs' own starts and ends are sessions without an identity.
  expect(sessions.flatMap(({ identity, closed }) => (identity ? [closed] : []))).toEqual([
    expect.objectContaining({ statements: 0, refused: 1, rows: 0 }),
    expect.objectContaining({ statements: 1, refused: 0, rows: 1 }),
  ]);
});

test('a database login of the callers own gets nobody in at the gateway', async () => {
  const url = 'postgres://shop_app:change-me@gateway:6432/shop';
  const answer = await exec(namespace, 'postgres', ['psql', '-c', 'SELECT 1', url]);
  expect(answer.code).toBe(2);
});
