import type { DatabaseSync } from 'node:sqlite';
import { Snapshot } from '../controllers/snapshot.ts';
import { ObjectTable } from './object-table.ts';

/** What is in force by the state database, as the running program last wrote it; Secrets are not in it. */
export function stateSnapshot(database: DatabaseSync): Snapshot {
  const table = new ObjectTable(database, Buffer.alloc(0)); // nothing is written, so nothing is keyed
  const snapshot = new Snapshot();
  snapshot.apply({
    events: table.all().map((object) => ({ type: 'Added', object })),
    resourceVersion: String(table.version()),
  });
  return snapshot;
}
