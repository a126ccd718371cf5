import { beforeAll, describe, expect, test } from '@jest/globals';
import type { StatementAnalysis } from '../operation.ts';
import { loadParser } from './parser.ts';
import { withSettings } from './shown-settings.ts';
import { operationLine, statementOf } from './test-analysis.ts';
import { shop } from './test-shop.ts';

beforeAll(loadParser);

const lines = ({ operations }: StatementAnalysis): string[] => operations.map(operationLine);
const analyzed = (text: string, parameterTypes: readonly number[] = []): StatementAnalysis =>
  statementOf(text, { ...shop, parameterTypes });
const bound = (text: string, values: readonly (string | undefined)[], types?: number[]): string[] =>
  lines(withSettings(analyzed(text, types), (parameter) => values[parameter - 1], 'shop'));

const unknown = 'Unknown [current_setting of a name that is a parameter]';

describe('current_setting of a parameter', () => {
  test.each([
    ['select current_setting($1)', ['standard_conforming_strings'], []],
    ['select current_setting($1::varchar)', ['Server_Version'], []],
    ['select pg_catalog.current_setting($1::text, true)', ['app.tenant'], ['Show app.tenant']],
    ['select current_setting($1)', ['DATA_directory'], ['Show data_directory']],
    ['select current_setting($1)', [' timezone'], ['Show  timezone']],
    ['select current_setting($1)', [''], ['Show']],
    [
      'select current_setting($2), current_setting($1) from contacts',
      ['port', 'ssl'],
      ['Select contacts ()', 'Show ssl', 'Show port'],
    ],
    ['select current_setting($1)', [undefined], [unknown]],
    ['select current_setting($1), current_setting($2)', ['timezone', undefined], [unknown]],
    ['select current_setting($3)', ['timezone'], [unknown]],
  ])('%s bound to %j', (text, values, expected) => {
    expect(bound(text, values)).toEqual(expected);
  });

  test('is Unknown where no values are', () => {
    const statement = analyzed('select current_setting($1)');
    expect(lines(statement)).toEqual([unknown]);
    expect(statement).toMatchObject({ userCode: true, effects: { catalog: true } });
    expect(statement.settingsByParameter?.settled).toMatchObject({
      operations: [],
      effects: {},
      userCode: false,
    });
  });

  test('leaves everything else that is not understood', () => {
    expect(
      bound("select current_setting($1), evil(), set_config($2, 'x', false)", ['ssl', 'ssl']),
    ).toEqual([
      'Unknown [function evil]',
      'Unknown [set_config of a name that is not constant]',
      'Show ssl',
    ]);
  });

  test('of a type that the client declares as text', () => {
    for (const type of [25, 1043]) {
      expect(bound('select current_setting($1), $1', ['timezone'], [type])).toEqual([]);
    }
  });

  test.each([
    // Its text is cut, padded, or another than its bytes.
    ['select current_setting($1::varchar(3))', []],
    ['select current_setting($1::char(9))', []],
    ['select current_setting($1::name)', []],
    ['select current_setting($1::text)', [1042]],
    ['select current_setting($1::text)', [19]],
    ['select current_setting($1::text)', [23]],
    // Another use may give it such a type.
    ['select $1::bpchar, current_setting($1::text)', []],
    ['select current_setting($1::text) where $1 = 1', [705]],
    // The value is not the name.
    ["select current_setting($1 || 'x')", []],
    ['select current_setting(lower($1))', []],
    ["select current_setting(coalesce($1, 'port'))", []],
    ['select current_setting((select $1))', []],
    ['select current_setting(null)', []],
    // Carried out without Bind, or by one that does not tell.
    ['prepare p as select current_setting($1)', []],
    ['declare c cursor for select current_setting($1)', []],
    ['explain analyze select current_setting($1)', []],
    ['execute p (current_setting($1))', []],
    ['copy (select current_setting($1)) to stdout', []],
    ['insert into contacts (name) values (current_setting($1))', []],
  ])('%s with types %j: Unknown whatever the values', (text, types) => {
    const found = bound(text, ['timezone', 'timezone'], types);
    expect(found.some((line) => line.startsWith('Unknown'))).toBe(true);
    expect(analyzed(text, types).effects.prepare?.inner.settingsByParameter).toBeUndefined();
  });
});
