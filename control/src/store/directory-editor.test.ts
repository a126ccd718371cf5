import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { patchResourceFile, patchText, removeText } from './directory-editor.ts';
import { parseResourceFile } from './yaml-file.ts';

const quickstart = resolve(import.meta.dirname, '../../../examples/quickstart');
const target = { kind: 'Target', namespace: 'data', name: 'orders-db' };

test('a copy of the examples is fitted to a machine, comments and mode kept', () => {
  const directory = mkdtempSync(join(tmpdir(), 'chaperone-'));
  const path = join(directory, 'target.yaml');
  writeFileSync(path, readFileSync(join(quickstart, 'target.yaml')));
  chmodSync(path, 0o640);
  patchResourceFile(path, target, { spec: { host: '127.0.0.1', port: 6000 } });
  const text = readFileSync(path, 'utf8');
  expect(parseResourceFile(text, 0).objects[0]).toMatchObject({
    spec: { host: '127.0.0.1', port: 6000 },
  });
  expect(text).toContain('# where the real database is');
  expect(statSync(path).mode & 0o777).toBe(0o640);
  expect(() => patchResourceFile(path, { ...target, name: 'other' }, {})).toThrow('is not in');
  rmSync(directory, { recursive: true });
});

const two = `kind: Target
metadata: { name: a }
spec: { x: 1 }
---
kind: Target
metadata: { name: b, namespace: default } # the second
spec:
  list: [1, 2]
`;

test.each<[string, string | undefined]>([
  ['a', two.replace('{ x: 1 }', '{ x: 2 }')],
  ['c', undefined],
])('patchText finds %s, with the namespace that is meant by none', (name, expected) => {
  expect(patchText(two, { kind: 'Target', namespace: 'default', name }, { spec: { x: 2 } })).toBe(
    expected,
  );
});

test('patchText replaces lists, removes by null and makes what is not there', () => {
  const patch = { spec: { list: [3], deep: { er: true } }, metadata: { namespace: null } };
  const text = patchText(two, { kind: 'Target', namespace: 'default', name: 'b' }, patch)!;
  expect(text).toContain('# the second');
  expect(text).toMatch(/metadata: \{ name: b \}[\s\S]*list:\n {4}- 3\n {2}deep:\n {4}er: true/);
});

test('removeText leaves the others, and nothing of the last', () => {
  const rest = removeText(two, { kind: 'Target', namespace: 'default', name: 'a' })!;
  expect(rest).toContain('# the second');
  expect(rest).not.toContain('x: 1');
  expect(removeText(rest, { kind: 'Target', namespace: 'default', name: 'b' })).toBe('');
  expect(removeText(two, { kind: 'Secret', namespace: 'default', name: 'a' })).toBeUndefined();
});
