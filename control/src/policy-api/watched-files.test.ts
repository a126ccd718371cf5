import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { readOptional, WatchedFiles } from './watched-files.ts';

let directory: string;
let problems: unknown[];
const at = (name: string): string => join(directory, name);

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'chaperone-files-'));
  problems = [];
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const watch = (path: string): WatchedFiles<{ readonly text: string }> =>
  new WatchedFiles({
    paths: [path],
    load: () => {
      const text = readOptional(path);
      if (text === undefined || text === 'bad') throw new Error(`cannot use ${text}`);
      return { text };
    },
    onProblem: (error) => void problems.push(String(error)),
  });

test('the same value is given until a file changes', () => {
  writeFileSync(at('a'), 'one');
  const files = watch(at('a'));
  const first = files.current();
  expect(files.current()).toBe(first);
  writeFileSync(at('b'), 'two');
  renameSync(at('b'), at('a'));
  expect(files.current()).toEqual({ text: 'two' });
});

test('a mounted Secret, which is replaced by way of a link, is followed', () => {
  writeFileSync(at('v1'), 'one');
  writeFileSync(at('v2'), 'two');
  symlinkSync('v1', at('link'));
  const files = watch(at('link'));
  expect(files.current()).toEqual({ text: 'one' });
  symlinkSync('v2', at('next'));
  renameSync(at('next'), at('link'));
  expect(files.current()).toEqual({ text: 'two' });
});

test('what cannot be used is told once, and what was before stays', () => {
  writeFileSync(at('a'), 'one');
  const files = watch(at('a'));
  writeFileSync(at('a'), 'bad');
  expect([files.current(), files.current()]).toEqual([{ text: 'one' }, { text: 'one' }]);
  rmSync(at('a'));
  expect(files.current()).toEqual({ text: 'one' });
  expect(problems).toEqual(['Error: cannot use bad', 'Error: cannot use undefined']);
  writeFileSync(at('a'), 'three');
  expect(files.current()).toEqual({ text: 'three' });
});

test('what cannot be used at first is an error', () => {
  expect(() => watch(at('none'))).toThrow('cannot use undefined');
});
