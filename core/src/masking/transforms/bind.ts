import type { RuleRef, TransformSpec } from '../../policy/types.ts';
import { integerCodec } from '../codecs/integer.ts';
import { type FieldType, familyOf } from '../field-types.ts';
import type { FieldFormat, FieldMask } from '../types.ts';
import { ComputedMask } from './computed.ts';
import { fixed } from './fixed.ts';
import { generalize } from './generalize.ts';
import { hash } from './hash.ts';
import { keyedDigest } from './keyed.ts';
import { NullMask } from './null.ts';
import { PartialTextMask, partialInteger } from './partial.ts';
import { pseudonym } from './pseudonym.ts';
import { redact } from './redact.ts';

/**
 * The mask of a rule for fields of one type and format, or undefined when it has none that keeps the type: a
 * type that is not built in, a fixed text that is no value of the type, a keyed transform without a key.
 * A transform that means nothing for a type (Partial of a date, Generalize of a text) gives its neutral
 * value: that tells less, and keeps the type.
 */
export function bindTransform(
  spec: TransformSpec,
  rule: RuleRef,
  key: string | undefined,
  typeOid: number,
  format: FieldFormat,
): FieldMask | undefined {
  if (spec.type === 'Null') return new NullMask(rule);
  const type = familyOf(typeOid);
  if (type === undefined) return undefined;
  const neutral = redact(rule, type, format);
  switch (spec.type) {
    case 'Redact':
      return neutral;
    case 'Fixed':
      return spec.fixed === undefined ? undefined : fixed(spec.fixed, rule, type, format);
    case 'Partial':
      return partial(spec, type, format, neutral);
    case 'Generalize':
      return generalize(spec, type, format, neutral) ?? neutral;
    case 'Hash':
    case 'Pseudonym': {
      const digest = keyedDigest(key);
      if (digest === undefined) return undefined;
      const shaped =
        spec.type === 'Pseudonym' ? pseudonym(digest, type, format, neutral) : undefined;
      return shaped ?? hash(digest, type, format, neutral) ?? neutral;
    }
    default:
      return undefined;
  }
}

function partial(
  spec: TransformSpec,
  type: FieldType,
  format: FieldFormat,
  neutral: FieldMask,
): FieldMask {
  const keepFirst = spec.keepFirst ?? 0;
  const keepLast = spec.keepLast ?? 0;
  const whole = (width: 2 | 4 | 8): FieldMask =>
    new ComputedMask(
      integerCodec(width),
      format,
      (value) => partialInteger(value, keepFirst, keepLast),
      neutral,
    );
  switch (type.family) {
    case 'text':
    case 'varchar':
      return new PartialTextMask(neutral.rule, keepFirst, keepLast, false);
    case 'bpchar':
      return new PartialTextMask(neutral.rule, keepFirst, keepLast, true);
    case 'int2':
      return whole(2);
    case 'int4':
      return whole(4);
    case 'int8':
      return whole(8);
    default:
      return neutral;
  }
}
