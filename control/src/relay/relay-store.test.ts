import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type RelayedBatch, RelayStore } from './relay-store.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'relay-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const batch = (over: Partial<RelayedBatch> = {}): RelayedBatch => ({
  kind: 'Events',
  name: 's',
  source: 'a',
  namespace: 'n',
  token: 't',
  ...over,
});
const kibibytes = (count: number): Buffer => Buffer.alloc(count * 1024, '\n');
const mebibyte = 1024 * 1024;

describe('a relay’s store', () => {
  test('gives back what it took, in order, and forgets what is removed', () => {
    const store = new RelayStore(directory, mebibyte);
    for (const session of ['1', '2', '3']) {
      expect(store.take(batch({ name: session }), Buffer.from(`body\n${session}\n`))).toBe(true);
    }
    const entries = store.sources().get('a')!;
    expect(entries.map((entry) => [entry.name, String(store.body(entry))])).toEqual([
      ['1', 'body\n1\n'],
      ['2', 'body\n2\n'],
      ['3', 'body\n3\n'],
    ]);
    for (const entry of entries) store.remove(entry);
    expect([store.heldBytes, store.sources().size, readdirSync(directory)]).toEqual([0, 0, []]);
  });

  test('holds over its directory what it held before, in files of its user alone', () => {
    const before = new RelayStore(directory, mebibyte);
    for (const session of ['1', '2', '3']) before.take(batch({ name: session }), kibibytes(1));
    before.remove(before.sources().get('a')![0]!);
    writeFileSync(join(directory, '000000000009.batch'), 'what was not written to its end');
    writeFileSync(join(directory, '000000000010.batch.tmp'), 'nor this');
    const after = new RelayStore(directory, mebibyte);
    expect(after.heldBytes).toBe(before.heldBytes);
    expect(readdirSync(directory)).toHaveLength(2);
    after.take(batch({ name: '4' }), kibibytes(1));
    expect(
      after
        .sources()
        .get('a')!
        .map(({ name }) => name),
    ).toEqual(['2', '3', '4']);
    for (const { path } of after.sources().get('a')!) {
      expect(statSync(path).mode & 0o077).toBe(0);
    }
  });

  test('is bounded for one source, for one namespace and in all', () => {
    const store = new RelayStore(directory, mebibyte);
    const fill = (source: string, namespace: string): number => {
      let taken = 0;
      while (store.take(batch({ source, namespace }), kibibytes(10))) taken += 1;
      return taken;
    };
    // 7/8 of 1 MiB are 896 KiB: 112 for a source, 448 for a namespace. Each batch takes 12 KiB, in whole pages.
    expect(['a', 'b', 'c', 'd', 'e', 'f'].map((source) => fill(source, 'n'))).toEqual([
      9, 9, 9, 9, 1, 0,
    ]);
    const others = Array.from({ length: 9 }, (_, at) => fill(`x${at}`, `other-${at}`));
    expect(others.reduce((sum, taken) => sum + taken, 0)).toBeLessThan(50);
    expect(others.at(-1)).toBe(0);
    expect(store.heldBytes).toBeLessThanOrEqual((mebibyte * 7) / 8);
  });

  test('counts a small batch as what its file takes', () => {
    const store = new RelayStore(directory, mebibyte);
    let taken = 0;
    while (store.take(batch(), Buffer.alloc(0))) taken += 1;
    // 112 KiB for a source, 4 KiB for each.
    expect([taken, store.heldBytes]).toEqual([28, 112 * 1024]);
    expect(new RelayStore(directory, mebibyte).heldBytes).toBe(112 * 1024);
  });

  test('has room for gaps when it is full, and not for any number of them', () => {
    const store = new RelayStore(directory, mebibyte);
    for (let at = 0; at < 20; at += 1) {
      const source = `s${at}`;
      while (store.take(batch({ source, namespace: source }), kibibytes(10)));
    }
    const gap = { kind: 'Gap' } as const;
    expect(store.take(batch(gap), kibibytes(30))).toBe(true);
    expect(store.take(batch(gap), kibibytes(30))).toBe(true);
    expect(store.take(batch(gap), kibibytes(30))).toBe(false);
    expect(store.take(batch({ ...gap, source: 'b' }), kibibytes(30))).toBe(true);
    expect(store.take(batch({ ...gap, source: 'c' }), kibibytes(60))).toBe(false);
  });
});
