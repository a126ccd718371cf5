import { hash } from 'node:crypto';

/**
 * A recorded result of at most so many bytes is the part `result` of its OperationCompleted, and no chunk: a
 * file of its own, and a request, cost more than all else that happens to a small one.
 */
export const maxPartResultBytes = 16 * 1024;

/**
 * A larger recorded result is a sequence of content-addressed chunks: 16 random bytes (so that a short result
 * cannot be guessed from its digest), one byte of kind, and the content.
 */
export const chunkSaltBytes = 16;
export const chunkHeaderBytes = chunkSaltBytes + 1;
/** A whole chunk, header included. */
export const maxChunkBytes = 512 * 1024;
/** Digests that an OperationCompleted names at most; longer results name index chunks instead. */
export const maxListedChunks = 64;
export const digestBytes = 32;
/** Digests that one index chunk holds. */
export const maxIndexedChunks = Math.floor((maxChunkBytes - chunkHeaderBytes) / digestBytes);

export const chunkKinds = { data: 0, index: 1 } as const;

/** A chunk, opened. */
export type Chunk =
  | { readonly kind: 'Data'; readonly content: Uint8Array }
  /** The SHA-256 of the chunks that follow in its place, hex, in order. */
  | { readonly kind: 'Index'; readonly digests: readonly string[] };

/** Checks a chunk against its digest (SHA-256, hex) and opens it; undefined when it is not that chunk. */
export function openChunk(digest: string, bytes: Uint8Array): Chunk | undefined {
  if (bytes.length < chunkHeaderBytes || bytes.length > maxChunkBytes) return undefined;
  if (hash('sha256', bytes, 'hex') !== digest) return undefined;
  const content = bytes.subarray(chunkHeaderBytes);
  if (bytes[chunkSaltBytes] === chunkKinds.data) return { kind: 'Data', content };
  if (bytes[chunkSaltBytes] !== chunkKinds.index || content.length % digestBytes !== 0) {
    return undefined;
  }
  const digests: string[] = [];
  for (let at = 0; at < content.length; at += digestBytes) {
    digests.push(Buffer.from(content.subarray(at, at + digestBytes)).toString('hex'));
  }
  return { kind: 'Index', digests };
}

/**
 * The content of a recorded result, chunk by chunk. `read` gives a chunk's bytes by its digest, or
 * undefined when it is gone. Yields `undefined` in the place of a chunk that is missing or not genuine.
 */
export async function* recordedContent(
  digests: readonly string[],
  read: (digest: string) => Promise<Uint8Array | undefined>,
  depth = 0,
): AsyncGenerator<Uint8Array | undefined> {
  for (const digest of digests) {
    const bytes = await read(digest);
    const chunk = bytes === undefined ? undefined : openChunk(digest, bytes);
    if (chunk?.kind === 'Data') yield chunk.content;
    else if (chunk?.kind === 'Index' && depth < 2) {
      yield* recordedContent(chunk.digests, read, depth + 1);
    } else yield undefined;
  }
}
