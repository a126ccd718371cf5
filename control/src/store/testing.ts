/** For tests: a directory of resources and a state directory that are removed afterwards. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { systemClock } from '@chaperone/runtime/clock.ts';
import { DirectoryStore } from './directory-store.ts';
import type { PlacedProblem } from './file-set.ts';
import type { WatchBatch } from './resource-store.ts';
import { installationKey, openStateDatabase } from './state-database.ts';

export interface TestDirectory {
  readonly path: string;
  readonly state: string;
  readonly database: DatabaseSync;
  readonly key: Buffer;
  /** In one step, as editors do. */
  write(file: string, text: string): void;
  remove(file: string): void;
  open(onProblems?: (problems: readonly PlacedProblem[]) => void): Promise<DirectoryStore>;
  /** Closes the stores and removes the directories. */
  close(): Promise<void>;
}

export function testDirectory(files: Readonly<Record<string, string>> = {}): TestDirectory {
  const base = mkdtempSync(join(tmpdir(), 'chaperone-'));
  const path = join(base, 'resources');
  const state = join(base, 'state');
  mkdirSync(path);
  const database = openStateDatabase(state);
  const key = installationKey(state);
  const stores: DirectoryStore[] = [];
  const write = (file: string, text: string): void => {
    const full = join(path, file);
    mkdirSync(dirname(full), { recursive: true });
    const draft = join(dirname(full), '.draft');
    writeFileSync(draft, text, { mode: 0o600 });
    renameSync(draft, full);
  };
  for (const [file, text] of Object.entries(files)) write(file, text);
  return {
    path,
    state,
    database,
    key,
    write,
    remove: (file) => rmSync(join(path, file)),
    async open(onProblems) {
      const clock = systemClock();
      const store = await DirectoryStore.open({
        directory: path,
        database,
        key,
        clock,
        ...(onProblems && { onProblems }),
      });
      stores.push(store);
      return store;
    },
    async close() {
      for (const store of stores) store.close();
      database.close();
      rmSync(base, { recursive: true, force: true });
    },
  };
}

/** Resolves once a batch of the store satisfies `found`; batches from before the call do not count. */
export function nextBatch(
  store: DirectoryStore,
  found: (batch: WatchBatch) => boolean = () => true,
): Promise<WatchBatch> {
  return new Promise((resolve) => {
    let initial = true;
    const stop = store.watch(
      ['MachineIdentity', 'Target', 'AccessPolicy', 'MaskingRule', 'Secret', 'ConfigMap'],
      (batch) => {
        if (initial || !found(batch)) return;
        stop();
        resolve(batch);
      },
    );
    initial = false;
  });
}
