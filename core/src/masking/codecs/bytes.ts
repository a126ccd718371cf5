import { asciiOf, type Codec } from './codec.ts';

/** uuid as its 16 bytes. */
export const uuidCodec: Codec<Buffer> = {
  decode(src, start, end, format) {
    if (format === 1) return end - start === 16 ? Buffer.from(src.subarray(start, end)) : undefined;
    const text = asciiOf(src, start, end);
    if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) return undefined;
    return Buffer.from(text.replaceAll('-', ''), 'hex');
  },
  encode(value, format) {
    if (format === 1) return value;
    const hex = value.toString('hex');
    return Buffer.from(
      [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join(
        '-',
      ),
    );
  },
  maxLength: () => 36,
};

/** bytea; text in the `hex` form of bytea_output. */
export const byteaCodec: Codec<Buffer> = {
  decode(src, start, end, format) {
    if (format === 1) return Buffer.from(src.subarray(start, end));
    const text = asciiOf(src, start, end);
    if (!/^\\x([0-9a-f]{2})*$/i.test(text)) return undefined;
    return Buffer.from(text.slice(2), 'hex');
  },
  encode: (value, format) => (format === 1 ? value : Buffer.from(`\\x${value.toString('hex')}`)),
  // Computed values are digests.
  maxLength: () => 66,
};

/** bool. */
export const boolCodec: Codec<boolean> = {
  decode(src, start, end, format) {
    if (format === 1) return end - start === 1 ? src[start] !== 0 : undefined;
    const text = asciiOf(src, start, end).toLowerCase();
    if (text === 't' || text === 'true') return true;
    return text === 'f' || text === 'false' ? false : undefined;
  },
  encode: (value, format) =>
    format === 1 ? Buffer.from([value ? 1 : 0]) : Buffer.from(value ? 't' : 'f'),
  maxLength: () => 1,
};
