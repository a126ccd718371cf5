import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type ResultItem, readResult } from './result-reader.ts';

function message(type: string, body: Buffer): Buffer {
  const header = Buffer.alloc(5);
  header.write(type, 0, 'latin1');
  header.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function description(columns: readonly (readonly [string, number, number])[]): Buffer {
  const fields = columns.map(([name, typeOid, format]) =>
    Buffer.concat([
      Buffer.from(`${name}\0`),
      int32(7),
      int16(1),
      int32(typeOid),
      int16(-1),
      int32(-1),
      int16(format),
    ]),
  );
  return message('T', Buffer.concat([int16(columns.length), ...fields]));
}

function row(values: readonly (Buffer | null)[]): Buffer {
  const fields = values.map((value) =>
    value === null ? int32(-1) : Buffer.concat([int32(value.length), value]),
  );
  return message('D', Buffer.concat([int16(values.length), ...fields]));
}

async function read(chunks: readonly (Uint8Array | undefined)[]): Promise<ResultItem[]> {
  async function* source() {
    yield* chunks;
  }
  const found: ResultItem[] = [];
  for await (const item of readResult(source())) found.push(item);
  return found;
}

const result = Buffer.concat([
  description([
    ['id', 23, 1],
    ['name', 25, 0],
    ['raw', 17, 1],
    ['ok', 16, 1],
  ]),
  row([int32(-5), Buffer.from('Grüße'), Buffer.from([0xff, 1]), Buffer.from([1])]),
  row([null, Buffer.from([0xff]), Buffer.from([]), Buffer.from([0, 0])]),
  message('C', Buffer.from('SELECT 2\0')),
  message('d', Buffer.from('1\tx\n')),
]);
const items: ResultItem[] = [
  { kind: 'Columns', names: ['id', 'name', 'raw', 'ok'] },
  { kind: 'Row', values: ['-5', 'Grüße', '\\xff01', 'true'] },
  { kind: 'Row', values: [null, '\\xff', '\\x', '\\x0000'] },
  { kind: 'Copy', text: '1\tx\n' },
];

test('columns, rows and copied lines', async () => expect(await read([result])).toEqual(items));

test('rows without a description are text or hex', async () => {
  expect(await read([row([Buffer.from('a'), null])])).toEqual([
    { kind: 'Row', values: ['a', null] },
  ]);
});

test('cut anywhere, the same', async () => {
  const cuts = fc.uniqueArray(fc.integer({ min: 0, max: result.length }));
  await fc.assert(
    fc.asyncProperty(cuts, async (at) => {
      const bounds = [0, ...at.sort((a, b) => a - b), result.length];
      const chunks = bounds.slice(1).map((end, index) => result.subarray(bounds[index], end));
      expect(await read(chunks)).toEqual(items);
    }),
  );
});

describe('what cannot be read says so, and ends', () => {
  test.each<[string, readonly (Uint8Array | undefined)[]]>([
    ['an end within a message', [result.subarray(0, result.length - 1)]],
    ['a chunk that is gone', [result.subarray(0, 10), undefined, result]],
    ['a length below itself', [Buffer.from([0x44, 0, 0, 0, 3])]],
    ['a negative length', [Buffer.from([0x44, 0xff, 0xff, 0xff, 0xff])]],
    ['a value longer than its row', [message('D', Buffer.concat([int16(1), int32(99)]))]],
    ['a value of length -2', [message('D', Buffer.concat([int16(1), int32(-2)]))]],
    ['more values than said', [message('D', Buffer.concat([int16(0), int32(1)]))]],
    ['a name without an end', [message('T', Buffer.concat([int16(1), Buffer.from('abc')]))]],
  ])('%s', async (_name, chunks) => {
    expect((await read(chunks)).at(-1)?.kind).toBe('Damaged');
  });

  test('any bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array()), async (chunks) => void (await read(chunks))),
    );
  });
});

test('a message too large to show is passed over without being held', async () => {
  const large = message('D', Buffer.alloc(5 << 20));
  const stream = Buffer.concat([large, row([Buffer.from('after')])]);
  const chunks = Array.from({ length: Math.ceil(stream.length / 65536) }, (_, at) =>
    stream.subarray(at * 65536, (at + 1) * 65536),
  );
  expect(await read(chunks)).toEqual([
    { kind: 'Large', bytes: (5 << 20) + 4 },
    { kind: 'Row', values: ['after'] },
  ]);
  expect((await read(chunks.slice(0, 3))).at(-1)?.kind).toBe('Damaged');
});
