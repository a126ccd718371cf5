/** Looks for protected values in bytes, in every form that SQL makes of a text without forgetting it. */
import { createHash } from 'node:crypto';
import { databases, hiddenCards, protectedValues, type World } from './masking-worlds.ts';

/**
 * How many characters of a value in one piece are a find. Fewer occur by chance: masks with a key make random
 * letters, digits and hexadecimal.
 */
function pieceLength(hidden: string): number {
  const wanted = /^[0-9.]+$/.test(hidden) ? 10 : /^[0-9a-f: -]+$/.test(hidden) ? 12 : 7;
  return Math.min(wanted, hidden.length);
}

export class Canaries {
  /** Pieces of hidden texts in lower case, by their first four bytes. */
  readonly #pieces = new Map<number, Map<string, string>>();
  /** Whole digests, as bytes in latin1. */
  readonly #cells = new Map<string, string>();

  constructor(worlds: readonly World[] = [0, 1]) {
    for (const world of worlds) {
      for (const hidden of hiddenCards(world)) {
        this.#add(hidden, `a card of ${databases(world).governed}.letters`);
        this.#add(
          hidden.replace(/(.{4})(?=.)/g, '$1 '),
          `a card of ${databases(world).governed}.letters`,
        );
      }
      for (const { table, column, row, hidden, cell } of protectedValues(world)) {
        const name = `${databases(world).governed}.${table}.${column}[${row}]`;
        if (cell !== undefined) this.#cells.set(cell.toString('latin1'), name);
        if (hidden === undefined) continue;
        const length = pieceLength(hidden);
        for (let at = 0; at + length <= hidden.length; at += 1) {
          this.#add(hidden.slice(at, at + length), name);
        }
        for (const algorithm of ['md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512']) {
          const digest = createHash(algorithm).update(hidden).digest();
          this.#addBytes(digest.subarray(0, 16), `${algorithm} of ${name}`);
        }
      }
    }
  }

  #add(piece: string, name: string): void {
    this.#addBytes(Buffer.from(piece.toLowerCase()), name);
  }

  #addBytes(bytes: Buffer, name: string): void {
    const key = lower(bytes).readInt32BE(0);
    let pieces = this.#pieces.get(key);
    if (pieces === undefined) this.#pieces.set(key, (pieces = new Map()));
    pieces.set(lower(bytes).toString('latin1'), name);
  }

  /** What is found in these bytes, in any form; empty is what a test wants. */
  find(bytes: Buffer): string[] {
    const found = new Set<string>();
    for (const form of forms(bytes)) this.#scan(form, found);
    return [...found];
  }

  /** A field of a row that is, as a whole, the binary form of a protected value. */
  findCell(cell: Buffer): string | undefined {
    return cell.length < 4 ? undefined : this.#cells.get(cell.toString('latin1'));
  }

  #scan(bytes: Buffer, found: Set<string>): void {
    const end = bytes.length - 4;
    for (let at = 0; at <= end; at += 1) {
      const pieces = this.#pieces.get(bytes.readInt32BE(at));
      if (pieces === undefined) continue;
      for (const [piece, name] of pieces) {
        if (bytes.toString('latin1', at, at + piece.length) === piece) found.add(name);
      }
    }
  }
}

/** ASCII letters in lower case, all else as it is. */
function lower(bytes: Buffer): Buffer {
  const result = Buffer.from(bytes);
  for (let at = 0; at < result.length; at += 1) {
    const byte = result[at]!;
    if (byte >= 0x41 && byte <= 0x5a) result[at] = byte + 0x20;
  }
  return result;
}

/**
 * The bytes themselves, backwards, without what separates digits and letters, and what runs of hexadecimal and
 * base64 in them stand for; in lower case.
 */
function* forms(bytes: Buffer): Generator<Buffer> {
  const plain = lower(bytes);
  yield plain;
  yield Buffer.from(plain).reverse();
  const latin1 = bytes.toString('latin1');
  yield Buffer.from(latin1.toLowerCase().replace(/[^a-z0-9.]+/g, ''), 'latin1');
  // Two bytes a character, and bytes of zero between: what a wider encoding leaves.
  if (bytes.includes(0)) yield withoutZeros(plain);
  for (const [run] of latin1.matchAll(/[0-9a-fA-F]{14,}/g)) {
    for (const skip of [0, 1]) {
      const decoded = lower(Buffer.from(run.slice(skip, skip + ((run.length - skip) & ~1)), 'hex'));
      yield decoded;
      if (decoded.includes(0)) yield withoutZeros(decoded);
    }
  }
  for (const [run] of latin1.matchAll(/[0-9a-zA-Z+/]{12,}/g)) {
    for (const skip of [0, 1, 2, 3]) yield lower(Buffer.from(run.slice(skip), 'base64'));
  }
}

const withoutZeros = (bytes: Buffer): Buffer => Buffer.from(bytes.filter((byte) => byte !== 0));
