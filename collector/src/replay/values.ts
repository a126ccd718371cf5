/** Types whose binary form is read here; everything else in binary is shown as hex. */
const binaryReaders: Readonly<Record<number, (bytes: Buffer) => string | undefined>> = {
  16: (bytes) => (bytes.length === 1 ? String(bytes[0] !== 0) : undefined),
  20: (bytes) => (bytes.length === 8 ? String(bytes.readBigInt64BE()) : undefined),
  21: (bytes) => (bytes.length === 2 ? String(bytes.readInt16BE()) : undefined),
  23: (bytes) => (bytes.length === 4 ? String(bytes.readInt32BE()) : undefined),
  26: (bytes) => (bytes.length === 4 ? String(bytes.readUInt32BE()) : undefined),
  700: (bytes) => (bytes.length === 4 ? String(bytes.readFloatBE()) : undefined),
  701: (bytes) => (bytes.length === 8 ? String(bytes.readDoubleBE()) : undefined),
  2950: (bytes) =>
    bytes.length === 16
      ? bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
      : undefined,
};
/** text, name, char, bpchar, varchar, json, xml, unknown: the same bytes in both formats. */
const textTypes = new Set([18, 19, 25, 114, 142, 705, 1042, 1043]);

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Bytes as text where they are UTF-8, else as `\x…`. */
export function textOf(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    return `\\x${Buffer.from(bytes).toString('hex')}`;
  }
}

/** A column's value as a person reads it. `format`: 0 text, 1 binary; undefined when no description came. */
export function showValue(bytes: Uint8Array, typeOid: number, format: number | undefined): string {
  if (format !== 1 || textTypes.has(typeOid)) return textOf(bytes);
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return binaryReaders[typeOid]?.(buffer) ?? `\\x${buffer.toString('hex')}`;
}
