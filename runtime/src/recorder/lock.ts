import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { ChaperoneError } from '../errors/chaperone-error.ts';

/**
 * Holds a directory for this program alone, until the returned function is called or the program dies.
 * The lock is SQLite's own on an empty file: Node has no flock, and a file with a process id in it says
 * nothing in a container, where every program is process 1. Throws ChaperoneError CHP-4005.
 */
export function lockDirectory(directory: string): () => void {
  const database = new DatabaseSync(join(directory, 'lock'), { timeout: 0 });
  try {
    database.exec('PRAGMA journal_mode = OFF; BEGIN EXCLUSIVE');
  } catch (cause) {
    database.close();
    throw new ChaperoneError('CHP-4005', `another program records into ${directory}`, { cause });
  }
  return () => database.close();
}
