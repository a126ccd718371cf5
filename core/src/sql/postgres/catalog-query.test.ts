import { beforeAll, describe, expect, test } from '@jest/globals';
import { loadModule, parseSync } from 'libpg-query';
import {
  catalogFingerprintQuery,
  catalogQuery,
  savepointStatements,
  sessionStateQuery,
} from './catalog-query.ts';

beforeAll(loadModule);

type Node = Record<string, unknown>;

/** What in a statement's tree is looked up through search_path, in words. */
function pathDependences(sql: string): string[] {
  const tree = parseSync(sql);
  const commonTables = new Set<string>();
  walk(tree, 'root', (_kind, node) => {
    if (typeof node.ctename === 'string') commonTables.add(node.ctename);
  });
  const found: string[] = [];
  walk(tree, 'root', (kind, node) => inspect(kind, node, commonTables, found));
  return found;
}

function walk(value: unknown, kind: string, visit: (kind: string, node: Node) => void): void {
  if (Array.isArray(value)) {
    for (const item of value) walk(item, kind, visit);
  } else if (typeof value === 'object' && value !== null) {
    visit(kind, value as Node);
    for (const [key, child] of Object.entries(value)) walk(child, key, visit);
  }
}

function names(list: unknown): string[] {
  return ((list ?? []) as { String?: { sval?: string } }[]).map((one) => one.String?.sval ?? '?');
}

function inspect(kind: string, node: Node, commonTables: Set<string>, found: string[]): void {
  const qualified = (list: unknown): boolean => {
    const parts = names(list);
    return parts.length === 2 && parts[0] === 'pg_catalog';
  };
  switch (kind) {
    case 'A_Expr':
      if (!qualified(node.name)) found.push(`operator ${names(node.name).join('.')}`);
      if (node.kind !== 'AEXPR_OP') found.push(`${String(node.kind)}`);
      break;
    case 'FuncCall':
      if (!qualified(node.funcname)) found.push(`function ${names(node.funcname).join('.')}`);
      break;
    case 'typeName':
      if (!qualified(node.names)) found.push(`type ${names(node.names).join('.')}`);
      break;
    case 'RangeVar':
      if (node.schemaname !== 'pg_catalog' && !commonTables.has(String(node.relname))) {
        found.push(`relation ${String(node.relname)}`);
      }
      break;
    case 'CaseExpr':
      if (node.arg !== undefined) found.push('CASE x WHEN');
      break;
    case 'JoinExpr':
      if (node.usingClause !== undefined || node.isNatural === true) found.push('USING');
      break;
    case 'SubLink':
      if (node.testexpr !== undefined) found.push('IN (SELECT)');
      break;
    case 'SortBy':
      if (node.useOp !== undefined) found.push('ORDER BY USING');
      break;
    case 'MinMaxExpr':
    case 'DistinctExpr':
    case 'NullIfExpr':
    case 'CollateClause':
      found.push(kind);
      break;
  }
}

describe.each([
  ['catalogQuery', catalogQuery],
  ['catalogFingerprintQuery', catalogFingerprintQuery],
  ['sessionStateQuery', sessionStateQuery],
])('%s', (_name, sql) => {
  test('is one statement in which nothing is looked up through search_path', () => {
    expect(parseSync(sql).stmts).toHaveLength(1);
    expect(pathDependences(sql)).toEqual([]);
  });

  test('reads the same whatever the encoding and the string syntax', () => {
    expect(sql).toMatch(/^[ -~]+$/);
    expect(sql).not.toMatch(/[\\$]|--|\/\*/);
  });
});

test.each([
  'SELECT 1 = 1',
  'SELECT lower(pg_catalog.x) FROM pg_catalog.y',
  "SELECT 'a'::text",
  'SELECT 1 FROM pg_class',
  'SELECT pg_catalog.a(b) IN (1, 2) FROM pg_catalog.c',
  'SELECT 1 FROM pg_catalog.a WHERE b IN (SELECT c FROM pg_catalog.d)',
  "SELECT CASE pg_catalog.a() WHEN 'b' THEN 1 END",
  'SELECT 1 FROM pg_catalog.a JOIN pg_catalog.b USING (c)',
  'SELECT 1 FROM pg_catalog.a NATURAL JOIN pg_catalog.b',
  'SELECT a IS DISTINCT FROM b FROM pg_catalog.c',
  'SELECT a BETWEEN b AND c FROM pg_catalog.d',
  'SELECT NULLIF(a, b), GREATEST(a, b) FROM pg_catalog.c',
  'SELECT a FROM pg_catalog.c ORDER BY a USING <',
])('the check sees what search_path decides: %s', (sql) => {
  expect(pathDependences(sql)).not.toEqual([]);
});

test('the statements around a read in a transaction parse', () => {
  for (const sql of [savepointStatements.before, ...savepointStatements.after]) {
    expect(parseSync(sql).stmts).toHaveLength(1);
  }
});
