import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isValid, parseResourceFile } from './yaml-file.ts';

const target = (name: string): string => `apiVersion: chaperone.dev/v1alpha1
kind: Target
metadata: { name: ${name}, namespace: data }
spec:
  protocol: PostgreSQL
  host: localhost
  credentials: { secretRef: { name: s } }
`;
const parse = (text: string): ReturnType<typeof parseResourceFile> => parseResourceFile(text, 0);

describe('parseResourceFile', () => {
  test('reads several documents, empty ones among them, and JSON', () => {
    const { objects, problems, lines } = parse(
      `---\n${target('a')}---\n# nothing\n---\n${target('b')}`,
    );
    expect(problems).toEqual([]);
    expect(objects.map(({ metadata }) => metadata.name)).toEqual(['a', 'b']);
    expect(lines).toEqual([2, 12]);
    expect(parse(JSON.stringify(objects[0])).objects).toEqual([objects[0]]);
    expect(parse('')).toEqual({ objects: [], problems: [], lines: [] });
  });

  test('names object, field and line', () => {
    const { problems } = parse(`${target('a')}---\n${target('b').replace('protocol', 'protokol')}`);
    expect(problems.map(({ object, path, line }) => [object, path, line])).toEqual([
      ['Target data/b', 'spec.protokol', 9],
      ['Target data/b', 'spec.protocol', 9],
    ]);
  });

  test.each<[string, string, string, number]>([
    ['a repeated key', `${target('a')}  host: other\n`, 'same key twice', 8],
    ['a repeated key of another type', 'a: { 1: x, "1": y }', 'same key twice', 1],
    ['a key that is no text', '? [a, b]\n: c\n', 'no plain text', 1],
    ['half a file', target('a').slice(0, -20), 'is not YAML', 7],
    ['tabs', 'a:\n\t- b\n', 'is not YAML', 2],
    ['an unknown tag', 'a: !!js/function "x"', 'is not YAML', 1],
    ['an alias without anchor', 'a: *b', 'aliases', 1],
    ['the same object twice', `${target('a')}---\n${target('a')}`, 'at line 1', 9],
    ['something that is no object', 'just text', 'is no object', 1],
  ])('refuses %s', (_, text, message, line) => {
    const file = parse(text);
    expect(isValid(file)).toBe(false);
    expect(file.problems).toContainEqual(
      expect.objectContaining({ message: expect.stringContaining(message), line }),
    );
  });

  test('a Secret that is broken is not quoted', () => {
    for (const text of [
      'kind: Secret\nstringData: { password: "hunter2 }\n',
      'kind: Secret\nstringData:\n password: *hunter2\n',
      'kind: Secret\nstringData:\n password: !hunter2 hunter2\n',
      'apiVersion: v1\nkind: Secret\nmetadata: { name: s }\nstringData: [hunter2]\n',
      'apiVersion: v1\nkind: Secret\nmetadata: { name: s }\nstringData: { a: hunter2, a: hunter2 }\n',
    ]) {
      const file = parse(text);
      expect(isValid(file)).toBe(false);
      expect(JSON.stringify(file)).not.toContain('hunter2');
    }
  });

  describe('costs little, whatever the text', () => {
    /** Fast enough that a watched directory is not blocked; a bomb takes minutes or dies. */
    const bombs: Record<string, string> = {
      aliases: `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefghi'
        .split('')
        .map((name, index) => {
          const before = 'abcdefghi'[index];
          return `${name}: &${name} [${Array(9).fill(`*${before}`).join(',')}]\n`;
        })
        .join('')}`,
      nesting: '['.repeat(100_000),
      'nested maps': '{a: '.repeat(20_000),
      keys: Array.from({ length: 60_000 }, (_, index) => `k${index}: 1\n`).join(''),
      documents: '---\na: 1\n'.repeat(3000),
    };
    test.each(Object.entries(bombs))('%s', (_, text) => {
      expect(isValid(parse(text))).toBe(false);
    });
  });

  test('says that there are too many aliases', () => {
    const bomb = `a: &a [x, x]\nb: [${Array(200).fill('*a').join(', ')}]\n`;
    expect(parse(bomb).problems[0]?.message).toContain('too many or unresolved aliases');
    const few = `a: &a [x, x]\nb: [*a, *a]\n`;
    expect(parse(few).problems[0]?.message).not.toContain('aliases');
  });

  test('never throws on any text', () => {
    const pieces = fc.constantFrom(
      'a: ',
      '- ',
      '\n',
      '  ',
      '{',
      '}',
      '[',
      ']',
      '*x',
      '&x ',
      '"',
      "'",
      '|\n',
      '---\n',
      '!!t ',
      '#',
      ':',
      'kind: Target\n',
      '\0',
      '\ud800',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 40 }), (parts) => {
        parse(parts.join(''));
      }),
    );
  });
});
