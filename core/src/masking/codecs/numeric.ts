import type { FieldFormat } from '../types.ts';
import { asciiOf, type Codec } from './codec.ts';

const positive = 0x0000;
const negative = 0x4000;

/**
 * numeric as a decimal text (`-12.50`). Binary format: number of base-10000 digits, weight of the first,
 * sign, display scale (16 bits each), then the digits (src/backend/utils/adt/numeric.c, numeric_send).
 * NaN and the infinities are not decoded.
 */
export const numericCodec: Codec<string> = {
  decode(src, start, end, format) {
    const text = format === 0 ? asciiOf(src, start, end) : decodeBinary(src, start, end);
    return text !== undefined && /^-?\d+(\.\d+)?$/.test(text) ? text : undefined;
  },
  encode: (value, format: FieldFormat) => (format === 0 ? Buffer.from(value) : encodeBinary(value)),
  // A computed value has at most 16 digits more than the input: a step, or a hash.
  maxLength: (inputLength) => inputLength + 32,
};

function decodeBinary(src: Buffer, start: number, end: number): string | undefined {
  if (end - start < 8) return undefined;
  const count = src.readUInt16BE(start);
  const weight = src.readInt16BE(start + 2);
  const sign = src.readUInt16BE(start + 4);
  const scale = src.readUInt16BE(start + 6);
  if ((sign !== positive && sign !== negative) || end - start !== 8 + 2 * count) return undefined;
  const digitAt = (position: number): string => {
    const index = weight - position;
    const digit = index >= 0 && index < count ? src.readUInt16BE(start + 8 + 2 * index) : 0;
    return digit.toString().padStart(4, '0');
  };
  let whole = '';
  for (let position = Math.max(weight, 0); position >= 0; position -= 1) whole += digitAt(position);
  let fraction = '';
  for (let position = -1; fraction.length < scale; position -= 1) fraction += digitAt(position);
  const text = whole.replace(/^0+(?=\d)/, '') + (scale > 0 ? `.${fraction.slice(0, scale)}` : '');
  return sign === negative ? `-${text}` : text;
}

function encodeBinary(value: string): Buffer {
  const unsigned = value.startsWith('-') ? value.slice(1) : value;
  const [whole = '0', fraction = ''] = unsigned.split('.');
  const left = whole.padStart(Math.ceil(whole.length / 4) * 4, '0');
  const right = fraction.padEnd(Math.ceil(fraction.length / 4) * 4, '0');
  const digits = (left + right).match(/\d{4}/g)?.map(Number) ?? [];
  let weight = left.length / 4 - 1;
  while (digits.length > 0 && digits[0] === 0) {
    digits.shift();
    weight -= 1;
  }
  while (digits.length > 0 && digits[digits.length - 1] === 0) digits.pop();
  const zero = digits.length === 0;
  const bytes = Buffer.alloc(8 + 2 * digits.length);
  bytes.writeUInt16BE(digits.length, 0);
  bytes.writeInt16BE(zero ? 0 : weight, 2);
  bytes.writeUInt16BE(value.startsWith('-') && !zero ? negative : positive, 4);
  bytes.writeUInt16BE(fraction.length, 6);
  digits.forEach((digit, index) => {
    bytes.writeUInt16BE(digit, 8 + 2 * index);
  });
  return bytes;
}
