import { beforeAll, describe, expect, test } from '@jest/globals';
import { loadParser } from './parser.ts';
import { startupSetting } from './settings.ts';
import { operationLines, statementOf, unknownReasons } from './test-analysis.ts';
import { shop } from './test-shop.ts';

beforeAll(loadParser);

describe('effects on the session', () => {
  test.each([
    ['select 1', {}],
    ['begin isolation level serializable', { transaction: 'Begin' }],
    ['start transaction read only', { transaction: 'Begin' }],
    ['commit and chain', { transaction: 'Commit', chain: true }],
    ['end', { transaction: 'Commit' }],
    ['rollback', { transaction: 'Rollback', resolution: true }],
    ['abort', { transaction: 'Rollback', resolution: true }],
    ['savepoint a', { transaction: 'Savepoint' }],
    ['release a', { transaction: 'Release' }],
    ['rollback to a', { transaction: 'RollbackTo', resolution: true }],
    ["prepare transaction 'x'", { transaction: 'TwoPhase', resolution: true }],
    ['set search_path to app, public', { resolution: true }],
    ['set local search_path to app', { resolution: true }],
    ['set role app', { resolution: true }],
    ['set session authorization app', { resolution: true }],
    ["select set_config('search_path', $1, false)", { resolution: true }],
    ["select set_config('SEARCH_PATH', 'x', true)", { resolution: true }],
    ["select set_config('timezone', 'UTC', false)", {}],
    ['set timezone = 1', {}],
    ['reset timezone', { resolution: true }],
    ['reset all', { resolution: true }],
    ['discard all', { discard: 'All', resolution: true, catalog: true }],
    ['discard plans', { discard: 'Plans', resolution: true }],
    ['discard temp', { discard: 'Temp', resolution: true, catalog: true }],
    ['deallocate p', { deallocate: { name: 'p' } }],
    ['deallocate all', { deallocate: { name: null } }],
    ['execute p (1)', { execute: { name: 'p' } }],
    ['fetch 5 from c', { fetch: { name: 'c', returnsRows: true } }],
    ['move c', { fetch: { name: 'c', returnsRows: false } }],
    ['close c', { closeCursor: { name: 'c' } }],
    ['close all', { closeCursor: { name: null } }],
    ['select 1 into t', { catalog: true }],
    ['create table t (a int)', { catalog: true }],
    ['drop table contacts', { catalog: true }],
    ['alter table contacts add x int', { catalog: true }],
    ['truncate contacts', {}],
    ['do $$ $$', { catalog: true, resolution: true }],
    ['copy contacts to stdout', { copy: { direction: 'Out', format: 'text', defaults: true } }],
    ['copy contacts from stdin csv', { copy: { direction: 'In', format: 'csv', defaults: true } }],
    [
      'copy contacts to stdout (format csv, header)',
      { copy: { direction: 'Out', format: 'csv', defaults: false } },
    ],
    [
      'copy contacts to stdout binary',
      { copy: { direction: 'Out', format: 'binary', defaults: true } },
    ],
    [
      "copy contacts to stdout (delimiter '|')",
      { copy: { direction: 'Out', format: 'text', defaults: false } },
    ],
    ["copy contacts to '/tmp/x'", {}],
  ])('%s', (text, effects) => {
    expect(statementOf(text, shop).effects).toEqual(effects);
  });

  test('PREPARE and DECLARE keep the analysis of what they hold', () => {
    const { effects } = statementOf(
      'prepare p (int) as select ssn from contacts where id = $1',
      shop,
    );
    expect(effects.prepare?.name).toBe('p');
    expect(effects.prepare?.inner.kind).toBe('SelectStmt');
    expect(effects.prepare?.inner.outputs?.map(({ name }) => name)).toEqual(['ssn']);
    expect(effects.prepare?.inner.facts.hasWhere).toBe(true);

    const { declare } = statementOf(
      'declare c scroll cursor with hold for select ssn from contacts',
      shop,
    ).effects;
    expect(declare).toMatchObject({ name: 'c', hold: true, inner: { kind: 'SelectStmt' } });
    expect(statementOf('declare c cursor for select 1', shop).effects.declare?.hold).toBe(false);
  });
});

describe('settings', () => {
  test.each([
    ['set timezone to utc', []],
    ["set time zone interval '1' hour", []],
    ["set application_name = 'x'", []],
    ['set session characteristics as transaction read only', []],
    ['set transaction isolation level repeatable read', []],
    ['set xml option document', []],
    ["set names 'utf-8'", []],
    ["set client_encoding to 'UNICODE'", []],
    ['set standard_conforming_strings = on', []],
    ['set search_path = app', []],
    ['set role none', []],
    ['reset role', []],
    ['reset session authorization', []],
    ['set constraints all deferred', []],
    ['set work_mem = 1', ['Set work_mem']],
    ['set session_replication_role = replica', ['Set session_replication_role']],
    ['set "App.User" = 1', ['Set app.user']],
    ["set transaction snapshot 'x'", ['Set transaction_snapshot']],
    ["select set_config('work_mem', '1', false)", ['Set work_mem']],
    ["select set_config('role', 'admin', false)", ['SetRole admin']],
    ["select set_config('application_name', $1, false)", []],
    [
      "select set_config(name, 'view', false) from pg_settings where name = 'restrict_nonsystem_relation_kind'",
      ['Select Catalog pg_catalog.pg_settings (name)'],
    ],
    ['show server_version', []],
    ['show transaction isolation level', []],
    ['show time zone', []],
    ['show data_directory', ['Show data_directory']],
    ['show all', ['Show all']],
    ["select current_setting('server_version_num')", []],
    ["select current_setting('app.tenant', true)", ['Show app.tenant']],
  ])('%s', (text, expected) => {
    expect(operationLines(text, shop)).toEqual(expected);
  });

  test('a setting that the query of pg_settings does not fix is not known', () => {
    for (const text of [
      "select set_config(name, 'x', false) from pg_settings",
      "select set_config(name, 'x', false) from pg_settings where name <> 'application_name'",
      "select (select set_config(name, 'x', false) from pg_roles, pg_class) from pg_settings where name = 'application_name'",
    ]) {
      expect(unknownReasons(text, shop)).not.toEqual([]);
    }
  });

  test.each([
    ['application_name', 'x', null],
    ['TimeZone', 'UTC', null],
    ['search_path', 'app', null],
    ['client_encoding', 'UTF8', null],
    ['client_encoding', 'SQL_ASCII', 'Unknown'],
    ['standard_conforming_strings', 'off', 'Unknown'],
    ['role', 'admin', 'SetRole'],
    ['work_mem', '1GB', 'Set'],
    ['local_preload_libraries', 'x', 'Set'],
  ])('startup parameter %s=%s: %s', (name, value, verb) => {
    expect(startupSetting(name, value, 'shop')?.verb ?? null).toBe(verb);
  });
});

test.each([
  ['select 1 from contacts where id = 1', true],
  ['select 1 from contacts', false],
  ['select 1 from contacts where true union select 1', false],
  ['update contacts set name = $1', false],
  ['delete from contacts where id = $1', true],
  ['explain delete from contacts where id = $1', true],
  ['copy (select 1 from contacts where id = 1) to stdout', true],
])('hasWhere: %s', (text, expected) => {
  expect(statementOf(text, shop).facts.hasWhere).toBe(expected);
});
