import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { lines } from './lines.ts';

async function* chunked(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (const size of sizes) {
    yield bytes.subarray(at, at + size);
    at += size;
  }
  yield bytes.subarray(at);
}

async function collect(chunks: AsyncIterable<Uint8Array>, maxChars = 1000): Promise<string[]> {
  const result: string[] = [];
  for await (const line of lines(chunks, maxChars)) result.push(line);
  return result;
}

describe('lines', () => {
  test('are the same however the bytes are cut', async () => {
    const line = fc
      .string({ unit: 'binary', maxLength: 20 })
      .map((text) => text.replace(/\n/g, ''));
    const cuts = fc.array(fc.nat(7), { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(fc.array(line), cuts, async (wanted, sizes) => {
        const bytes = new TextEncoder().encode(wanted.map((text) => `${text}\n`).join(''));
        // A mark of byte order at the very beginning is no part of the text.
        const text = new TextDecoder().decode(bytes);
        const expected = text.split('\n').filter((each) => each.trim() !== '');
        expect(await collect(chunked(bytes, sizes))).toEqual(expected);
      }),
    );
  });

  test('the last one needs no end', async () => {
    expect(await collect(chunked(new TextEncoder().encode('a\n\nb'), [1]))).toEqual(['a', 'b']);
  });

  test('one without an end is not collected for ever', async () => {
    const endless = (async function* (): AsyncGenerator<Uint8Array> {
      for (;;) yield new TextEncoder().encode('x'.repeat(100));
    })();
    await expect(collect(endless)).rejects.toThrow('a line is longer than 1000 characters');
  });
});
