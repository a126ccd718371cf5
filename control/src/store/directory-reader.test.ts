import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ManualClock, manualClock } from '@chaperone/runtime/clock.ts';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { DirectoryReader } from './directory-reader.ts';
import { FileSet } from './file-set.ts';

const configMap = (name: string): string =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: ${name}, namespace: data }\n`;

/**
 * The clock is set before all files are made, as on a machine whose clock and file system disagree: only
 * looking twice tells that a file is at rest.
 */
describe('DirectoryReader', () => {
  let base: string;
  let root: string;
  let clock: ManualClock;
  let files: FileSet;
  let reader: DirectoryReader;
  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'chaperone-'));
    root = join(base, 'resources');
    mkdirSync(root);
    clock = manualClock(0);
    files = new FileSet();
    reader = new DirectoryReader(root, clock, files, () => undefined);
  });
  afterEach(() => {
    rmSync(base, { recursive: true });
  });

  const inForce = (): string[] => [...files.resolve().objects.keys()].sort();
  /** Looks, as often and whenever the reader asks for it. */
  const settle = (): void => {
    for (let result = reader.scan(); result.againMs !== undefined; result = reader.scan()) {
      clock.advance(result.againMs);
    }
  };

  test('a file is taken 100 ms after it was last touched, and not before', () => {
    const path = join(root, 'a.yaml');
    writeFileSync(path, configMap('a'));
    expect(reader.scan()).toMatchObject({ changed: false, againMs: 100 });
    clock.advance(99);
    expect(reader.scan()).toMatchObject({ changed: false, againMs: 1 });
    appendFileSync(path, `---\n${configMap('b')}`);
    clock.advance(1);
    expect(reader.scan()).toMatchObject({ changed: false, againMs: 100 });
    clock.advance(100);
    expect(reader.scan().changed).toBe(true);
    expect(inForce()).toEqual(['ConfigMap data/a', 'ConfigMap data/b']);
    expect(reader.scan()).toMatchObject({ changed: false });
  });

  test('a file that the machine’s clock says is old is taken at once', () => {
    writeFileSync(join(root, 'a.yaml'), configMap('a'));
    clock.setWallMs(Date.now() + 1000);
    expect(reader.scan().changed).toBe(true);
  });

  test('a file is gone once it is missing for 300 ms', () => {
    const path = join(root, 'a.yaml');
    writeFileSync(path, configMap('a'));
    settle();
    renameSync(path, join(base, 'away'));
    expect(reader.scan()).toMatchObject({ changed: false, againMs: 300 });
    clock.advance(299);
    expect(reader.scan().changed).toBe(false);
    expect(inForce()).toEqual(['ConfigMap data/a']);
    renameSync(join(base, 'away'), path);
    settle();
    renameSync(path, join(base, 'away'));
    reader.scan();
    clock.advance(300);
    expect(reader.scan().changed).toBe(true);
    expect(inForce()).toEqual([]);
  });

  test('what is below a directory that cannot be read is unknown, not gone', () => {
    mkdirSync(join(root, 'nested'));
    writeFileSync(join(root, 'nested/a.yaml'), configMap('a'));
    settle();
    renameSync(root, `${root}-away`);
    for (let look = 0; look < 3; look += 1) {
      expect(reader.scan()).toMatchObject({ changed: false, unreadable: [{ file: '.' }] });
      clock.advance(1000);
    }
    expect(inForce()).toEqual(['ConfigMap data/a']);
    renameSync(`${root}-away`, root);
    expect(reader.scan()).toMatchObject({ changed: false, unreadable: [] });
    expect(inForce()).toEqual(['ConfigMap data/a']);
  });
});
