import { asciiOf, type Codec } from './codec.ts';

/** float4 and float8, by their width in bytes. NaN and the infinities are not decoded. */
export function floatCodec(width: 4 | 8): Codec<number> {
  return {
    decode(src, start, end, format) {
      let value: number;
      if (format === 0) {
        const text = asciiOf(src, start, end);
        value = text.length > 0 && text.length <= 40 ? Number(text) : Number.NaN;
      } else {
        if (end - start !== width) return undefined;
        value = width === 4 ? src.readFloatBE(start) : src.readDoubleBE(start);
      }
      return Number.isFinite(value) ? value : undefined;
    },
    encode(value, format) {
      if (format === 0) return Buffer.from(String(value));
      const bytes = Buffer.alloc(width);
      if (width === 4) bytes.writeFloatBE(value);
      else bytes.writeDoubleBE(value);
      return bytes;
    },
    maxLength: () => 32,
  };
}
