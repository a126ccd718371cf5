import type { FieldFormat, FieldMask, PlannedMask } from '@chaperone/core/masking/types.ts';
import type { RuleRef } from '@chaperone/core/policy/types.ts';
import type { DecidedStatement } from '../frontend/decision-context.ts';
import { formatAt } from '../messages/frontend-reader.ts';

export interface BoundMasks {
  /** One a column; null when no column is masked. */
  readonly masks: readonly (FieldMask | null)[] | null;
}

/** A column that cannot be masked with its type kept. */
export interface Unmaskable {
  readonly rule: RuleRef | undefined;
  readonly why: string;
}

/**
 * Fixes the masks of a result, now that its columns' types and formats are known.
 * `types`: OIDs, one a column, undefined where it is not known. A plan for another number of columns is not applied:
 * nothing is delivered.
 */
export function bindMasks(
  planned: readonly (PlannedMask | null)[],
  types: readonly (number | undefined)[],
  format: (index: number) => FieldFormat,
): BoundMasks | Unmaskable {
  if (!planned.some((mask) => mask !== null)) return { masks: null };
  if (planned.length !== types.length) {
    return { rule: undefined, why: 'the result has other columns than the statement' };
  }
  const masks: (FieldMask | null)[] = [];
  for (const [index, mask] of planned.entries()) {
    if (mask === null) {
      masks.push(null);
      continue;
    }
    const bound = mask.bind(types[index]!, format(index));
    if (bound === undefined) {
      return { rule: mask.rule, why: 'a protected column has a type that cannot be masked' };
    }
    masks.push(bound);
  }
  return { masks };
}

/** Of decisions whose results came as text, as most do. */
const asText = new WeakMap<DecidedStatement, BoundMasks | Unmaskable>();

/** The same by the types that the catalog tells of a decided statement's columns, for these result formats of Bind. */
export function bindDecided(
  decided: DecidedStatement,
  formats: readonly FieldFormat[],
): BoundMasks | Unmaskable {
  const isText = formats.every((format) => format === 0);
  let bound = isText ? asText.get(decided) : undefined;
  if (bound === undefined) {
    const planned = decided.permit?.masks.columns ?? [];
    const outputs = decided.analysis.outputs ?? [];
    bound = bindMasks(
      planned,
      planned.map((mask, index) => mask?.typeOid ?? outputs[index]?.typeOid),
      (index) => formatAt(formats, index),
    );
    if (isText) asText.set(decided, bound);
  }
  return bound;
}
