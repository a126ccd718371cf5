import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { configFileOption, loadProgramConfig } from './program-config.ts';

const schema = {
  config: configFileOption,
  url: { type: 'string', required: true, help: 'Where.' },
  port: { type: 'integer', default: 1, help: 'Which port.' },
  names: { type: 'list', default: ['a'], help: 'Which names.' },
} as const;

let directory: string;
const file = (text: string): string => {
  const path = join(directory, 'config.json');
  writeFileSync(path, text);
  return path;
};
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'chaperone-config-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test('flags win over the environment, and that over the file', () => {
  const path = file('{"url":"file","port":2,"names":["x"]}');
  expect(
    loadProgramConfig(schema, ['--url', 'flag'], { CHAPERONE_CONFIG: path, CHAPERONE_PORT: '3' }),
  ).toMatchObject({ url: 'flag', port: 3, names: ['x'] });
});

test('what is required may stand in the file', () => {
  expect(loadProgramConfig(schema, ['--config', file('{"url":"file"}')], {})).toMatchObject({
    url: 'file',
    port: 1,
    names: ['a'],
  });
});

test('an empty variable is an empty list', () => {
  const environment = { CHAPERONE_URL: 'x', CHAPERONE_NAMES: '' };
  expect(loadProgramConfig(schema, [], environment)?.names).toEqual([]);
});

test('help needs nothing else', () => {
  expect(loadProgramConfig(schema, ['--help'], {})).toBeUndefined();
});

describe('is refused', () => {
  test.each<[string, string, () => readonly string[]]>([
    ['what is missing', 'CHP-1003', () => []],
    ['an argument', 'CHP-1001', () => ['--url', 'x', 'extra']],
    ['a file that is not there', 'CHP-1004', () => ['--config', join(directory, 'none')]],
    ['a file that is no JSON', 'CHP-1004', () => ['--config', file('url: x')]],
    ['a file that names another', 'CHP-1001', () => ['--config', file('{"config":"y"}')]],
    ['a key that is not known', 'CHP-1001', () => ['--config', file('{"url":"x","prot":1}')]],
  ])('%s', (_name, code, args) => {
    const given = args();
    expect(() => loadProgramConfig(schema, given, {})).toThrow(expect.objectContaining({ code }));
  });
});
