import { randomUUID } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import { type Chunk, maxChunkBytes, openChunk } from '@chaperone/core/events/recording.ts';
import { Problem } from '../http/problem.ts';

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/** A zstd frame of a chunk is never larger: incompressible bytes grow by less than this. */
export const maxCompressedBytes = maxChunkBytes + 4096;

/** A recorded chunk, checked, as it is kept. */
export interface CheckedChunk {
  readonly zstd: Uint8Array;
  readonly chunk: Chunk;
}

/**
 * Checks a recorded chunk against the SHA-256 of its content. `encoding`: how `body` is compressed. Throws a
 * 422 when it is not that chunk, and reads no more than a chunk holds out of a compressed body.
 */
export async function checkChunk(
  sha256: string,
  body: Uint8Array,
  encoding: 'zstd' | 'identity',
): Promise<CheckedChunk> {
  let content: Uint8Array;
  try {
    content =
      encoding === 'zstd' ? await decompress(body, { maxOutputLength: maxChunkBytes }) : body;
  } catch (error) {
    throw new Problem(422, 'CHP-6005', 'the body is not a zstd frame of a chunk', { cause: error });
  }
  const chunk = openChunk(sha256, content);
  if (chunk === undefined) {
    throw new Problem(422, 'CHP-6005', 'the bytes received are not a chunk of that digest');
  }
  return { zstd: encoding === 'zstd' ? body : await compress(content), chunk };
}

/** Recorded chunks as zstd files named by the SHA-256 of their content, in 256 directories. */
export class RecordingFiles {
  readonly #directory: string;
  readonly #incoming: string;

  /** Makes the directories and clears what an earlier process left half-written. */
  constructor(directory: string) {
    this.#directory = directory;
    this.#incoming = join(directory, 'incoming');
    rmSync(this.#incoming, { recursive: true, force: true });
    mkdirSync(this.#incoming, { recursive: true, mode: 0o700 });
  }

  #path(sha256: string): string {
    return join(this.#directory, sha256.slice(0, 2), `${sha256.slice(2)}.zst`);
  }

  /** Whether that chunk is here. */
  async has(sha256: string): Promise<boolean> {
    return (await orUndefined(stat(this.#path(sha256)))) !== undefined;
  }

  /** The chunk is in its place, whole and on disk, when this resolves. */
  async write(sha256: string, zstd: Uint8Array): Promise<void> {
    const temporary = join(this.#incoming, randomUUID());
    try {
      const file = await open(temporary, 'wx', 0o600);
      try {
        await file.writeFile(zstd);
        await file.sync();
      } finally {
        await file.close();
      }
      const path = this.#path(sha256);
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await rename(temporary, path);
      await syncDirectory(dirname(path));
      await syncDirectory(this.#directory);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  /** The zstd frame of a chunk; undefined when it is not here. */
  read(sha256: string): Promise<Uint8Array | undefined> {
    return orUndefined(readFile(this.#path(sha256)));
  }

  async remove(sha256: string): Promise<void> {
    await rm(this.#path(sha256), { force: true });
  }
}

async function orUndefined<Result>(work: Promise<Result>): Promise<Result | undefined> {
  try {
    return await work;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** A renamed file survives a power cut only once its directory is on disk. */
async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
