/** Finds resource files and reads those that have changed and are at rest. */
import {
  type BigIntStats,
  closeSync,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { maxFileBytes } from './yaml-file.ts';

const maxFiles = 10_000;
const maxDepth = 16;
const extension = /\.(ya?ml|json)$/;

/** What tells that a file was touched. */
export interface Signature {
  readonly text: string;
  readonly changedMs: number;
  readonly mode: number;
}

export interface Listing {
  /** By path below the root, with forward slashes. */
  readonly files: ReadonlyMap<string, Signature>;
  /** Directories, absolute, to be watched. */
  readonly directories: readonly string[];
  /** Paths that could not be looked at: what is below them is unknown, not gone. */
  readonly unreadable: ReadonlyMap<string, string>;
}

/**
 * Lists all `.yaml`, `.yml` and `.json` files below `root`; names that begin with a dot are passed over,
 * which are editors' and version control's, and links to directories are not followed.
 */
export function listFiles(root: string): Listing {
  const files = new Map<string, Signature>();
  const directories: string[] = [];
  const unreadable = new Map<string, string>();
  const visit = (relative: string, depth: number): void => {
    const absolute = join(root, relative);
    let entries: import('node:fs').Dirent[];
    try {
      entries = readdirSync(absolute, { withFileTypes: true });
    } catch (error) {
      unreadable.set(relative, reasonOf(error));
      return;
    }
    directories.push(absolute);
    for (const entry of entries) {
      if (entry.name.startsWith('.')) continue;
      const path = relative === '' ? entry.name : `${relative}/${entry.name}`;
      if (entry.isDirectory()) {
        if (depth >= maxDepth) unreadable.set(path, `is nested more than ${maxDepth} deep`);
        else visit(path, depth + 1);
        continue;
      }
      if (!extension.test(entry.name)) continue;
      if (files.size >= maxFiles) {
        unreadable.set(path, `there are more than ${maxFiles} files`);
        continue;
      }
      try {
        const stats = statSync(join(root, path), { bigint: true });
        if (stats.isFile()) files.set(path, signatureOf(stats));
      } catch (error) {
        // Gone between listing and looking: as if it had not been listed.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
          unreadable.set(path, reasonOf(error));
        }
      }
    }
  };
  visit('', 0);
  return { files, directories, unreadable };
}

/**
 * The text of a file, if it is still the one with that signature when it has been read. `undefined`: it
 * changed meanwhile. Throws what open and read throw, and when it is too large or not UTF-8.
 */
export function readFileAtRest(path: string, signature: Signature): string | undefined {
  const descriptor = openSync(path, 'r');
  try {
    const before = fstatSync(descriptor, { bigint: true });
    if (before.size > BigInt(maxFileBytes)) {
      throw new Error(`is larger than ${maxFileBytes / 1024 / 1024} MiB`);
    }
    const bytes = Buffer.alloc(Number(before.size));
    let length = 0;
    while (length < bytes.length) {
      const read = readSync(descriptor, bytes, length, bytes.length - length, length);
      if (read === 0) return undefined;
      length += read;
    }
    const after = fstatSync(descriptor, { bigint: true });
    if (signatureOf(after).text !== signature.text) return undefined;
    return decode(bytes);
  } finally {
    closeSync(descriptor);
  }
}

export function signatureOf(stats: BigIntStats): Signature {
  return {
    text: `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`,
    changedMs: Number(stats.ctimeNs / 1_000_000n),
    mode: Number(stats.mode) & 0o777,
  };
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new Error('is not UTF-8');
  }
}

/** A system error without the path, which the message has already. */
export function reasonOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'EACCES' || code === 'EPERM') return 'cannot be read: permission denied';
  if (code !== undefined) return `cannot be read: ${code}`;
  return error instanceof Error ? error.message : 'cannot be read';
}
