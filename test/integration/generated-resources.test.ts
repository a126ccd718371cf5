import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';

test('types, schemas and reference are what crds/ yields', () => {
  const root = resolve(import.meta.dirname, '../..');
  const script = resolve(root, 'scripts/generate-resource-types.ts');
  const run = (): string =>
    execFileSync(process.execPath, [script, '--check'], { cwd: root, encoding: 'utf8' });
  expect(run).not.toThrow();
});
