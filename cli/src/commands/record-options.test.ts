import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { createTokenFile } from '@chaperone/collector/tokens.ts';
import { type TestDirectory, testDirectory } from '@chaperone/control/store/testing.ts';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Command } from 'commander';
import { locateRecord } from '../record-client.ts';
import { registerEvents } from './events.ts';
import { readOneOf, withRecord } from './record-options.ts';

let directory: TestDirectory;
beforeEach(() => {
  directory = testDirectory();
});
afterEach(() => directory.close());

test('a value of a list is read in any case', () => {
  expect(readOneOf(['Allow', 'RequireApproval'])('requireapproval')).toBe('RequireApproval');
});

test.each([
  ['--verdict', 'denied', 'Allow, Deny, RequireApproval'],
  ['--verb', 'remove', 'Select, Insert'],
  ['--type', 'Decided', 'SessionOpened, OperationDecided'],
  ['--order', 'latest', 'newest, oldest'],
])('events %s %s is refused with what there is', async (option, value, values) => {
  const program = new Command().exitOverride().configureOutput({ writeErr: () => {} });
  registerEvents(program);
  for (const command of program.commands)
    command.exitOverride().configureOutput({ writeErr: () => {} });
  await expect(
    program.parseAsync(['events', option, value], { from: 'user' }),
  ).rejects.toMatchObject({
    code: 'commander.invalidArgument',
    message: expect.stringContaining(values),
  });
});

test('a directory over which nothing runs is told', () => {
  expect(() => locateRecord({ directory: directory.path })).toThrow(
    expect.objectContaining({
      code: 'CHP-1004',
      message: `chaperone standalone is not running over ${directory.path}`,
      hint: expect.stringContaining('Start `chaperone standalone'),
    }),
  );
});

test('a standalone that was killed, and left its address behind, is told as not running', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  const run = join(directory.path, '.chaperone', 'run');
  mkdirSync(run, { recursive: true });
  createTokenFile(join(run, 'reader.token'));
  writeFileSync(
    join(run, 'collector.json'),
    JSON.stringify({ url: `http://127.0.0.1:${port}`, tokenFile: 'reader.token' }),
  );
  const options = { directory: directory.path, output: 'table' } as const;
  await expect(
    withRecord(options, async (client) => void (await client.session('s'))),
  ).rejects.toMatchObject({
    code: 'CHP-1004',
    message: `chaperone standalone is not running over ${directory.path}`,
  });
});
