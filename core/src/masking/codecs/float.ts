import { asciiOf, type Codec } from './codec.ts';

/** float4 and float8, by their width in bytes. NaN and the infinities are not decoded. */
export function floatCodec(width: 4 | 8): Codec<number> {
  return {
    decode(src, start, end, format) {
      let value: number;
      if (format === 0) {
        const text = asciiOf(src, start, end);
        value = text.length > 0 && text.length <= 40 ? Number(text) : Number.NaN;
        // The value that both formats mean: what float4 holds, not what its text says.
        if (width === 4) value = Math.fround(value);
      } else {
        if (end - start !== width) return undefined;
        value = width === 4 ? src.readFloatBE(start) : src.readDoubleBE(start);
      }
      return Number.isFinite(value) ? value : undefined;
    },
    encode(value, format) {
      if (format === 0) return Buffer.from(width === 4 ? shortest(value) : String(value));
      const bytes = Buffer.alloc(width);
      if (width === 4) bytes.writeFloatBE(value);
      else bytes.writeDoubleBE(value);
      return bytes;
    },
    maxLength: () => 32,
  };
}

/** The fewest digits that give the same float4, as the server prints it. */
function shortest(value: number): string {
  for (let digits = 6; digits < 9; digits += 1) {
    const text = String(Number(value.toPrecision(digits)));
    if (Math.fround(Number(text)) === Math.fround(value)) return text;
  }
  return String(Number(value.toPrecision(9)));
}
