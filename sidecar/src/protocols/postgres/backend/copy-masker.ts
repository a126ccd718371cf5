import { type FieldMask, NULL_FIELD } from '@chaperone/core/masking/types.ts';
import { ProtocolError } from '../messages/protocol-error.ts';
import { MaskedCells } from './masked-cells.ts';

const tab = 0x09;
const newline = 0x0a;
const carriageReturn = 0x0d;
const quote = 0x22;
const comma = 0x2c;
const backslash = 0x5c;

/** What a backslash and a letter stand for in COPY's text format (manual, COPY, "Text Format"). */
const unescaped: Readonly<Record<number, number>> = {
  98: 0x08, // b
  102: 0x0c, // f
  110: newline, // n
  114: carriageReturn, // r
  116: tab, // t
  118: 0x0b, // v
};
const escaped = new Map(Object.entries(unescaped).map(([letter, byte]) => [byte, Number(letter)]));

/**
 * Masks the rows of COPY … TO STDOUT in text or CSV format with default options. PostgreSQL sends one row a
 * CopyData message; anything else is not understood and throws.
 */
export class CopyMasker {
  readonly masks: readonly (FieldMask | null)[];
  readonly cells: MaskedCells;
  readonly #csv: boolean;
  #scratch = Buffer.allocUnsafe(256);

  constructor(masks: readonly (FieldMask | null)[], format: 'text' | 'csv') {
    this.masks = masks;
    this.cells = new MaskedCells(masks.length);
    this.#csv = format === 'csv';
  }

  /**
   * The masked row, its line end included.
   * @throws ProtocolError when the line is not one row of as many columns as there are masks
   */
  mask(line: Buffer): Buffer {
    if (line[line.length - 1] !== newline) {
      throw new ProtocolError('InvalidValue', 'a COPY row does not end with its message');
    }
    const fields = this.#csv ? splitCsv(line) : splitText(line);
    if (fields.length !== this.masks.length) {
      throw new ProtocolError(
        'InvalidValue',
        'a COPY row has another number of columns than asked',
      );
    }
    const parts: Buffer[] = [];
    fields.forEach((field, column) => {
      if (column > 0) parts.push(this.#csv ? commaBytes : tabBytes);
      const mask = this.masks[column];
      parts.push(
        mask && field.value !== null ? this.#maskField(mask, column, field.value) : field.raw,
      );
    });
    parts.push(newlineBytes);
    return Buffer.concat(parts);
  }

  #maskField(mask: FieldMask, column: number, value: Buffer): Buffer {
    const bound = mask.maxLength(value.length);
    if (this.#scratch.length < bound) this.#scratch = Buffer.allocUnsafe(bound * 2);
    const written = mask.write(value, 0, value.length, this.#scratch, 0);
    if (mask.lastHit) this.cells.hit(column, mask.rule);
    if (written === NULL_FIELD) return this.#csv ? emptyBytes : nullBytes;
    const masked = this.#scratch.subarray(0, written);
    return this.#csv ? encodeCsv(masked) : encodeText(masked);
  }
}

const commaBytes = Buffer.from(',');
const tabBytes = Buffer.from('\t');
const newlineBytes = Buffer.from('\n');
const emptyBytes = Buffer.alloc(0);
const nullBytes = Buffer.from('\\N');

interface Field {
  /** As it stands in the line. */
  readonly raw: Buffer;
  /** The value's bytes; null for NULL. */
  readonly value: Buffer | null;
}

function splitText(line: Buffer): Field[] {
  const fields: Field[] = [];
  let start = 0;
  for (let at = 0; at < line.length; at += 1) {
    const byte = line[at]!;
    if (byte !== tab && at !== line.length - 1) {
      if (byte === newline) throw new ProtocolError('InvalidValue', 'a COPY message has two rows');
      continue;
    }
    const raw = line.subarray(start, at);
    fields.push({ raw, value: raw.equals(nullBytes) ? null : decodeText(raw) });
    start = at + 1;
  }
  return fields;
}

function decodeText(raw: Buffer): Buffer {
  if (!raw.includes(backslash)) return raw;
  const value = Buffer.allocUnsafe(raw.length);
  let out = 0;
  for (let at = 0; at < raw.length; at += 1) {
    const byte = raw[at]!;
    if (byte !== backslash) value[out++] = byte;
    else {
      at += 1;
      if (at === raw.length)
        throw new ProtocolError('InvalidValue', 'a COPY field ends in an escape');
      value[out++] = unescaped[raw[at]!] ?? raw[at]!;
    }
  }
  return value.subarray(0, out);
}

function encodeText(value: Buffer): Buffer {
  const bytes: number[] = [];
  for (const byte of value) {
    const letter = byte === backslash ? backslash : escaped.get(byte);
    if (letter !== undefined) bytes.push(backslash, letter);
    else bytes.push(byte);
  }
  return Buffer.from(bytes);
}

function splitCsv(line: Buffer): Field[] {
  const fields: Field[] = [];
  const end = line.length - 1;
  let at = 0;
  for (;;) {
    const start = at;
    if (line[at] === quote) {
      const value: number[] = [];
      at += 1;
      for (;;) {
        if (at >= end) throw new ProtocolError('InvalidValue', 'a CSV field is not closed');
        const byte = line[at]!;
        if (byte !== quote) {
          value.push(byte);
          at += 1;
        } else if (line[at + 1] === quote) {
          value.push(quote);
          at += 2;
        } else {
          at += 1;
          break;
        }
      }
      fields.push({ raw: line.subarray(start, at), value: Buffer.from(value) });
    } else {
      while (at < end && line[at] !== comma) {
        if (line[at] === newline || line[at] === quote) {
          throw new ProtocolError('InvalidValue', 'a CSV field is not what PostgreSQL writes');
        }
        at += 1;
      }
      const raw = line.subarray(start, at);
      fields.push({ raw, value: raw.length === 0 ? null : raw });
    }
    if (at === end) return fields;
    if (line[at] !== comma) throw new ProtocolError('InvalidValue', 'a CSV field runs on');
    at += 1;
  }
}

/** Quoted whatever it holds: every CSV reader takes that, and an empty value stays apart from NULL. */
function encodeCsv(value: Buffer): Buffer {
  return Buffer.from(`"${value.toString('latin1').replaceAll('"', '""')}"`, 'latin1');
}
