import type { FieldFormat } from '../types.ts';

/**
 * Reads and writes the values of one type in both of PostgreSQL's formats. Meant for transforms that compute:
 * it allocates.
 */
export interface Codec<T> {
  /** The value, or undefined when it is none that this codec writes (infinity, another DateStyle, garbage). */
  decode(src: Buffer, start: number, end: number, format: FieldFormat): T | undefined;
  encode(value: T, format: FieldFormat): Buffer;
  /** An upper bound, in bytes, of what `encode` gives for a value computed from an input of that many bytes. */
  maxLength(inputLength: number): number;
}

/** The bytes as text; for formats that are ASCII by definition. */
export const asciiOf = (src: Buffer, start: number, end: number): string =>
  src.toString('latin1', start, end);
