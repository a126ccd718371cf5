import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { FollowedFile } from './followed-file.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'chaperone-files-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

test('gives what the file holds now, also behind a link that is replaced', () => {
  const path = join(directory, 'token');
  writeFileSync(join(directory, 'a'), 'first');
  writeFileSync(join(directory, 'b'), 'other');
  symlinkSync('a', path);
  const file = new FollowedFile(path);
  expect(file.text()).toBe('first');
  symlinkSync('b', join(directory, 'next'));
  renameSync(join(directory, 'next'), path);
  expect(file.text()).toBe('other');
});

test('a file that is missing is an error, and works once it is there', () => {
  const path = join(directory, 'later');
  const file = new FollowedFile(path);
  expect(() => file.text()).toThrow(expect.objectContaining({ code: 'CHP-1004' }));
  writeFileSync(path, 'now');
  expect(file.text()).toBe('now');
});

test('a file that is too long is not read', () => {
  const path = join(directory, 'long');
  writeFileSync(path, Buffer.alloc(1024 * 1024 + 1));
  expect(() => new FollowedFile(path).text()).toThrow(/longer than/);
});
