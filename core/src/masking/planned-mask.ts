import type { RuleRef } from '../policy/types.ts';
import { bindDetectors } from './detectors/detector-mask.ts';
import { familyOf } from './field-types.ts';
import type { CompiledMask } from './mask-set.ts';
import { bindTransform } from './transforms/bind.ts';
import { NullMask } from './transforms/null.ts';
import type { FieldFormat, FieldMask, PlannedMask } from './types.ts';

/** Binds once for each type and format: statements share their masks through the decision cache. */
class Plan implements PlannedMask {
  readonly rule: RuleRef;
  readonly typeOid?: number;
  readonly #make: (typeOid: number, format: FieldFormat) => FieldMask | undefined;

  constructor(rule: RuleRef, typeOid: number | undefined, make: Plan['bind']) {
    this.rule = rule;
    if (typeOid !== undefined) this.typeOid = typeOid;
    this.#make = make;
  }

  bind(typeOid: number, format: FieldFormat): FieldMask | undefined {
    return this.#make(typeOid, format);
  }
}

/** The transform of a rule for an output that carries a protected value. */
export function transformPlan(
  mask: CompiledMask,
  strict: boolean,
  typeOid: number | undefined,
): PlannedMask {
  const { transform, key } = mask.source;
  return new Plan(
    mask.rule,
    typeOid,
    (oid, format) =>
      bindTransform(transform, mask.rule, key, oid, format) ??
      (strict ? undefined : new NullMask(mask.rule)),
  );
}

/** NULL in place of what cannot be masked. */
export function nullPlan(mask: CompiledMask, typeOid: number | undefined): PlannedMask {
  return new Plan(mask.rule, typeOid, () => new NullMask(mask.rule));
}

/** Whether detectors look into values of a type; a type that is not known yet is settled when it is bound. */
export function isScanned(typeOid: number | undefined): boolean {
  return typeOid === undefined || familyOf(typeOid)?.scanned !== false;
}

/** The detectors of several rules, one after the other. */
export function detectorPlan(
  masks: readonly CompiledMask[],
  typeOid: number | undefined,
): PlannedMask {
  return new Plan(masks[0]!.rule, typeOid, (oid) => {
    const family = familyOf(oid)?.family;
    return bindDetectors(masks, isScanned(oid), family === 'json' || family === 'jsonb');
  });
}
