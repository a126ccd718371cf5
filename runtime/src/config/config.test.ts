import { describe, expect, test } from '@jest/globals';
import { helpText } from './help.ts';
import { describeConfig, loadConfig } from './load.ts';
import type { ConfigSchema } from './schema.ts';
import { parseBytes, parseDuration } from './units.ts';

const schema = {
  listenPort: { type: 'integer', min: 0, max: 65535, default: 6432, help: 'The port.' },
  spoolMaxBytes: { type: 'bytes', minBytes: 1048576, default: '256Mi', help: 'Bound.' },
  maxPolicyAge: { type: 'duration', default: '1h', help: 'How old a policy may be.' },
  logLevel: { type: 'choice', choices: ['info', 'debug'], default: 'info', help: 'Level.' },
  dryRun: { type: 'boolean', default: false, help: 'Try.' },
  allowedHosts: { type: 'list', help: 'Hosts.' },
  installationKey: { type: 'string', secret: true, help: 'The key.' },
} as const satisfies ConfigSchema;

const load = (args: string[], environment = {}, content?: unknown) =>
  loadConfig(schema, {
    args,
    environment,
    ...(content === undefined ? {} : { file: { name: 'c.yaml', content } }),
  });

test('flags come before the environment, the environment before the file, the file before defaults', () => {
  const file = { listenPort: 1, maxPolicyAge: '3m', spoolMaxBytes: 2097152, dryRun: true };
  const environment = { CHAPERONE_LISTEN_PORT: '2', CHAPERONE_MAX_POLICY_AGE: '2m', HOME: '/' };
  const { values, positionals } = load(
    ['run', '--listen-port', '3', '--', '--x'],
    environment,
    file,
  );
  expect(values).toEqual({
    listenPort: 3,
    maxPolicyAge: 120_000,
    spoolMaxBytes: 2_097_152,
    dryRun: true,
    logLevel: 'info',
    allowedHosts: undefined,
    installationKey: undefined,
  });
  expect(positionals).toEqual(['run', '--x']);
});

test('lists and booleans have their forms', () => {
  expect(load(['--allowed-hosts', 'a,b', '--allowed-hosts=c', '--dry-run']).values).toMatchObject({
    allowedHosts: ['a', 'b', 'c'],
    dryRun: true,
  });
  expect(load(['--no-dry-run'], { CHAPERONE_DRY_RUN: 'true' }).values.dryRun).toBe(false);
  expect(load([], {}, { allowedHosts: ['x'] }).values.allowedHosts).toEqual(['x']);
});

test.each([
  [['--listen-prot', '1'], {}, undefined, 'CHP-1001', 'did you mean --listen-port?'],
  [['--no-log-level'], {}, undefined, 'CHP-1001', '--no-log-level is not known'],
  [['--installation-key', 'S3cret'], {}, undefined, 'CHP-1001', '--installation-key'],
  [[], { CHAPERONE_LISTENPORT: '1' }, undefined, 'CHP-1001', 'did you mean CHAPERONE_LISTEN_PORT?'],
  [[], {}, { listenport: 1 }, 'CHP-1001', 'in c.yaml is not known; did you mean listenPort?'],
  [[], {}, { constructor: 1 }, 'CHP-1001', 'the key constructor'],
  [['--listen-port'], {}, undefined, 'CHP-1003', '--listen-port needs a value'],
  [['--listen-port', '1', '--listen-port', '2'], {}, undefined, 'CHP-1002', 'twice'],
  [['--listen-port', '70000'], {}, undefined, 'CHP-1002', 'from 0 to 65535, not "70000"'],
  [['--log-level', 'loud'], {}, undefined, 'CHP-1002', 'one of info, debug, not "loud"'],
  [[], { CHAPERONE_MAX_POLICY_AGE: '10' }, undefined, 'CHP-1002', 'a duration such as'],
  [[], {}, { spoolMaxBytes: 5 }, 'CHP-1002', 'spoolMaxBytes in c.yaml must be a size'],
  [[], {}, { installationKey: 5 }, 'CHP-1002', 'must be text'],
  [[], {}, [], 'CHP-1004', 'c.yaml'],
])('%j %j %j is refused with %s: %s', (args, environment, file, code, message) => {
  expect(() => load(args, environment, file)).toThrow(
    expect.objectContaining({ code, message: expect.stringContaining(message) }),
  );
});

test('the variables of Kubernetes Services are not taken for ours', () => {
  const environment = {
    CHAPERONE_COLLECTOR_SERVICE_HOST: '10.0.0.1',
    CHAPERONE_COLLECTOR_SERVICE_PORT_HTTPS: '443',
    CHAPERONE_COLLECTOR_PORT: 'tcp://10.0.0.1:443',
    CHAPERONE_COLLECTOR_PORT_443_TCP_ADDR: '10.0.0.1',
  };
  expect(load([], environment).values.listenPort).toBe(6432);
});

test('a required value that is missing names every way to give it', () => {
  const required = { url: { type: 'string', required: true, help: 'Where.' } } as const;
  expect(() => loadConfig(required, {})).toThrow(
    'url is missing: give it by --url, CHAPERONE_URL or the key url of the file',
  );
});

test('a secret is never shown', () => {
  const { values } = load([], { CHAPERONE_INSTALLATION_KEY: 'S3cret' });
  expect(values.installationKey).toBe('S3cret');
  expect(JSON.stringify(describeConfig(schema, values))).not.toContain('S3cret');
  const pattern = { form: /^x$/, description: 'an x' };
  const strict = { key: { type: 'string', secret: true, pattern, help: '' } } as const;
  expect(() => loadConfig(strict, { environment: { CHAPERONE_KEY: 'S3cret' } })).toThrow(
    /^CHAPERONE_KEY must be an x$/,
  );
});

test('help names every option, flag, variable and default', () => {
  expect(load(['--help', '--log-level', 'info']).help).toBe(true);
  const text = helpText('sidecar', 'the enforcement proxy', schema);
  expect(text).toContain('--spool-max-bytes SIZE');
  expect(text).toContain('[default: 256Mi; CHAPERONE_SPOOL_MAX_BYTES]');
  expect(text).toContain('--log-level info|debug');
  expect(text).not.toContain('--installation-key');
  for (const { help } of Object.values(schema)) expect(text).toContain(help);
});

describe('units', () => {
  test.each([
    ['0', 0],
    ['250ms', 250],
    ['10m', 600_000],
    ['1h30m', 5_400_000],
    ['1.5s', 1500],
    ['2d', 172_800_000],
    ['10', undefined],
    ['', undefined],
    ['-1s', undefined],
    ['1 s', undefined],
    ['1y', undefined],
    ['99999999999999999d', undefined],
  ])('duration %j is %j ms', (text, ms) => expect(parseDuration(text)).toBe(ms));

  test.each([
    ['4096', 4096],
    ['256Mi', 268_435_456],
    ['1.5G', 1_500_000_000],
    ['1k', 1000],
    ['1K', undefined],
    ['0.3', undefined],
    ['1MB', undefined],
    ['', undefined],
    ['-1', undefined],
  ])('size %j is %j bytes', (text, bytes) => expect(parseBytes(text)).toBe(bytes));
});
