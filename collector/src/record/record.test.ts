import { describe, expect, test } from '@jest/globals';
import { bodies, shipped, uuid } from '../testing/events.ts';
import { LineError, readFacts } from './facts.ts';
import { jsonShapeProblem } from './json-shape.ts';
import { parseTimeUs } from './time.ts';

const session = uuid(1);
const facts = (body: object, change = (line: string) => line) =>
  readFacts(change(shipped(session, 1, body as Parameters<typeof shipped>[2]).line), session, 1);

describe('facts of a line', () => {
  test('a decision: verdict, operations, rules and masks', () => {
    const mask = { kind: 'MaskingRule', namespace: 'data', object: 'ssn', rule: '', generation: 1 };
    expect(facts({ ...bodies.decided('Deny'), masks: [mask] })).toMatchObject({
      type: 'OperationDecided',
      verdict: 'Deny',
      operations: [{ verb: 'Select', class: 'Read', resource: ['shop', 'public', 'orders'] }],
      rules: [
        { namespace: 'data', object: 'reports', rule: 'r' },
        { namespace: 'data', object: 'ssn', rule: '' },
      ],
    });
  });

  test('a type not known here is kept by its envelope', () => {
    expect(facts({ type: 'SomethingNew', anything: [1, { a: 2 }] })).toMatchObject({
      type: 'SomethingNew',
      operations: [],
    });
  });

  test.each<[string, object]>([
    ['a verdict that is no text', { ...bodies.decided(), verdict: 1 }],
    ['operations that are no list', { ...bodies.decided(), operations: {} }],
    [
      'an operation without a verb',
      { ...bodies.decided(), operations: [{ class: 'Read', resource: [] }] },
    ],
    [
      'a resource that is no list of texts',
      { ...bodies.decided(), operations: [{ verb: 'a', class: 'b', resource: [1] }] },
    ],
    ['an opening without an identity', { ...bodies.opened(), identity: undefined }],
    ['a close with a negative count', { ...bodies.closed(1), rows: -1 }],
    ['a recording that is no digest', bodies.completed(1, ['abc'])],
    ['a gap backwards', { type: 'RecordGap', from: 5, to: 4, reason: '' }],
    ['a gap of no session', { type: 'RecordGap', ofSession: 'x', from: 4, to: 4, reason: '' }],
    ['a heartbeat of no session', bodies.heartbeat({ x: 1 })],
    ['a heartbeat with a fraction', bodies.heartbeat({ [uuid(2)]: 1.5 })],
    ['a __proto__ for fields', JSON.parse('{"type":"SessionOpened","__proto__":{"identity":{}}}')],
  ])('refuses %s', (_name, body) => expect(() => facts(body)).toThrow(LineError));

  test.each<[string, (line: string) => string]>([
    ['another session', (line) => line.replace(session, uuid(2))],
    ['another seq', (line) => line.replace('"seq":1', '"seq":2')],
    ['a seq beyond exact numbers', (line) => line.replace('"seq":1', '"seq":9007199254740993')],
    ['a part not known', (line) => line.replace(/}$/, `,"parts":{"results":"${'0'.repeat(64)}"}}`)],
    [
      'a digest in capitals',
      (line) => line.replace(/}$/, `,"parts":{"statement":"${'A'.repeat(64)}"}}`),
    ],
    ['a list', () => '[]'],
    ['null', () => 'null'],
  ])('refuses %s', (_name, change) =>
    expect(() => facts(bodies.decided(), change)).toThrow(LineError),
  );
});

describe('the shape of JSON', () => {
  test.each<[string, string | undefined]>([
    ['{"a":1,"b":{"a":1}}', undefined],
    ['[{"a":1},{"a":1}]', undefined],
    ['{"a":"a","b":"a"}', undefined],
    ['{"a":"x\\"a\\":","b":"\\\\"}', undefined],
    ['{"a":1,"a":2}', 'an object names a key twice'],
    ['{"a":1,"\\u0061":2}', 'an object names a key twice'],
    ['{"a" : 1, "b":[], "a"\t:2}', 'an object names a key twice'],
    ['{"b":{"a":1,"a":2}}', 'an object names a key twice'],
    ['[[[1]]]', undefined],
    ['[[[[1]]]]', 'nested deeper than 3'],
    ['{"a":[{"b":[]}]}', 'nested deeper than 3'],
    ['"[[[[["', undefined],
  ])('%s: %s', (text, problem) => {
    JSON.parse(text);
    expect(jsonShapeProblem(text, 3)).toBe(problem);
  });
});

test.each<[string, number | undefined]>([
  ['1970-01-01T00:00:01.000002Z', 1_000_002],
  ['1970-01-01T00:00:01Z', 1_000_000],
  ['1970-01-01T00:00:01.5Z', 1_500_000],
  ['2024-02-29T00:00:00Z', Date.UTC(2024, 1, 29) * 1000],
  ['2023-02-29T00:00:00Z', undefined],
  ['1970-01-01T24:00:00Z', undefined],
  ['1970-01-01T00:00:01.0000001Z', undefined],
  ['1970-01-01T00:00:01+00:00', undefined],
  ['1970-01-01', undefined],
  ['', undefined],
])('the time %j', (text, timeUs) => expect(parseTimeUs(text)).toBe(timeUs));
