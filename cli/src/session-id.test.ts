import { describe, expect, test } from '@jest/globals';
import type { RecordClient } from './record-client.ts';
import { findSession, shortIds } from './session-id.ts';

const first = '01a20202-e651-7210-b286-6e2148b8f1c2';
const sameMillisecond = '01a20202-e651-7aaa-b286-6e2148b8f1c2';
const sameInstant = '01a20202-e651-7210-b286-000000000000';
const later = '01a20202-e652-7210-b286-6e2148b8f1c2';

describe('ids are shown as far as they differ', () => {
  test.each([
    [[first, later], 13],
    [[first, later, first], 13],
    [[first, sameMillisecond, later], 18],
    [[first, sameInstant], 36],
    [['', first], 13],
  ])('%j', (ids, length) => {
    expect(shortIds(ids)).toEqual(ids.map((id) => id.slice(0, length)));
  });
});

/** A record of these sessions, which answers what the query API would. */
function recordOf(ids: readonly string[]): RecordClient {
  const sessions = async function* ({ id = '' }: { readonly id?: string }, limit: number) {
    yield* ids
      .filter((known) => known.startsWith(id))
      .slice(0, limit)
      .map((known) => ({ id: known }));
  };
  return { sessions } as unknown as RecordClient;
}

describe('a session is found by how its id begins', () => {
  const record = recordOf([first, sameMillisecond, later]);
  test('where it is the only one', async () => {
    expect(await findSession(record, '01A20202-E652')).toBe(later);
    expect(await findSession(record, first.slice(0, 18))).toBe(first);
  });
  test('a whole id is taken as it is', async () => {
    expect(await findSession(recordOf([]), first)).toBe(first);
  });
  test.each([
    ['01a20202-e651', /several sessions begin with 01a20202-e651/],
    ['ffff', /no session here begins with ffff/],
  ])('%s', async (prefix, problem) => {
    await expect(findSession(record, prefix)).rejects.toThrow(problem);
  });
});
