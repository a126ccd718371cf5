/** Small makers of bundles and analyses for tests; every field has a plain default. */
import type {
  BundleIdentity,
  BundleMask,
  BundleRule,
  RuleRef,
  TargetBundle,
} from '../policy/types.ts';
import {
  type ColumnId,
  type Operation,
  type OutputColumn,
  type StatementAnalysis,
  type Verb,
  verbClasses,
} from '../sql/operation.ts';

export const nowMs = Date.UTC(2026, 0, 15, 12);

export function refOf(rule: string, object = 'reports'): RuleRef {
  return { kind: 'AccessPolicy', namespace: 'data', object, rule, generation: 1 };
}

export function rule(name: string, more: Partial<BundleRule> = {}): BundleRule {
  return {
    ref: refOf(name),
    mode: 'Enforce',
    action: 'Allow',
    classes: [],
    verbs: [],
    resources: ['shop.**'],
    ...more,
  };
}

export function mask(object: string, more: Partial<BundleMask> = {}): BundleMask {
  return {
    ref: { kind: 'MaskingRule', namespace: 'data', object, rule: '', generation: 1 },
    columns: [],
    detectors: [],
    resources: [],
    transform: { type: 'Redact' },
    usage: 'Lookup',
    strictness: 'Strict',
    exemptions: [],
    ...more,
  };
}

export function identity(more: Partial<BundleIdentity> = {}): BundleIdentity {
  return {
    uid: 'identity-1',
    namespace: 'payments',
    name: 'nightly-report',
    generation: 1,
    owner: { team: 'payments-data' },
    purpose: 'Nightly settlement report',
    groups: ['reporting'],
    suspended: false,
    ...more,
  };
}

export function bundle(
  rules: readonly BundleRule[],
  masks: readonly BundleMask[] = [],
): TargetBundle {
  return {
    target: {
      uid: 'target-1',
      namespace: 'data',
      name: 'orders-db',
      generation: 1,
      protocol: 'PostgreSQL',
      host: 'orders-db.data.svc',
      port: 5432,
      aliases: [],
      tls: { mode: 'VerifyFull' },
      enforcement: 'Enforce',
      classification: ['pci'],
      catalogCheck: 'Interval',
      untestedVersions: 'Refuse',
    },
    rules,
    masks,
    session: { recording: 'Statements', durability: 'Process' },
  };
}

/** `operation('Select', 'shop.public.orders')`: parts by dots. */
export function operation(verb: Verb, resource: string, more: Partial<Operation> = {}): Operation {
  return { verb, class: verbClasses[verb], resource: resource.split('.'), reach: 'Named', ...more };
}

export function statement(
  operations: readonly Operation[],
  more: Partial<StatementAnalysis> = {},
): StatementAnalysis {
  return {
    kind: 'SelectStmt',
    operations,
    uses: [],
    facts: {
      hasWhere: false,
      relations: operations.map(({ resource }) => resource.join('.')),
      functions: [],
    },
    effects: {},
    userCode: false,
    ...more,
  };
}

const oids = new Map<string, number>();

/** `column('shop.public.customers.ssn')`; one relation OID for each relation. */
export function column(name: string, typeOid = 25): ColumnId {
  const [database = '', schema = '', relation = '', field = ''] = name.split('.');
  const key = `${database}.${schema}.${relation}`;
  const relationOid = oids.get(key) ?? 20_000 + oids.size;
  oids.set(key, relationOid);
  let attnum = 0;
  for (const char of field) attnum = (attnum * 31 + char.charCodeAt(0)) % 1600;
  return { relationOid, attnum, name: [database, schema, relation, field], typeOid };
}

export function output(
  name: string,
  values: readonly ColumnId[],
  derived: readonly ColumnId[] = [],
  typeOid: number | undefined = values[0]?.typeOid,
): OutputColumn {
  return { name, values, derived, ...(typeOid !== undefined && { typeOid }) };
}
