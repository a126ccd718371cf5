import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readStandaloneConfig } from './config.ts';

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'chaperone-config-'));
});

afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

function file(text: string): string {
  const path = join(directory, `${Math.random()}.yaml`);
  writeFileSync(path, text);
  return path;
}

test('flags come before the environment, the environment before the file', () => {
  const path = file('listenPort: 1\nopsPort: 2\nspoolMaxBytes: 32Mi\nlogLevel: warn\n');
  expect(
    readStandaloneConfig(['dir', '--config', path, '--listen-port=5'], {
      CHAPERONE_OPS_PORT: '6',
      CHAPERONE_COLLECTOR_URL: 'http://127.0.0.1:1',
      CHAPERONE_COLLECTOR_TOKEN_FILE: 'of another command',
    }),
  ).toMatchObject({
    directory: 'dir',
    listenPort: 5,
    opsPort: 6,
    spoolMaxBytes: 32 * 1024 * 1024,
    logLevel: 'warn',
    listenHost: '127.0.0.1',
    requireTls: false,
  });
});

test('help is asked for whatever else is missing', () => {
  expect(readStandaloneConfig(['--help'], {})).toBeUndefined();
});

test.each<[string, readonly string[], NodeJS.ProcessEnv, string, string]>([
  ['no directory', [], {}, 'CHP-1003', 'directory'],
  ['two directories', ['a', 'b'], {}, 'CHP-1003', 'b is one argument too many'],
  ['an unknown flag', ['a', '--listenport', '1'], {}, 'CHP-1001', '--listen-port'],
  ['an unknown variable', ['a'], { CHAPERONE_LISTENPORT: '1' }, 'CHP-1001', 'LISTEN_PORT'],
  ['a port that is none', ['a', '--ops-port', '65536'], {}, 'CHP-1002', '65535'],
  ['a spool too small to be of use', ['a', '--spool-max-bytes', '1k'], {}, 'CHP-1002', 'size'],
  ['a key without its certificate', ['a', '--tls-key-file', 'k'], {}, 'CHP-1003', 'tlsCertFile'],
  ['TLS required of nothing', ['a', '--require-tls'], {}, 'CHP-1003', 'tlsCertFile'],
  [
    'TLS required where nobody asks for it',
    [
      'a',
      '--require-tls',
      '--tls-cert-file',
      'c',
      '--tls-key-file',
      'k',
      '--socket-directory',
      's',
    ],
    {},
    'CHP-1003',
    'no meaning with socketDirectory',
  ],
  ['an access that is none', ['a', '--socket-access', 'All'], {}, 'CHP-1002', 'Everyone'],
  ['a file that is not there', ['a', '--config', '/nowhere'], {}, 'CHP-1004', '/nowhere'],
])('%s is refused', (_, args, environment, code, message) => {
  expect(() => readStandaloneConfig(args, environment)).toThrow(
    expect.objectContaining({ code, message: expect.stringContaining(message) }),
  );
});

test.each([
  ['an unknown key', 'listenPorts: 1', 'CHP-1001'],
  ['another file', 'config: other.yaml', 'CHP-1001'],
  ['a list', '- 1', 'CHP-1004'],
  ['no YAML', 'a: [', 'CHP-1004'],
])('a file with %s is refused', (_, text, code) => {
  expect(() => readStandaloneConfig(['a', '--config', file(text)], {})).toThrow(
    expect.objectContaining({ code }),
  );
});
