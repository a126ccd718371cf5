import type { TransformSpec } from '../../policy/types.ts';
import { dateCodec, postgresEpochMs, timestampCodec } from '../codecs/datetime.ts';
import { floatCodec } from '../codecs/float.ts';
import { integerCodec } from '../codecs/integer.ts';
import { numericCodec } from '../codecs/numeric.ts';
import type { FieldType } from '../field-types.ts';
import type { FieldFormat, FieldMask } from '../types.ts';
import { ComputedMask } from './computed.ts';

const dayMs = 86_400_000;

/** The first moment of the year or month, of UTC, in epoch ms. */
function startOf(ms: number, unit: 'Year' | 'Month'): number {
  const date = new Date(ms);
  date.setUTCMonth(unit === 'Year' ? 0 : date.getUTCMonth(), 1);
  return date.setUTCHours(0, 0, 0, 0);
}

/** The largest multiple of `step` that is not above the value. */
function floorTo(value: bigint, step: bigint): bigint {
  const rest = ((value % step) + step) % step;
  return value - rest;
}

/** Integers beyond the type's range give undefined: the neutral value then stands. */
function generalizeInteger(value: bigint, step: bigint, width: 2 | 4 | 8): bigint | undefined {
  const floor = floorTo(value, step);
  return BigInt.asIntN(width * 8, floor) === floor ? floor : undefined;
}

/** The whole number below a decimal, rounded down to a multiple. */
function generalizeDecimal(value: string, step: bigint): string {
  const [whole = '0', fraction = ''] = value.split('.');
  const below =
    value.startsWith('-') && /[1-9]/.test(fraction) ? BigInt(whole) - 1n : BigInt(whole);
  return floorTo(below, step).toString();
}

/**
 * Dates and timestamps rounded down to the year or month (of UTC, for timestamptz), numbers to a multiple of
 * the step; whole types take whole steps only. Undefined where the rule or the type has no such meaning: the
 * neutral value then stands.
 */
export function generalize(
  spec: TransformSpec,
  type: FieldType,
  format: FieldFormat,
  neutral: FieldMask,
): FieldMask | undefined {
  const { dateUnit, step } = spec;
  switch (type.family) {
    case 'date':
      if (dateUnit === undefined) return undefined;
      return new ComputedMask(
        dateCodec,
        format,
        (days) => (startOf(postgresEpochMs + days * dayMs, dateUnit) - postgresEpochMs) / dayMs,
        neutral,
      );
    case 'timestamp':
    case 'timestamptz':
      if (dateUnit === undefined) return undefined;
      return new ComputedMask(
        timestampCodec(type.family === 'timestamptz'),
        format,
        (micros) => {
          const ms = postgresEpochMs + Math.floor(Number(micros) / 1000);
          return BigInt(startOf(ms, dateUnit) - postgresEpochMs) * 1000n;
        },
        neutral,
      );
    case 'int2':
    case 'int4':
    case 'int8': {
      const whole = wholeStep(step);
      const width = type.family === 'int2' ? 2 : type.family === 'int4' ? 4 : 8;
      if (whole === undefined) return undefined;
      return new ComputedMask(
        integerCodec(width),
        format,
        (value) => generalizeInteger(value, whole, width),
        neutral,
      );
    }
    case 'numeric': {
      const whole = wholeStep(step);
      if (whole === undefined) return undefined;
      return new ComputedMask(
        numericCodec,
        format,
        (value) => generalizeDecimal(value, whole),
        neutral,
      );
    }
    case 'float4':
    case 'float8':
      if (step === undefined || !(step > 0)) return undefined;
      return new ComputedMask(
        floatCodec(type.family === 'float4' ? 4 : 8),
        format,
        (value) => {
          const floor = Math.floor(value / step) * step;
          const narrow = type.family === 'float4' ? Math.fround(floor) : floor;
          return Number.isFinite(narrow) ? narrow : undefined;
        },
        neutral,
      );
    default:
      return undefined;
  }
}

const wholeStep = (step: number | undefined): bigint | undefined =>
  step !== undefined && Number.isSafeInteger(step) && step > 0 ? BigInt(step) : undefined;
