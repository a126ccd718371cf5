import { type FieldMask, NULL_FIELD } from '@chaperone/core/masking/types.ts';
import { ProtocolError } from '../messages/protocol-error.ts';
import { MaskedCells } from './masked-cells.ts';

/** Type byte, length and number of columns. */
const rowHeaderBytes = 7;

/**
 * Masks DataRow messages of one result, and counts the values that were masked.
 */
export class RowMasker {
  readonly masks: readonly (FieldMask | null)[];
  readonly cells: MaskedCells;
  #grows = false;

  constructor(masks: readonly (FieldMask | null)[]) {
    this.masks = masks;
    this.cells = new MaskedCells(masks.length);
  }

  /** True when the row last measured cannot be masked in place. */
  get grows(): boolean {
    return this.#grows;
  }

  /**
   * Checks the whole message at `src[start, end)` (type byte included) and returns an upper bound of its
   * masked size, in bytes.
   * @throws ProtocolError when its fields do not fill it, or are not as many as the masks
   */
  measure(src: Buffer, start: number, end: number): number {
    const { masks } = this;
    if (end - start < rowHeaderBytes) {
      throw new ProtocolError('Truncated', 'a DataRow without its number of columns');
    }
    const count = src.readUInt16BE(start + 5);
    if (count !== masks.length) {
      throw new ProtocolError(
        'InvalidValue',
        'a DataRow has another number of columns than announced',
      );
    }
    let growth = 0;
    this.#grows = false;
    let at = start + rowHeaderBytes;
    for (let column = 0; column < count; column += 1) {
      if (at + 4 > end) throw new ProtocolError('Truncated', 'a DataRow ends within a length');
      const length = src.readInt32BE(at);
      at += 4;
      if (length === -1) continue;
      if (length < 0 || length > end - at) {
        throw new ProtocolError('Truncated', 'a DataRow field reaches beyond its message');
      }
      const mask = masks[column];
      if (mask) {
        const bound = mask.maxLength(length);
        if (bound > length) {
          this.#grows = true;
          growth += bound - length;
        }
      }
      at += length;
    }
    if (at !== end)
      throw new ProtocolError('TrailingBytes', 'a DataRow has bytes behind its fields');
    return end - start + growth;
  }

  /**
   * Writes the masked message to `dst` from `at` and returns the offset behind it. `dst` may be `src` with
   * `at <= start` when the row, just measured, does not grow.
   */
  write(src: Buffer, start: number, end: number, dst: Buffer, at: number): number {
    const { masks, cells } = this;
    let out = at + rowHeaderBytes;
    let from = start + rowHeaderBytes;
    // Fields that stay as they are move together, in one copy.
    let run = from;
    for (let column = 0; column < masks.length; column += 1) {
      const length = src.readInt32BE(from);
      const value = from + 4;
      const mask = masks[column];
      if (!mask || length === -1) {
        from = length === -1 ? value : value + length;
        continue;
      }
      out = move(src, run, from, dst, out);
      const written = mask.write(src, value, value + length, dst, out + 4);
      if (mask.lastHit) cells.hit(column, mask.rule);
      dst.writeInt32BE(written, out);
      out += written === NULL_FIELD ? 4 : 4 + written;
      from = value + length;
      run = from;
    }
    out = move(src, run, end, dst, out);
    dst[at] = 0x44;
    dst.writeInt32BE(out - at - 1, at + 1);
    dst.writeUInt16BE(masks.length, at + 5);
    return out;
  }
}

/** Copies `src[from, to)` to `dst[at…]`, unless it is there already; returns the offset behind it. */
function move(src: Buffer, from: number, to: number, dst: Buffer, at: number): number {
  if (to > from && !(src === dst && from === at)) src.copy(dst, at, from, to);
  return at + (to - from);
}
