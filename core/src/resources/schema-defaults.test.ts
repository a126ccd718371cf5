import { expect, test } from '@jest/globals';
import { resourceSchemas } from './schemas.ts';

/** Paths of what has a default and stands within a list. */
function defaultsInLists(schema: unknown, path: string, inList: boolean): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const { default: value, items, properties = {} } = schema as Record<string, unknown>;
  return [
    ...(inList && value !== undefined ? [path] : []),
    ...defaultsInLists(items, `${path}[]`, true),
    ...Object.entries(properties as object).flatMap(([name, one]) =>
      defaultsInLists(one, `${path}.${name}`, inList),
    ),
  ];
}

/**
 * kubectl apply, and what compares as it does, takes lists of custom resources as a whole: a default in one would
 * be a change with each apply, for ever.
 */
test.each(Object.keys(resourceSchemas))('no list of a %s has a default in it', (kind) => {
  expect(
    defaultsInLists(resourceSchemas[kind as keyof typeof resourceSchemas].spec, 'spec', false),
  ).toEqual([]);
});
