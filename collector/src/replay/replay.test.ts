import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { EventView } from '../query/render.ts';
import { bodies, shipped, uuid } from '../testing/events.ts';
import { replay } from './replay.ts';

const session = uuid(1);

function view(seq: number, body: object, parts: EventView['parts'] = {}): EventView {
  const { line } = shipped(session, seq, body as Parameters<typeof shipped>[2]);
  return { receivedAt: '', event: JSON.parse(line), parts };
}

async function lines(
  views: readonly EventView[],
  chunks: Readonly<Record<string, Uint8Array>> = {},
  maxRows = 10,
  results: Readonly<Record<string, Uint8Array>> = {},
): Promise<string[]> {
  async function* source() {
    yield* views;
  }
  const readChunk = async (digest: string) => chunks[digest];
  const found: string[] = [];
  const readResult = async (of: string, seq: number) => results[`${of} ${seq}`];
  for await (const line of replay(source(), { maxRows, readChunk, readResult })) found.push(line);
  return found;
}

const rowMessage = (text: string): Buffer => {
  const body = Buffer.alloc(6 + Buffer.byteLength(text));
  body.writeInt16BE(1, 0);
  body.writeInt32BE(Buffer.byteLength(text), 2);
  body.write(text, 6);
  const header = Buffer.alloc(5);
  header.write('D');
  header.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
};

test('a session from its opening to its end', async () => {
  const content = Buffer.concat([rowMessage('Alice'), rowMessage('B\u001b[31mob')]);
  const chunk = Buffer.concat([Buffer.alloc(16, 7), Buffer.of(0), content]);
  const digest = createHash('sha256').update(chunk).digest('hex');
  const completed = { ...bodies.completed(2, [digest]), masked: [{ rule: 'ssn', cells: 2 }] };
  const shown = await lines(
    [
      view(1, bodies.opened()),
      view(2, bodies.decided(), {
        statement: { state: 'Kept', content: 'select name\nfrom orders' },
        parameters: { state: 'Kept', content: '["7"]' },
      }),
      view(3, completed),
      view(4, bodies.decided('Deny', ['shop', 'public', 'orders'], 'Delete', 'no-writes'), {
        statement: { state: 'Purged' },
      }),
      view(7, bodies.closed(7)),
    ],
    { [digest]: chunk },
  );
  expect(shown).toEqual([
    '2026-01-01T00:00:01.000000Z',
    '+00:00.000  #1    opened by payments/nightly-report of payments, for: a report',
    '                    from 127.0.0.1:5000 to data/orders-db, database shop',
    '                    policy version 1, Enforce, ticket t-1',
    '+00:01.000  #2    select name\\nfrom orders',
    '                  parameters ["7"]',
    '                  Allow by AccessPolicy data/reports/r',
    '                    Select shop.public.orders',
    '+00:02.000  #3    Ok (of #2): 1 row, 10 bytes, 1.50 ms',
    '                    masked: 2 cells by ssn',
    '                    Alice',
    '                    B\\x1b[31mob',
    '+00:03.000  #4    (statement purged)',
    '                  Deny by AccessPolicy data/no-writes/r',
    '                    Delete shop.public.orders',
    '            (events 5 to 6 are not here)',
    '+00:06.000  #7    closed: ended by client',
    '                    1 statement, 0 refused, 1 row, 10 bytes',
  ]);
});

test('operations say where they reach, what runs with them and what was not understood', async () => {
  const decided = bodies.decided('Deny') as unknown as { operations: object[] };
  const [operation] = decided.operations;
  const operations = [
    { ...operation, reach: 'Beneath' },
    { ...operation, sideEffects: true },
    { ...operation, verb: 'Unknown', class: 'Unknown', reason: 'function f() is not known' },
  ];
  const shown = await lines([view(1, { ...decided, operations })]);
  expect(shown.slice(-3).map((line) => line.trim())).toEqual([
    'Select shop.public.orders (beneath)',
    'Select shop.public.orders with side effects',
    'Unknown shop.public.orders: function f() is not known',
  ]);
});

test('only so many rows, and a word where a recording is gone', async () => {
  const content = Buffer.concat(['a', 'b', 'c'].map(rowMessage));
  const chunk = Buffer.concat([Buffer.alloc(16), Buffer.of(0), content]);
  const digest = createHash('sha256').update(chunk).digest('hex');
  const views = [view(1, bodies.completed(1, [digest]))];
  expect((await lines(views, { [digest]: chunk }, 2)).slice(2).map((line) => line.trim())).toEqual([
    'a',
    'b',
    '(further rows not shown)',
  ]);
  expect((await lines(views)).at(-1)).toContain('not kept');
  expect((await lines(views, { [digest]: Buffer.from('forged') })).at(-1)).toContain('not kept');
});

test('the same bytes replay the same, as a part and as chunks', async () => {
  const value = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.constant('x'.repeat(1500)),
  );
  const bytes = fc.oneof(
    fc.array(value, { maxLength: 12 }).map((values) => Buffer.concat(values.map(rowMessage))),
    fc.uint8Array({ maxLength: 200 }).map((any) => Buffer.from(any)),
  );
  await fc.assert(
    fc.asyncProperty(bytes, fc.nat(400), fc.nat(12), async (content, cutAt, maxRows) => {
      const pieces = [content.subarray(0, cutAt), content.subarray(cutAt)];
      const chunks: Record<string, Buffer> = {};
      const digests = pieces.map((piece, at) => {
        const chunk = Buffer.concat([Buffer.alloc(16, at), Buffer.of(0), piece]);
        const digest = createHash('sha256').update(chunk).digest('hex');
        chunks[digest] = chunk;
        return digest;
      });
      const asChunks = await lines([view(1, bodies.completed(1, digests))], chunks, maxRows);
      const apart = [view(1, bodies.completed(1), { result: { state: 'Apart' } })];
      const asPart = await lines(apart, {}, maxRows, { [`${session} 1`]: content });
      expect(asPart).toEqual(asChunks);
    }),
  );
});

test.each(['Apart', 'Purged', 'Withheld'] as const)(
  'a part that is %s and not given',
  async (state) => {
    const shown = await lines([view(1, bodies.completed(1), { result: { state } })]);
    expect(shown.at(-1)).toContain('not kept');
  },
);

test('whatever stands in an event, each line stays a line and harmless', async () => {
  const evil = '\u001b[2J\nforged line\r\u009b1m';
  const opened = JSON.parse(
    JSON.stringify(bodies.opened()).replaceAll('nightly-report', JSON.stringify(evil).slice(1, -1)),
  );
  const shown = await lines([
    view(1, opened),
    view(2, { ...bodies.decided(), reason: evil }, { statement: { state: 'Kept', content: evil } }),
    view(3, { type: 'ProtocolViolation', side: 'Client', code: evil, message: evil }),
    view(4, { type: 'RecordGap', from: 1, to: 2, reason: evil }),
    view(5, { type: evil }),
  ]);
  for (const line of shown) expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
});

test('an event whose fields are not what its type has is named all the same', async () => {
  expect((await lines([view(1, { type: 'SessionOpened' })])).at(-1)).toMatch(
    /SessionOpened \(not readable\)$/,
  );
});
