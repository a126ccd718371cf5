import { asciiOf, type Codec } from './codec.ts';

/** Midnight of 2000-01-01 UTC in epoch ms: where PostgreSQL counts from. */
export const postgresEpochMs = Date.UTC(2000, 0, 1);
const dayMs = 86_400_000;
const microsPerMs = 1000n;

/** Years that JavaScript's Date and four-digit ISO text agree on. */
const minYear = 1;
const maxYear = 9999;

function isoDate(ms: number): string {
  const date = new Date(ms);
  const year = String(date.getUTCFullYear()).padStart(4, '0');
  const month = String(date.getUTCMonth() + 1).padStart(2, '0');
  return `${year}-${month}-${String(date.getUTCDate()).padStart(2, '0')}`;
}

/** Epoch ms of a date, or undefined when there is no such day in years 1 to 9999. */
function utc(year: string, month: string, day: string): number | undefined {
  const date = new Date(0);
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  const valid = date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(day);
  return valid && inRange(date.getTime()) ? date.getTime() : undefined;
}

function inRange(ms: number): boolean {
  const year = new Date(ms).getUTCFullYear();
  return year >= minYear && year <= maxYear;
}

/** date as days since 2000-01-01. Text in ISO DateStyle; infinity, BC and years beyond 9999 are not decoded. */
export const dateCodec: Codec<number> = {
  decode(src, start, end, format) {
    if (format === 1) {
      if (end - start !== 4) return undefined;
      const days = src.readInt32BE(start);
      return inRange(postgresEpochMs + days * dayMs) ? days : undefined;
    }
    const match = /^(\d{4})-(\d\d)-(\d\d)$/.exec(asciiOf(src, start, end));
    const ms = match === null ? undefined : utc(match[1]!, match[2]!, match[3]!);
    return ms === undefined ? undefined : (ms - postgresEpochMs) / dayMs;
  },
  encode(days, format) {
    if (format === 0) return Buffer.from(isoDate(postgresEpochMs + days * dayMs));
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(days);
    return bytes;
  },
  maxLength: () => 10,
};

const timestampText =
  /^(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?)?$/;

/**
 * timestamp and timestamptz as microseconds since 2000-01-01 (of UTC, for timestamptz, and written with +00).
 * Text in ISO DateStyle; infinity, BC and years beyond 9999 are not decoded.
 */
export function timestampCodec(withZone: boolean): Codec<bigint> {
  return {
    decode(src, start, end, format) {
      if (format === 1) {
        if (end - start !== 8) return undefined;
        const micros = src.readBigInt64BE(start);
        return inRange(postgresEpochMs + Number(micros / microsPerMs)) ? micros : undefined;
      }
      const match = timestampText.exec(asciiOf(src, start, end));
      if (match === null || (match[8] !== undefined) !== withZone) return undefined;
      const day = utc(match[1]!, match[2]!, match[3]!);
      if (day === undefined) return undefined;
      const seconds = secondsOf(match[4], match[5], match[6]);
      const offset = secondsOf(match[9], match[10], match[11]) * (match[8] === '-' ? -1 : 1);
      const wholeMs = day - postgresEpochMs + (seconds - offset) * 1000;
      if (!inRange(postgresEpochMs + wholeMs)) return undefined;
      return BigInt(wholeMs) * microsPerMs + BigInt((match[7] ?? '').padEnd(6, '0'));
    },
    encode(micros, format) {
      if (format === 1) {
        const bytes = Buffer.alloc(8);
        bytes.writeBigInt64BE(micros);
        return bytes;
      }
      const fraction = ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n;
      const ms = postgresEpochMs + Number((micros - fraction) / microsPerMs);
      const clock = timeText(Math.floor((((ms % dayMs) + dayMs) % dayMs) / 1000));
      return Buffer.from(
        `${isoDate(ms)} ${clock}${fractionText(fraction)}${withZone ? '+00' : ''}`,
      );
    },
    maxLength: () => 29,
  };
}

/** time as microseconds since midnight. */
export const timeCodec: Codec<bigint> = {
  decode(src, start, end, format) {
    if (format === 1) return end - start === 8 ? src.readBigInt64BE(start) : undefined;
    const match = /^(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?$/.exec(asciiOf(src, start, end));
    if (match === null) return undefined;
    const seconds = secondsOf(match[1], match[2], match[3]);
    return BigInt(seconds) * 1_000_000n + BigInt((match[4] ?? '').padEnd(6, '0'));
  },
  encode(micros, format) {
    if (format === 0) {
      const fraction = micros % 1_000_000n;
      return Buffer.from(timeText(Number(micros / 1_000_000n)) + fractionText(fraction));
    }
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64BE(micros);
    return bytes;
  },
  maxLength: () => 15,
};

const secondsOf = (hours = '0', minutes = '0', seconds = '0'): number =>
  Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);

function timeText(seconds: number): string {
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return parts.map((part) => String(part).padStart(2, '0')).join(':');
}

const fractionText = (micros: bigint): string =>
  micros === 0n ? '' : `.${micros.toString().padStart(6, '0').replace(/0+$/, '')}`;
