/** What is decided in this process: rules, masks, and a statement taken to its decision as the frontend does it. */
import { compileTarget, type TargetPolicy } from '@chaperone/core/policy/compile.ts';
import type { BundleMask, BundleRule } from '@chaperone/core/policy/types.ts';
import type { Catalog } from '@chaperone/core/sql/postgres/catalog.ts';
import { bundle, identity, mask, nowMs, rule } from '@chaperone/core/testing/policy-fixtures.ts';
import {
  type DecidedStatement,
  DecisionContext,
} from '@chaperone/sidecar/protocols/postgres/frontend/decision-context.ts';
import { corpusCatalog } from './corpus.ts';

export const request = { nowMs };

export const rules: readonly BundleRule[] = [
  rule('read', { classes: ['Read'], resources: ['shop.public.**'] }),
  rule('write', {
    classes: ['Write'],
    resources: ['shop.public.orders', 'shop.public.order_items'],
  }),
  rule('no-notes', {
    action: 'Deny',
    classes: ['Read'],
    resources: ['shop.public.customers'],
    columns: { only: ['secret'] },
  }),
];

export const masks: readonly BundleMask[] = [
  mask('email', { columns: ['shop.public.*.email'], transform: { type: 'Partial', keepFirst: 2 } }),
  mask('ssn', {
    columns: ['shop.public.customers.ssn'],
    transform: { type: 'Partial', keepLast: 4 },
  }),
];

export interface ContextOptions {
  readonly rules?: readonly BundleRule[];
  /** Instead of rules and masks: compiled. */
  readonly policy?: TargetPolicy;
  readonly masks?: readonly BundleMask[];
  readonly catalog?: Catalog;
}

/** Nothing is cached in it yet. */
export function freshContext(options: ContextOptions = {}): DecisionContext {
  return new DecisionContext(
    {
      policy:
        options.policy ??
        compileTarget(bundle(options.rules ?? rules, options.masks ?? masks), identity()),
      policyDigest: '0'.repeat(64),
      catalog: options.catalog ?? corpusCatalog,
      database: 'shop',
      currentUser: 'app',
      searchPath: ['pg_catalog', 'public'],
    },
    () => '0'.repeat(32),
  );
}

/** As the frontend does for a simple Query. */
export function decideText(context: DecisionContext, text: string): DecidedStatement {
  const { analysis, fingerprint } = context.analyze(text);
  const statement = analysis.statements[0];
  if (statement === undefined) throw new Error(`not analyzed: ${text.slice(0, 200)}`);
  return context.decide(statement, fingerprint, 'Simple', request);
}

/** Microseconds of each call. */
export function timeEach<T>(items: readonly T[], run: (item: T) => void): number[] {
  return items.map((item) => {
    const began = process.hrtime.bigint();
    run(item);
    return Number(process.hrtime.bigint() - began) / 1000;
  });
}
