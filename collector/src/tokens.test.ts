import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { createTokenFile, ingestByToken, readByToken, readTokenFile } from './tokens.ts';

const directory = mkdtempSync(join(tmpdir(), 'chaperone-tokens-'));
afterAll(() => rmSync(directory, { recursive: true }));

test('a token file is made once, for its owner alone', () => {
  const path = join(directory, 'token');
  const token = createTokenFile(path);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readTokenFile(path)).toBe(token);
  expect(() => createTokenFile(path)).toThrow(/EEXIST/);
});

test('a token that others may read is not used', () => {
  const path = join(directory, 'open');
  createTokenFile(path);
  for (const mode of [0o640, 0o604, 0o620]) {
    chmodSync(path, mode);
    expect(() => readTokenFile(path)).toThrow(expect.objectContaining({ code: 'CHP-1002' }));
  }
});

test.each(['', 'short', 'with space '.repeat(10)])('%j is no token', (text) => {
  const path = join(directory, 'bad');
  writeFileSync(path, text, { mode: 0o600 });
  expect(() => readTokenFile(path)).toThrow(expect.objectContaining({ code: 'CHP-1002' }));
});

test('a file that is not there', () => {
  expect(() => readTokenFile(join(directory, 'none'))).toThrow(
    expect.objectContaining({ code: 'CHP-1004' }),
  );
});

test('only the token itself is taken', () => {
  const token = 't'.repeat(32);
  const ingest = ingestByToken(token, { source: 'one' });
  const read = readByToken(token, { name: 'a', role: 'auditor' });
  expect(ingest(token)).toEqual({ source: 'one' });
  expect(read(token)).toMatchObject({ role: 'auditor' });
  for (const other of ['', token.slice(1), `${token}t`, token.toUpperCase()]) {
    expect([ingest(other), read(other)]).toEqual([undefined, undefined]);
  }
});
