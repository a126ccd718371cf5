/** What the benchmark makes of figures and profiles. */
import { SourceMap } from 'node:module';
import { describe, expect, test } from '@jest/globals';
import { type CpuProfile, readProfile } from '../bench/cpu-profile.ts';
import { goals, goalText, reached } from '../bench/goals.ts';
import { formatTable } from '../bench/report.ts';

describe('goals', () => {
  test.each([
    [goals.smallToPeer, 0.95, 'moonshot'],
    [goals.smallToPeer, 0.8, 'solid'],
    [goals.smallToPeer, 0.79, 'short'],
    [goals.cpuPerStatement, 25, 'moonshot'],
    [goals.cpuPerStatement, 40, 'solid'],
    [goals.cpuPerStatement, 40.1, 'short'],
    [goals.decisionHitP99, 1, 'solid'],
    [goals.cpuPerStatement, Number.NaN, 'short'],
  ] as const)('%j, %d: %s', (goal, value, verdict) => {
    expect(reached(goal, value)).toBe(verdict);
  });

  test('are shown beside what was measured', () => {
    expect(goalText(goals.addedP50)).toEqual(['≤ 50 µs', '≤ 25 µs']);
    const figure = {
      section: 'x',
      figure: 'f',
      goal: goals.addedP50,
      value: 30,
      measured: '30 µs',
    };
    expect(formatTable([figure]).split('\n').at(-1)).toMatch(
      /^\| f +\| ≤ 50 µs \| ≤ 25 µs +\| 30 µs +\| solid +\|$/,
    );
  });
});

test('a profile is taken apart by who did what on whose behalf', () => {
  const bundleUrl = 'file:///bundle.mjs';
  const node = (
    id: number,
    functionName: string,
    url: string,
    children: number[] = [],
    at = -1,
  ) => ({
    id,
    callFrame: { functionName, url, lineNumber: at, columnNumber: at },
    children,
  });
  const profile: CpuProfile = {
    nodes: [
      node(1, '(root)', '', [2, 3, 4]),
      node(2, '(idle)', ''),
      node(3, '(garbage collector)', ''),
      // One line of the bundle, which the map below takes to the recorder.
      node(4, 'flush', bundleUrl, [5, 7], 0),
      node(5, 'writeSync', 'node:fs', [6], 3),
      node(6, 'writeBuffer', ''),
      node(7, 'writeGeneric', 'node:internal/stream_base_commons', [8], 3),
      node(8, 'writeBuffer', ''),
    ],
    startTime: 1000,
    samples: [4, 2, 3, 6, 8, 4, 4],
    timeDeltas: [10, 10, 20, 30, 40, 50, 60],
  };
  const map = new SourceMap({
    file: 'bundle.mjs',
    version: 3,
    sources: ['runtime/src/recorder/recorder.ts'],
    sourcesContent: [],
    names: [],
    mappings: 'AAAA',
    sourceRoot: '',
  });
  const report = readProfile(profile, {
    map,
    bundleUrl,
    sourcePath: (source) => source,
    fromUs: 1015,
    toUs: 1200,
  });
  // Samples at 1020 to 1160 lie within; each stands for the time until the next.
  expect(report).toMatchObject({ wallUs: 200, idleUs: 20 });
  const part = (name: string) => report.groups.find(({ group }) => group === name);
  expect(part('garbage collection')).toMatchObject({ selfUs: 30, onBehalfUs: 30 });
  expect(part('files (kernel)')).toMatchObject({ selfUs: 40, onBehalfUs: 0 });
  expect(part('socket writes (kernel)')).toMatchObject({ selfUs: 50, onBehalfUs: 0 });
  expect(part('recording')).toMatchObject({ selfUs: 60, onBehalfUs: 150 });
  expect(report.functions.find(({ name }) => name === 'flush')).toEqual({
    name: 'flush',
    place: 'runtime/src/recorder/recorder.ts:1',
    isOurs: true,
    selfUs: 60,
    totalUs: 150,
  });
});
