import type { TransformSpec, TransformType } from '../policy/types.ts';

/**
 * The order in which transforms are strict: what tells least about the value comes first. Where two rules
 * meet on one column, the stricter one holds.
 */
export const strictnessOrder: readonly TransformType[] = [
  'Null',
  'Redact',
  'Fixed',
  'Hash',
  'Pseudonym',
  'Generalize',
  'Partial',
];

/** Negative when `a` is stricter than `b`, positive when less, 0 when they tell equally much. */
export function compareStrictness(a: TransformSpec, b: TransformSpec): number {
  const byType = rank(a.type) - rank(b.type);
  if (byType !== 0) return byType;
  switch (a.type) {
    case 'Partial':
      return kept(a) - kept(b);
    case 'Generalize':
      return coarseness(b) - coarseness(a) || (b.step ?? 0) - (a.step ?? 0);
    default:
      return 0;
  }
}

const rank = (type: TransformType): number => strictnessOrder.indexOf(type);
const kept = (spec: TransformSpec): number => (spec.keepFirst ?? 0) + (spec.keepLast ?? 0);
const coarseness = (spec: TransformSpec): number => (spec.dateUnit === 'Month' ? 0 : 1);
