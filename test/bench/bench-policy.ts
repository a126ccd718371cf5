/** The policy that is measured: a denied column, a limit, a guard rail and masks, as in the quickstart. */
import type { BundleMask, BundleRule, RuleRef } from '@chaperone/core/policy/types.ts';

const limits = { rowsPerStatement: 1_000_000_000 };
const table = 'bench.public.accounts';

const ruleSpecs = [
  { name: 'read', action: 'Allow', classes: ['Read'], resources: [table], limits },
  {
    name: 'no-note',
    action: 'Deny',
    classes: ['Read', 'Export'],
    resources: [table],
    columns: { only: ['secret'] },
  },
  { name: 'no-export', action: 'Deny', classes: ['Export'], resources: ['bench.**'] },
] as const;

const maskSpecs = [
  {
    name: 'email',
    columns: ['bench.public.*.email'],
    transform: { type: 'Partial', keepFirst: 2 },
  },
  { name: 'ssn', columns: [`${table}.ssn`], transform: { type: 'Partial', keepLast: 4 } },
] as const;

/** As YAML resources would say it: rules of one AccessPolicy, and the specs of MaskingRules by name. */
export const policyRules: readonly Record<string, unknown>[] = ruleSpecs;
export const maskingSpecs: readonly {
  readonly name: string;
  readonly spec: Record<string, unknown>;
}[] = maskSpecs.map(({ name, ...spec }) => ({ name, spec: { ...spec, usage: 'Lookup' } }));

const ref = (kind: RuleRef['kind'], object: string, rule: string): RuleRef => ({
  kind,
  namespace: 'data',
  object,
  rule,
  generation: 1,
});

/** The same as the control plane compiles it into a bundle. */
export const benchRules: readonly BundleRule[] = ruleSpecs.map((spec) => ({
  ref: ref('AccessPolicy', 'bench', spec.name),
  mode: 'Enforce',
  action: spec.action,
  classes: spec.classes,
  verbs: [],
  resources: spec.resources,
  ...('columns' in spec && { columns: spec.columns }),
  ...('limits' in spec && { limits: { ...spec.limits, onExceed: 'Deny', scope: 'Pod' } }),
}));
export const benchMasks: readonly BundleMask[] = maskSpecs.map(({ name, columns, transform }) => ({
  ref: ref('MaskingRule', name, ''),
  columns,
  detectors: [],
  resources: [],
  transform,
  usage: 'Lookup',
  strictness: 'Strict',
  exemptions: [],
}));
