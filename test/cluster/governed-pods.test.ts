/** What a governed pod is like from within: its programs are stock, unchanged, and hold nothing worth stealing. */
import { injectEnabled, injectLabel } from '@chaperone/core/injection/names.ts';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { installChaperone, releaseNamespace, uninstallChaperone } from './support/chaperone.ts';
import { type Database, databaseAddress, startDatabase } from './support/database.ts';
import { apply, get } from './support/kubectl.ts';
import { deleteNamespace, makeNamespace } from './support/namespaces.ts';
import { exec, jobEnd, podLogs, ready, restricted } from './support/pods.ts';
import { shopIdentity, shopPolicies, shopTarget } from './support/shop-resources.ts';
import { podTemplate, psql, serviceAccount, workloadDeployment } from './support/workloads.ts';

const account = 'storefront';

let data: string;
let tenant: string;
let database: Database;

beforeAll(async () => {
  data = await makeNamespace('data');
  tenant = await makeNamespace('tenant', {
    [injectLabel]: injectEnabled,
    'pod-security.kubernetes.io/enforce': 'restricted',
    'chaperone.dev/foreign-targets': 'accept',
  });
  database = await startDatabase(data);
  await installChaperone({ targetNamespaces: [data] });
  const access = { namespace: tenant, serviceAccount: account };
  await apply([
    ...shopTarget(database, [tenant]),
    shopIdentity(access),
    ...shopPolicies(database, access),
  ]);
  await apply(
    [serviceAccount(account), workloadDeployment({ name: 'web', serviceAccount: account })],
    tenant,
  );
  await ready('deployment/web', tenant);
});

afterAll(async () => {
  await deleteNamespace(tenant, data);
  await uninstallChaperone();
  await deleteNamespace(releaseNamespace);
});

/** As a program's configuration has it, before Chaperone as after. */
const url = () => `postgresql://app@${database.host}:${database.port}/shop`;

/** A Node program that runs statements and prints what came of each as a line of JSON. */
const nodeProgram = (...statements: string[]) => [
  'node',
  '-e',
  `const { Client } = require('pg');
  (async () => {
    const client = new Client({ connectionString: process.env.DATABASE_URL });
    await client.connect();
    for (const sql of ${JSON.stringify(statements)}) {
      const answer = await client.query(sql).then(({ rows }) => rows, ({ code }) => code);
      console.log(JSON.stringify(answer));
    }
    await client.end();
  })().catch((error) => { console.error(error); process.exit(1); });`,
];

test('a Node app, unchanged, is governed, and so is its init container; their Job completes', async () => {
  const statements = [
    'SELECT count(*)::int AS orders FROM orders',
    'SELECT ssn FROM customers WHERE id = 1',
    'DELETE FROM customers',
  ];
  const env = [{ name: 'DATABASE_URL', value: url() }];
  const command = nodeProgram(...statements);
  const template = podTemplate({ name: 'import', serviceAccount: account });
  await apply(
    [
      {
        apiVersion: 'batch/v1',
        kind: 'Job',
        metadata: { name: 'import' },
        spec: {
          backoffLimit: 0,
          template: {
            ...template,
            spec: {
              ...template.spec,
              restartPolicy: 'Never',
              initContainers: [restricted({ name: 'prepare', image: 'node:24', command, env })],
              containers: [restricted({ name: 'app', image: 'node:24', command, env })],
            },
          },
        },
      },
    ],
    tenant,
  );
  expect(await jobEnd('import', tenant)).toBe('Complete');
  for (const container of ['prepare', 'app']) {
    const lines = (await podLogs(tenant, 'job/import', container)).trim().split('\n');
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      [{ orders: 200 }],
      [{ ssn: expect.stringMatching(/^\*{7}\d{4}$/) }],
      '42501',
    ]);
  }
});

test('environment, files and processes show no credential of the database', async () => {
  // The second is planted, to see that what is there is found.
  const planted = 'planted-for-the-search';
  const search = `
    echo ${planted} > /dev/shm/planted
    for word in "$@"; do
      grep -rslaF -e "$word" / --exclude-dir=proc --exclude-dir=sys 2>/dev/null | sed "s/^/$word in /"
      for file in /proc/[0-9]*/environ /proc/[0-9]*/cmdline; do
        case $file in /proc/$$/*) continue ;; esac
        grep -qaF -e "$word" "$file" 2>/dev/null && echo "$word in $file"
      done
      env | grep -qF -e "$word" && echo "$word in the environment"
    done
    true`;
  const argv = ['bash', '-c', search, 'search', database.shop.password, planted];
  const { code, stdout } = await exec(tenant, 'deployment/web', argv, { container: 'app' });
  expect(code).toBe(0);
  expect(stdout.trim().split('\n')).toEqual([`${planted} in /dev/shm/planted`]);
});

test('the pod sees none of the sidecar: neither its processes nor its token', async () => {
  const script = 'cat /proc/[0-9]*/comm; ls /var/run/chaperone 2>&1; id -u';
  const argv = ['bash', '-c', script];
  const { stdout } = await exec(tenant, 'deployment/web', argv, { container: 'app' });
  expect(stdout).not.toMatch(/^node$/m);
  expect(stdout).toContain("'/var/run/chaperone': No such file or directory");
  expect(stdout.trim().split('\n').at(-1)).toBe('1000');
});

test.each(['by the address of the Service', 'by the address of the pod'])(
  'connecting directly %s ends at the login',
  async (way) => {
    const { clusterIP } = (await get('service', database.name, '-n', data)).spec;
    const host = way.includes('Service') ? clusterIP : await databaseAddress(database);
    const direct = { host, port: database.port };
    for (const password of ['', 'password=guessed']) {
      const answer = await psql(tenant, 'deployment/web', direct, 'SELECT 1', password);
      expect(answer.ok).toBe(false);
      expect(answer.error).toMatch(/no password supplied|password authentication failed/);
    }
  },
);

test('connecting by name leads to the sidecar, whatever login is shown', async () => {
  for (const parameters of ['user=postgres', `user=${database.shop.user} password=guessed`]) {
    const answer = await psql(
      tenant,
      'deployment/web',
      database,
      'SELECT count(*) FROM employees',
      parameters,
    );
    expect(answer.error).toContain('42501');
  }
});
