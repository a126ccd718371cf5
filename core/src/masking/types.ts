import type { RuleRef } from '../policy/types.ts';

/** Returned by `FieldMask.write` when the masked value is NULL. */
export const NULL_FIELD = -1;

/** 0 text, 1 binary: PostgreSQL's format codes. */
export type FieldFormat = 0 | 1;

/**
 * Masks the bytes of one field of one known type and format. No allocation per call on the usual paths.
 *
 * `write` reads `src[start, end)` and writes the masked value at `dst[at…]`; it returns the number of
 * bytes written, or NULL_FIELD. `dst` has at least `maxLength(end - start)` bytes free from `at`. `dst` may
 * be `src` with `at <= start` (masking in place); the caller then guarantees that
 * `at + maxLength(end - start) <= end`, and `write` must be correct under that overlap.
 * Never called for a NULL field: NULL stays NULL. Results share a mask: but for `lastHit` and `rule`, which are
 * read at once, it keeps nothing from one call to the next.
 */
export interface FieldMask {
  /** The rule that masks; of a detector, that of the last hit. */
  readonly rule: RuleRef;
  /** An upper bound, in bytes, for an input of that many bytes. */
  maxLength(inputLength: number): number;
  write(src: Buffer, start: number, end: number, dst: Buffer, at: number): number;
  /**
   * Whether the last `write` changed anything: always for transforms, only on a hit for detectors.
   */
  readonly lastHit: boolean;
}

/** What is to be done with each output column of one statement. `null`: pass as it is. */
export interface MaskPlan {
  readonly columns: readonly (PlannedMask | null)[];
  /** Rules that would have masked or refused something, had the identity not been exempt. */
  readonly exemptionsUsed: readonly { readonly rule: RuleRef; readonly ticket?: string }[];
  /** Protected columns used for equality; each counts against the rule's lookups. */
  readonly lookups: readonly RuleRef[];
  /** A relation that it touches has a protected column, or user code runs: error texts are rebuilt (decisions 8). */
  readonly rebuildErrors: boolean;
}

/** A mask whose field type and format are still to be fixed, at RowDescription or Bind. */
export interface PlannedMask {
  readonly rule: RuleRef;
  /** The type the column must have, when the catalog told it. */
  readonly typeOid?: number;
  /**
   * The mask for a field of that type and format, or undefined when it cannot be masked with its type
   * kept; the statement is then refused (Strict) or nulled (BestEffort, which returns a Null mask). A type
   * that is not known (undefined) cannot be kept: the bytes of its values could be anything.
   */
  bind(typeOid: number | undefined, format: FieldFormat): FieldMask | undefined;
}
