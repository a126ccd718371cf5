import type { RuleRef } from '../policy/types.ts';
import { bindDetectors } from './detectors/detector-mask.ts';
import { familyOf } from './field-types.ts';
import type { CompiledMask } from './mask-set.ts';
import { bindTransform } from './transforms/bind.ts';
import { NullMask } from './transforms/null.ts';
import type { FieldFormat, FieldMask, PlannedMask } from './types.ts';

/** A plan and what it does, in words. */
class Plan implements PlannedMask {
  readonly rule: RuleRef;
  readonly typeOid?: number;
  readonly description: string;
  readonly #make: (typeOid: number | undefined, format: FieldFormat) => FieldMask | undefined;
  /** Made last. A mask keeps nothing from one `write` to the next, so results may share it. */
  #bound:
    | { readonly typeOid: number | undefined; readonly format: FieldFormat; mask?: FieldMask }
    | undefined;

  constructor(
    rule: RuleRef,
    typeOid: number | undefined,
    description: string,
    make: PlannedMask['bind'],
  ) {
    this.rule = rule;
    if (typeOid !== undefined) this.typeOid = typeOid;
    this.description = description;
    this.#make = make;
  }

  bind(typeOid: number | undefined, format: FieldFormat): FieldMask | undefined {
    const known = this.#bound;
    if (known !== undefined && known.typeOid === typeOid && known.format === format) {
      return known.mask;
    }
    const mask = this.#make(typeOid, format);
    this.#bound = { typeOid, format, ...(mask && { mask }) };
    return mask;
  }
}

/** What a mask does, in words: `Partial`, or `PaymentCard, Email: Partial` where detectors look for it. */
export function describePlan(planned: PlannedMask): string {
  return planned instanceof Plan ? planned.description : '';
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
    transform.type,
    (oid, format) =>
      (oid === undefined
        ? typelessMask(mask)
        : bindTransform(transform, mask.rule, key, oid, format)) ??
      (strict ? undefined : new NullMask(mask.rule)),
  );
}

/** NULL is a value of every type; nothing else is. */
function typelessMask(mask: CompiledMask): FieldMask | undefined {
  return mask.source.transform.type === 'Null' ? new NullMask(mask.rule) : undefined;
}

/** NULL in place of what cannot be masked. */
export function nullPlan(mask: CompiledMask, typeOid: number | undefined): PlannedMask {
  return new Plan(mask.rule, typeOid, 'Null', () => new NullMask(mask.rule));
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
  const description = masks
    .map((mask) => `${mask.detectors.join(', ')}: ${mask.source.transform.type}`)
    .join('; ');
  return new Plan(masks[0]!.rule, typeOid, description, (oid) => {
    // Of a type that is not known the bytes are looked at as text: what is replaced keeps its length.
    const family = oid === undefined ? undefined : familyOf(oid)?.family;
    return bindDetectors(masks, isScanned(oid), family === 'json' || family === 'jsonb');
  });
}
