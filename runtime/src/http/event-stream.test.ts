import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { EventStreamParser, type ServerEvent } from './event-stream.ts';

function parse(chunks: readonly (string | Uint8Array)[], maxEventChars = 1000): ServerEvent[] {
  const events: ServerEvent[] = [];
  const parser = new EventStreamParser((event) => events.push(event), maxEventChars);
  for (const chunk of chunks) parser.feed(Buffer.from(chunk));
  return events;
}

describe('what an event is', () => {
  test.each<[string, string, ServerEvent[]]>([
    ['name, id and data', 'event: a\nid: 1\ndata: x\n\n', [{ event: 'a', data: 'x', id: '1' }]],
    ['data alone', 'data:x\n\n', [{ event: 'message', data: 'x', id: '' }]],
    ['several lines of data', 'data: x\ndata: y\n\n', [{ event: 'message', data: 'x\ny', id: '' }]],
    ['an event without data', 'event: a\nid: 1\n\n', []],
    ['comments', ': ping\n\ndata: x\n\n', [{ event: 'message', data: 'x', id: '' }]],
    ['lines that end in CR LF', 'data: x\r\n\r\n', [{ event: 'message', data: 'x', id: '' }]],
    [
      'fields that are not known',
      'retry: 9\nnone\ndata: x\n\n',
      [{ event: 'message', data: 'x', id: '' }],
    ],
    ['an event that is not whole', 'data: x\n', []],
    [
      'an id that holds for what follows',
      'id: 7\ndata: x\n\ndata: y\n\n',
      [
        { event: 'message', data: 'x', id: '7' },
        { event: 'message', data: 'y', id: '7' },
      ],
    ],
  ])('%s', (_name, text, events) => {
    expect(parse([text])).toEqual(events);
  });
});

test('it does not matter where the bytes are cut', () => {
  const bytes = Buffer.from('event: ä\ndata: {"n":"ŝ😀"}\n\n: c\nid: 2\ndata: b\n\n');
  const whole = parse([bytes]);
  expect(whole).toHaveLength(2);
  fc.assert(
    fc.property(fc.array(fc.nat(bytes.length)), (cuts) => {
      const places = [0, ...[...cuts].sort((a, b) => a - b), bytes.length];
      const chunks = places.slice(1).map((end, index) => bytes.subarray(places[index], end));
      expect(parse(chunks)).toEqual(whole);
    }),
  );
});

describe('bounds', () => {
  test.each([
    ['a line without an end', ['x'.repeat(600), 'x'.repeat(600)]],
    ['an event of many lines', [`data: ${'x'.repeat(90)}\n`.repeat(12)]],
  ])('%s is refused', (_name, chunks) => {
    expect(() => parse(chunks)).toThrow(expect.objectContaining({ code: 'CHP-6009' }));
  });

  test('comments between events do not add up', () => {
    expect(parse([`:${'x'.repeat(100)}\n`.repeat(50), 'data: x\n\n'])).toHaveLength(1);
  });

  test('bytes that are no UTF-8 are refused', () => {
    expect(() => parse([new Uint8Array([0x64, 0xff, 0x0a])])).toThrow(/UTF-8/);
  });
});
