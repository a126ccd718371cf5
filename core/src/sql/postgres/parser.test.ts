import { beforeAll, describe, expect, test } from '@jest/globals';
import { loadParser, parserReady, parseSql } from './parser.ts';

beforeAll(loadParser);

/** Deep enough to exhaust any stack. */
const breaking = `select ${'('.repeat(60_000)}1${')'.repeat(60_000)}`;

describe('parseSql', () => {
  test('gives one entry a statement', () => {
    expect(parseSql('select 1; select 2').statements).toHaveLength(2);
  });

  test.each(['', '  \n', '-- a comment', '/* one /* nested */ */', ';;'])(
    '%j is no statement',
    (text) => {
      expect(parseSql(text).statements).toEqual([]);
    },
  );

  test.each([
    ['selec 1', 'syntax error at or near "selec"', 1],
    ['select 1 fro', undefined, undefined],
    ["select 'é😀', from", 'syntax error at or near "from"', 14],
    ["select 'open", 'unterminated quoted string at or near "\'open"', 8],
    ['select 1 from', 'syntax error at end of input', 14],
  ])("%j: PostgreSQL's message and position in characters", (text, message, position) => {
    const { failure } = parseSql(text);
    if (message === undefined) expect(failure).toBeUndefined();
    else expect(failure).toEqual({ kind: 'Syntax', message, position });
  });

  test('a NUL would cut the text short, so it is refused', () => {
    expect(parseSql('select 1;\0 drop table t').failure?.kind).toBe('Parser');
  });
});

describe('after a text that breaks the parser', () => {
  test('texts fail closed until a fresh instance is there, and then parse again', async () => {
    const outcome = parseSql(breaking);
    expect(outcome.failure).toBeDefined();
    if (outcome.failure?.kind === 'Parser') {
      expect(parserReady()).toBe(false);
      expect(parseSql('select 1').failure?.kind).toBe('Parser');
    }
    await loadParser();
    expect(parserReady()).toBe(true);
    expect(parseSql('select 1').statements).toHaveLength(1);
  });

  test('again and again', async () => {
    // Left in place, an instance is broken for good after some 27 of these.
    for (let round = 0; round < 30; round += 1) {
      const { failure } = parseSql(`select ${'1+'.repeat(9_000 + round)}1`);
      if (failure?.kind === 'Parser') await loadParser();
      expect(parseSql('select a from b').statements).toHaveLength(1);
    }
  }, 60_000);
});
