import { describe, expect, test } from '@jest/globals';
import { assignPorts, parseListenPorts } from './ports.ts';

const none = new Map<string, number>();
const counted = { fixed: none, first: 6432 };

describe('assignPorts', () => {
  test('counts up in the order of names', () => {
    expect(assignPorts(['b/x', 'a/y', 'a/x'], none, counted)).toEqual(
      new Map([
        ['a/x', 6432],
        ['a/y', 6433],
        ['b/x', 6434],
      ]),
    );
  });

  test('a target keeps its port when others come and go', () => {
    const before = assignPorts(['a/x', 'a/y', 'b/x'], none, counted);
    const after = assignPorts(['a/a', 'a/y', 'b/x', 'c/x'], before, counted);
    expect(Object.fromEntries(after)).toEqual({
      'a/y': 6433,
      'b/x': 6434,
      'a/a': 6432,
      'c/x': 6435,
    });
  });

  test('any free port for each', () => {
    expect([...assignPorts(['a/x', 'a/y'], none, { fixed: none, first: 0 }).values()]).toEqual([
      0, 0,
    ]);
  });

  test('with fixed ports no other target has one', () => {
    const fixed = new Map([['a/y', 5432]]);
    expect(assignPorts(['a/x', 'a/y'], none, { fixed, first: 6432 })).toEqual(fixed);
  });

  test('there is no port behind the last', () => {
    expect(assignPorts(['a/x', 'a/y'], none, { fixed: none, first: 65_535 }).size).toBe(1);
  });
});

describe('parseListenPorts', () => {
  test('reads names and ports', () => {
    expect(parseListenPorts(['data/orders-db=5432', 'data/other=0'])).toEqual(
      new Map([
        ['data/orders-db', 5432],
        ['data/other', 0],
      ]),
    );
  });

  test.each([
    ['no namespace', ['orders-db=5432']],
    ['no port', ['data/orders-db']],
    ['a port that is none', ['data/orders-db=70000']],
    ['one target twice', ['data/a=1', 'data/a=2']],
    ['one port twice', ['data/a=1', 'data/b=1']],
  ])('refuses %s', (_name, entries) => {
    expect(() => parseListenPorts(entries)).toThrow(expect.objectContaining({ code: 'CHP-1002' }));
  });
});
