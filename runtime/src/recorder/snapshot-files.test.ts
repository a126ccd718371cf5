import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { SnapshotFiles } from './snapshot-files.ts';
import { Spool } from './spool.ts';

const mebibyte = 1024 * 1024;
const digestOf = (at: number): string => at.toString(16).padStart(64, '0');

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'chaperone-snapshots-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const spoolOf = (maxBytes: number): Spool =>
  new Spool({ directory, maxBytes, onSealed: () => {}, onCreated: () => {} });

test('policies take no room beyond the spool’s bound, and are kept again once there is some', async () => {
  const spool = spoolOf(mebibyte);
  const failures: unknown[] = [];
  const files = new SnapshotFiles(spool, (cause) => failures.push(cause));
  for (let at = 0; at < 20; at += 1) files.keep(digestOf(at), 'x'.repeat(100 * 1024));
  // An eighth of the bound is for the ends of statements that run.
  const kept = files.stored();
  expect([kept.length, failures.length]).toEqual([8, 12]);
  expect(spool.bytes).toBeLessThanOrEqual((mebibyte * 7) / 8);
  expect(readdirSync(join(directory, 'snapshots'))).toHaveLength(8);

  await files.remove(kept[0]!);
  files.keep(digestOf(19), 'x'.repeat(100 * 1024));
  expect(files.stored()).toHaveLength(8);
  expect(files.stored()).toContain(digestOf(19));
});

test('a policy is kept once, also when the collector has it already', async () => {
  const files = new SnapshotFiles(spoolOf(mebibyte), () => {});
  files.keep(digestOf(1), '{}');
  files.keep(digestOf(1), '{}');
  expect(files.stored()).toEqual([digestOf(1)]);
  await files.remove(digestOf(1));
  files.keep(digestOf(1), '{}');
  expect(files.stored()).toEqual([]);
});
