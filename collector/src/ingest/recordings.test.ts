import { hash } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import { maxChunkBytes } from '@chaperone/core/events/recording.ts';
import { expect, test } from '@jest/globals';
import { checkChunk } from './recordings.ts';

test('no more comes out of a compressed body than a chunk holds', async () => {
  const content = Buffer.alloc(maxChunkBytes + 1);
  const digest = hash('sha256', content, 'hex');
  await expect(checkChunk(digest, zstdCompressSync(content), 'zstd')).rejects.toMatchObject({
    status: 422,
    cause: { code: 'ERR_BUFFER_TOO_LARGE' },
  });
});

test('a chunk of the largest size passes', async () => {
  const content = Buffer.alloc(maxChunkBytes);
  const digest = hash('sha256', content, 'hex');
  const { chunk } = await checkChunk(digest, zstdCompressSync(content), 'zstd');
  expect(chunk.kind).toBe('Data');
});
