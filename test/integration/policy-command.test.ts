import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { loadShop } from '../support/shop.ts';

const root = resolve(import.meta.dirname, '../..');
const quickstart = join(root, 'examples/quickstart');
const cases = join(root, 'examples/quickstart-tests/cases.yaml');

interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function chaperone(
  args: readonly string[],
  environment: Record<string, string> = {},
): Promise<Run> {
  return new Promise((done) => {
    execFile(
      process.execPath,
      [join(root, 'cli/src/main.ts'), ...args],
      { env: { ...process.env, ...environment }, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        done({ code: error === null ? 0 : Number(error.code), stdout, stderr });
      },
    );
  });
}

describe('chaperone policy', () => {
  let postgres: TestPostgres;
  let directory: string;
  let catalog: string;
  beforeAll(async () => {
    postgres = await startPostgres();
    const { user, password } = await loadShop(postgres, { orders: 200 });
    directory = mkdtempSync(join(tmpdir(), 'chaperone-'));
    catalog = join(directory, 'catalog.json');
    const url = `postgres://${user}@${postgres.host}:${postgres.port}/shop`;
    const run = await chaperone(['policy', 'catalog', '--url', url], { PGPASSWORD: password });
    expect(run).toMatchObject({ code: 0, stderr: '' });
    writeFileSync(catalog, run.stdout);
  }, 120_000);
  afterAll(async () => {
    await postgres?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const ask = (...args: string[]): Promise<Run> =>
    chaperone(['policy', 'test', '-d', quickstart, '--catalog', catalog, ...args]);

  test('the catalog holds names and no data', () => {
    const text = readFileSync(catalog, 'utf8');
    expect(text).toContain('customer_contacts');
    expect(text).not.toContain('customer7@example.com');
  });

  test('every case of the quickstart comes out as expected', async () => {
    const { code, stdout } = await ask('--cases', cases);
    expect(stdout).not.toContain('WRONG');
    expect(stdout).toMatch(/(\d+) of \1 as expected\n$/);
    expect(code).toBe(0);
  });

  test('a case that does not ends with 1, and says what is different', async () => {
    const wrong = join(directory, 'wrong.yaml');
    writeFileSync(
      wrong,
      `- { name: wrong, identity: nightly-report, target: orders-db, statement: SELECT ssn FROM customers, expect: Deny, rule: support/look-up, masked: [] }\n`,
    );
    const { code, stdout } = await ask('--cases', wrong);
    expect(code).toBe(1);
    expect(stdout).toContain('expected Deny, got Allow');
    expect(stdout).toContain('expected rule support/look-up, got rule read-shop of AccessPolicy');
    expect(stdout).toContain('expected masks on nothing, got ssn');
    expect(stdout).toContain('0 of 1 as expected');
  });

  test('one statement: verdict, rule, operations and masks', async () => {
    const { code, stdout } = await ask(
      '-i',
      'nightly-report',
      '-t',
      'orders-db',
      'SELECT ssn AS x FROM customers',
    );
    expect(code).toBe(0);
    expect(stdout.split('\n').slice(0, 4)).toEqual([
      'Allow',
      '  rule        rule read-shop of AccessPolicy data/reporting',
      '  operations  Select shop.public.customers (ssn)',
      '  masks       x: Partial (MaskingRule data/social-security-numbers)',
    ]);
  });

  test.each<[string, string[], string]>([
    ['an unknown identity', ['-i', 'nobody', '-t', 'orders-db', 'SELECT 1'], 'CHP-1014'],
    ['no statement', ['-i', 'nightly-report', '-t', 'orders-db'], 'CHP-1003'],
    ['a file of cases that is none', ['--cases', join(quickstart, 'target.yaml')], 'CHP-1002'],
  ])('%s is an error', async (_, args, code) => {
    const run = await ask(...args);
    expect(run.code).toBe(1);
    expect(run.stderr).toContain(code);
  });

  test('resources that do not validate give no verdict', async () => {
    writeFileSync(
      join(directory, 'broken.yaml'),
      'apiVersion: chaperone.dev/v1alpha1\nkind: Target\nmetadata: { name: x }\nspec: {}\n',
    );
    const check = await chaperone(['policy', 'check', '-d', directory]);
    expect(check.code).toBe(1);
    expect(check.stdout).toContain(
      'error   broken.yaml:1: Target default/x: spec.protocol: is required',
    );
    const run = await chaperone([
      'policy',
      'test',
      '-d',
      directory,
      '--catalog',
      catalog,
      '-i',
      'a',
      '-t',
      'b',
      'SELECT 1',
    ]);
    expect(run.code).toBe(1);
    expect(run.stderr).toContain('CHP-1010');
  });

  test('check warns of what is referred to and is not there, and counts what it read', async () => {
    const dangling = mkdtempSync(join(tmpdir(), 'chaperone-'));
    const head = 'apiVersion: chaperone.dev/v1alpha1\nkind: AccessPolicy\n';
    writeFileSync(
      join(dangling, 'policy.yaml'),
      `# first\n${head}metadata: { name: p, namespace: data }\nspec:\n  targetRefs: [{ name: t }]\n  subjects: { namespaces: [data] }\n  rules: [{ name: r, action: Allow, classes: [Read], resources: ['**'] }]\n`,
    );
    const check = await chaperone(['policy', 'check', '-d', dangling]);
    rmSync(dangling, { recursive: true });
    expect(check).toMatchObject({ code: 0, stderr: '' });
    expect(check.stdout).toMatch(
      /^warning policy\.yaml:\d: AccessPolicy data\/p: CHP-1011: Target data\/t does not exist\n1 object in 1 file: 0 errors, 1 warning\n$/,
    );
    const missing = await chaperone(['policy', 'check', '-d', dangling]);
    expect(missing.code).toBe(1);
    expect(missing.stderr).toContain(`CHP-1004: ${dangling} is not a directory`);
  });

  test('a database that cannot be reached, or refuses, is told without the password', async () => {
    const base = `${postgres.host}:${postgres.port}/shop`;
    const refused = await chaperone([
      'policy',
      'catalog',
      '--url',
      `postgres://shop_app:hunter2@${base}`,
    ]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/CHP-2011/);
    const weak = await chaperone([
      'policy',
      'catalog',
      '--url',
      `postgres://shop_app:hunter2@${base}?sslmode=require`,
    ]);
    expect(weak.stderr).toMatch(/CHP-1002.*sslmode/);
    expect(refused.stderr + weak.stderr).not.toContain('hunter2');
  });
});
