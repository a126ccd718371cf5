import { PassThrough } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import { type Column, writeTable } from './table.ts';

const columns: readonly Column[] = [
  { heading: 'ID' },
  { heading: 'NAME', leastWidth: 6 },
  { heading: 'STATE', leastWidth: 5 },
];
const rows = [
  ['1', 'payments/nightly-report', 'ended by client'],
  ['22', 'shop/web', 'open'],
];

/** What is written to a terminal of that width; without one, to a pipe. */
async function written(width?: number, wide = false, given = rows): Promise<string> {
  const stream = new PassThrough();
  const output =
    width === undefined ? stream : Object.assign(stream, { isTTY: true, columns: width });
  await writeTable(output, columns, given, { empty: 'nothing', wide });
  return stream.read().toString();
}

const whole = `ID  NAME                     STATE
1   payments/nightly-report  ended by client
22  shop/web                 open
`;

describe('a table', () => {
  test('is whole in a pipe, on a terminal that is wide enough, and where that is asked for', async () => {
    expect(await written()).toBe(whole);
    expect(await written(44)).toBe(whole);
    expect(await written(20, true)).toBe(whole);
  });

  test('is cut in its widest columns where the terminal is too narrow', async () => {
    expect(await written(43)).toBe(
      whole.replace('report  ', 'repo…  ').replace(/(NAME|web) /g, '$1'),
    );
    expect(await written(30)).toBe(`ID  NAME          STATE
1   payments/ni…  ended by cl…
22  shop/web      open
`);
  });

  test('no column is cut below its least width, and no line passes the edge', async () => {
    expect(await written(14)).toBe(`ID  NAME    S…
1   payme…  e…
22  shop/…  o…
`);
  });

  test('says that there is nothing, and shows no control characters', async () => {
    expect(await written(80, false, [])).toBe('nothing\n');
    expect(await written(80, false, [['1', 'a\u001b[2Jb', '']])).not.toContain('\u001b');
  });
});
