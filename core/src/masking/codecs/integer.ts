import { asciiOf, type Codec } from './codec.ts';

/** int2, int4 and int8, by their width in bytes. */
export function integerCodec(width: 2 | 4 | 8): Codec<bigint> {
  const bits = width * 8;
  return {
    decode(src, start, end, format) {
      if (format === 0) {
        const text = asciiOf(src, start, end);
        if (text.length > 20 || !/^-?\d+$/.test(text)) return undefined;
        const value = BigInt(text);
        return BigInt.asIntN(bits, value) === value ? value : undefined;
      }
      if (end - start !== width) return undefined;
      if (width === 8) return src.readBigInt64BE(start);
      return BigInt(src.readIntBE(start, width));
    },
    encode(value, format) {
      if (format === 0) return Buffer.from(value.toString());
      const bytes = Buffer.alloc(width);
      if (width === 8) bytes.writeBigInt64BE(value);
      else bytes.writeIntBE(Number(value), 0, width);
      return bytes;
    },
    maxLength: () => 20,
  };
}

/** The largest value of an integer type. */
export const largestInteger = (width: 2 | 4 | 8): bigint => (1n << BigInt(width * 8 - 1)) - 1n;
