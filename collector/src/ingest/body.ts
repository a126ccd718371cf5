import type { IncomingHttpHeaders } from 'node:http';
import type { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createGunzip, createZstdDecompress } from 'node:zlib';
import { Problem } from '../http/problem.ts';

function tooLarge(maxBytes: number): Problem {
  return new Problem(413, 'CHP-6011', `the body is larger than ${maxBytes} bytes`);
}

/** Passes bytes on and throws a 413 beyond `maxBytes`. `counted` hears of how many there were so far. */
function capped(maxBytes: number, counted: (bytes: number) => void = () => {}) {
  return async function* (source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let bytes = 0;
    for await (const chunk of source) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw tooLarge(maxBytes);
      counted(bytes);
      yield chunk;
    }
  };
}

/** What `read` pipes into the collector it is given. Throws Problems: 413, and 400 for a body that breaks off. */
async function collect(
  headers: IncomingHttpHeaders,
  maxBytes: number,
  read: (into: (source: AsyncIterable<Uint8Array>) => Promise<void>) => Promise<void>,
): Promise<Buffer> {
  // A body that declares itself too large is refused before any of it is read.
  if (Number(headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes);
  const chunks: Uint8Array[] = [];
  try {
    await read(async (source) => {
      for await (const chunk of source) chunks.push(chunk);
    });
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem(
      400,
      'CHP-6001',
      'the body broke off or is not what its content encoding says',
      { cause: error },
    );
  }
  return Buffer.concat(chunks);
}

/** The whole body as it arrives, at most `maxBytes` of it. Throws Problems: 413, 400. */
export function readBytes(
  headers: IncomingHttpHeaders,
  body: Readable,
  maxBytes: number,
): Promise<Buffer> {
  return collect(headers, maxBytes, (into) => pipeline(body, capped(maxBytes), into));
}

/** A frame may ask for a window of 128 MiB to be decompressed in; ours ask for less than one. */
const maxWindowLog = 22; // 4 MiB

/** What decompresses, and tells how much of its input it has used. */
interface Decompressor extends Transform {
  readonly bytesWritten: number;
}

const decompressors: ReadonlyMap<string, () => Decompressor> = new Map<string, () => Decompressor>([
  ['gzip', createGunzip],
  [
    'zstd',
    () => createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: maxWindowLog } }),
  ],
]);

/** Throws a 400, too, for bytes behind the end of what is compressed: they would count for nothing. */
async function readDecompressed(
  headers: IncomingHttpHeaders,
  body: Readable,
  decompressor: Decompressor,
  maxBytes: number,
  maxDecodedBytes: number,
): Promise<Buffer> {
  let arrived = 0;
  const bytes = await collect(headers, maxBytes, (into) =>
    pipeline(
      body,
      capped(maxBytes, (count) => {
        arrived = count;
      }),
      decompressor,
      capped(maxDecodedBytes),
      into,
    ),
  );
  if (decompressor.bytesWritten !== arrived) {
    throw new Problem(400, 'CHP-6001', 'there are bytes behind the end of the compressed body');
  }
  return bytes;
}

/**
 * The whole body, decompressed as Content-Encoding says. At most `maxBytes` arrive and at most `maxDecodedBytes`
 * come out of the decompressor. Throws Problems: 413, 415, and 400 for bytes that are not what their encoding says.
 */
export async function readDecoded(
  headers: IncomingHttpHeaders,
  body: Readable,
  maxBytes: number,
  maxDecodedBytes: number,
): Promise<Buffer> {
  const encoding = headers['content-encoding'] ?? 'identity';
  const decompress = decompressors.get(encoding);
  if (decompress === undefined && encoding !== 'identity') {
    throw new Problem(415, 'CHP-6001', 'the content encoding is not zstd, gzip or identity');
  }
  return decompress === undefined
    ? readBytes(headers, body, Math.min(maxBytes, maxDecodedBytes))
    : readDecompressed(headers, body, decompress(), maxBytes, maxDecodedBytes);
}

/** The text of a body. Throws a 400 for bytes that are not UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new Problem(400, 'CHP-6001', 'the body is not UTF-8', { cause: error });
  }
}
