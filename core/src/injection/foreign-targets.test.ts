import { expect, test } from '@jest/globals';
import { acceptsFrom, foreignAcceptance } from './foreign-targets.ts';

const label = { 'chaperone.dev/foreign-targets': 'accept' };
const from = (text: string) => ({ 'chaperone.dev/foreign-targets-from': text });

test.each<[string, Parameters<typeof foreignAcceptance>[0], 'Accepted' | 'ByLabel', string[]]>([
  ['no namespace is known', undefined, 'ByLabel', []],
  ['there is no label', { annotations: from('data') }, 'ByLabel', []],
  [
    'the label says something else',
    { labels: { ...label, [Object.keys(label)[0]!]: 'yes' } },
    'ByLabel',
    [],
  ],
  ['there is the label', { labels: label }, 'ByLabel', ['data', 'shop-data', 'other']],
  ['the administrator accepts for all', undefined, 'Accepted', ['data', 'shop-data', 'other']],
  [
    'some are listed',
    { labels: label, annotations: from('data, shop-data') },
    'ByLabel',
    ['data', 'shop-data'],
  ],
  [
    'one is listed, and the administrator accepts for all',
    { annotations: from('data') },
    'Accepted',
    ['data'],
  ],
  ['none is listed', { labels: label, annotations: from('') }, 'ByLabel', []],
  ['what is listed is a pattern', { labels: label, annotations: from('*') }, 'ByLabel', []],
  [
    'there is no comma between',
    { labels: label, annotations: from('data shop-data') },
    'ByLabel',
    [],
  ],
  [
    'one of those listed is no name',
    { labels: label, annotations: from('*,data,') },
    'ByLabel',
    ['data'],
  ],
])('where %s', (_, namespace, mode, expected) => {
  const acceptance = foreignAcceptance(namespace, mode);
  const spaces = ['data', 'shop-data', 'other'];
  expect(spaces.filter((space) => acceptsFrom(acceptance, space))).toEqual(expected);
});
