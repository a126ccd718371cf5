/** The examples for a cluster, as far as they can be tried without one: the resources, and what they decide. */
import { execFile } from 'node:child_process';
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { formatPlaced } from '@chaperone/control/store/directory-store.ts';
import { loadDirectory } from '@chaperone/control/store/load-directory.ts';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parseAllDocuments, stringify } from 'yaml';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: object;
}

interface PodSpec {
  readonly serviceAccountName: string;
  readonly containers: readonly { readonly args: readonly string[] }[];
}

const root = resolve(import.meta.dirname, '../..');
const examples = join(root, 'examples/kubernetes');
const manifests = globSync('**/*.yaml', { cwd: examples })
  .sort()
  .flatMap((file) => parseAllDocuments(readFileSync(join(examples, file), 'utf8')))
  .map((document) => document.toJS() as Manifest);

/** What Chaperone reads of them. */
const resources = manifests.filter(
  ({ apiVersion, kind, metadata }) =>
    apiVersion === 'chaperone.dev/v1alpha1' ||
    (kind === 'Secret' && metadata.labels?.['chaperone.dev/target'] !== undefined),
);
const workloads = manifests.flatMap(({ kind, metadata: { name }, spec }) => {
  const pod = podSpecOf(spec);
  return pod === undefined ? [] : [{ kind, name, pod }];
});

let postgres: TestPostgres;
let work: string;
let directory: string;

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'chaperone-examples-'));
  directory = join(work, 'resources');
  mkdirSync(directory);
  writeFileSync(
    join(directory, 'all.yaml'),
    resources.map((resource) => stringify(resource)).join('---\n'),
    { mode: 0o600 },
  );
  postgres = await startPostgres();
  await postgres.query('CREATE DATABASE shop');
  const schema = manifests.find(({ metadata }) => metadata.name === 'orders-db-schema');
  await postgres.query(schema!.data!['schema.sql']!, undefined, 'shop');
}, 120_000);

afterAll(async () => {
  await postgres?.stop();
  rmSync(work, { recursive: true, force: true });
});

test('the resources are valid, and refer to each other', () => {
  // The demo database has no certificate, and Chaperone says what that means.
  expect(loadDirectory(directory, Date.now()).problems.map(formatPlaced)).toEqual([
    expect.stringContaining('Target shop-data/orders-db: spec.tls.mode: Disable sends'),
  ]);
});

test('there is a Deployment, a Job, a CronJob and a StatefulSet, each with its identity', () => {
  const governed = workloads.filter(({ pod }) => pod.serviceAccountName !== undefined);
  expect(governed.map(({ kind }) => kind).sort()).toEqual([
    'CronJob',
    'Deployment',
    'Job',
    'StatefulSet',
  ]);
  for (const { name, pod } of governed) {
    expect(pod.serviceAccountName).toBe(name);
    const kinds = manifests
      .filter(({ metadata }) => metadata.name === name)
      .map(({ kind }) => kind);
    expect(kinds).toEqual(
      expect.arrayContaining(['ServiceAccount', 'MachineIdentity', 'AccessPolicy']),
    );
  }
});

test('what the workloads do is allowed, and the cases come out as they say', async () => {
  const own = workloads.flatMap(({ pod }) =>
    statementsOf(pod).map((statement) => ({
      name: `what ${pod.serviceAccountName} does`,
      identity: `shop/${pod.serviceAccountName}`,
      target: 'orders-db',
      statement,
      expect: 'Allow',
    })),
  );
  expect(own).toHaveLength(4);
  const written = readFileSync(join(root, 'examples/kubernetes-tests/cases.yaml'), 'utf8');
  const cases = join(work, 'cases.yaml');
  writeFileSync(cases, `${stringify(own)}${written}`);
  const catalog = join(work, 'catalog.json');
  const url = `postgres://shop_app@${postgres.host}:${postgres.port}/shop?sslmode=disable`;
  writeFileSync(catalog, await chaperone('policy', 'catalog', '--url', url));
  const answer = await chaperone(
    ...['policy', 'test', '-d', directory, '--catalog', catalog, '--cases', cases],
  );
  expect(answer).not.toContain('WRONG');
  expect(answer).toMatch(/(\d+) of \1 as expected\n$/);
});

function podSpecOf(spec: unknown): PodSpec | undefined {
  if (typeof spec !== 'object' || spec === null) return undefined;
  if ('containers' in spec) return spec as PodSpec;
  const { template, jobTemplate } = spec as { template?: object; jobTemplate?: object };
  return [template, jobTemplate]
    .map((inner) => podSpecOf((inner as { spec?: unknown } | undefined)?.spec))
    .find((found) => found !== undefined);
}

/** What a pod has psql run. */
function statementsOf({ containers }: PodSpec): string[] {
  return containers.flatMap(({ args = [] }) =>
    args.flatMap((script) => [...script.matchAll(/--command "([^"]*)"/g)].map(([, text]) => text!)),
  );
}

async function chaperone(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [join(root, 'cli/src/main.ts'), ...args],
    { env: { ...process.env, PGPASSWORD: 'change-me' }, maxBuffer: 64 * 1024 * 1024 },
  ).catch((error: { stdout?: string; stderr?: string }) => {
    throw new Error(`${error.stdout}${error.stderr}`);
  });
  return stdout;
}
