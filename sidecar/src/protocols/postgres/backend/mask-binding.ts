import type { FieldFormat, FieldMask, PlannedMask } from '@chaperone/core/masking/types.ts';
import type { RuleRef } from '@chaperone/core/policy/types.ts';
import { RowMasker } from './row-masker.ts';

export interface BoundMasks {
  /** Null when no column is masked. */
  readonly masks: readonly (FieldMask | null)[] | null;
  readonly masker?: RowMasker;
}

/** A column that cannot be masked with its type kept. */
export interface Unmaskable {
  readonly rule: RuleRef | undefined;
  readonly why: string;
}

/**
 * Fixes the masks of a result, now that its columns' types and formats are known.
 * `types`: OIDs, one a column, undefined where it is not known. A plan for another number of columns is not applied: nothing is delivered.
 */
export function bindMasks(
  planned: readonly (PlannedMask | null)[],
  types: readonly (number | undefined)[],
  format: (index: number) => FieldFormat,
):
  | { masks: null; masker?: never }
  | { masks: readonly (FieldMask | null)[]; masker: RowMasker }
  | Unmaskable {
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
  return { masks, masker: new RowMasker(masks) };
}
