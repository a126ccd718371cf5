import {
  matchesResource,
  mayMatchBelow,
  parseResourcePattern,
  type ResourcePattern,
} from '../policy/resource-pattern.ts';
import type { BundleMask, RuleRef } from '../policy/types.ts';
import type { ColumnId } from '../sql/operation.ts';
import { type DetectorName, isDetectorName } from './detectors/detector.ts';
import { compareStrictness } from './strictness.ts';

/** A MaskingRule ready to be matched. Immutable. */
export interface CompiledMask {
  readonly rule: RuleRef;
  readonly source: BundleMask;
  readonly columns: readonly ResourcePattern[];
  readonly detectors: readonly DetectorName[];
  /** A detector that this version does not know: nothing passes where it should have looked. */
  readonly unknownDetector?: string;
  readonly resources: readonly ResourcePattern[];
  /** Epoch ms until which the identity is exempt; -Infinity when it is not. */
  readonly exemptUntilMs: number;
  readonly exemptTicket?: string;
}

/** Columns and relations whose masks are remembered, each; the memory is dropped when it is full. */
const maxRemembered = 20_000;

const everything: ResourcePattern = { source: '**', parts: [], rest: true };

/** The masks of one identity on one target. Immutable but for what it remembers. */
export class MaskSet {
  /** Strictest first. */
  readonly masks: readonly CompiledMask[];
  readonly #byColumn = new Map<string, readonly CompiledMask[]>();
  readonly #byRelation = new Map<string, readonly CompiledMask[]>();
  readonly #scanning = new Map<string, readonly CompiledMask[]>();

  constructor(masks: readonly CompiledMask[]) {
    this.masks = masks;
  }

  /** The rules that protect a column, strictest first, exempt or not. */
  protecting(column: ColumnId): readonly CompiledMask[] {
    const key = `${column.relationOid} ${column.attnum} ${JSON.stringify(column.name)}`;
    return remember(this.#byColumn, key, () =>
      this.#matching((mask) =>
        mask.columns.some((pattern) => matchesResource(pattern, column.name)),
      ),
    );
  }

  /** The rules that protect some column of a relation, or look into its values, exempt or not. */
  concerning(relation: readonly string[]): readonly CompiledMask[] {
    return remember(this.#byRelation, JSON.stringify(relation), () =>
      this.#matching(
        (mask) =>
          mask.columns.some((pattern) => mayMatchBelow(pattern, relation)) ||
          mask.resources.some((pattern) => mayMatchBelow(pattern, relation)),
      ),
    );
  }

  /** The rules whose detectors look into the values of a relation, strictest first, exempt or not. */
  scanning(relation: readonly string[]): readonly CompiledMask[] {
    return remember(this.#scanning, JSON.stringify(relation), () =>
      this.#matching(
        (mask) =>
          mask.source.detectors.length > 0 &&
          mask.resources.some((pattern) => matchesResource(pattern, relation)),
      ),
    );
  }

  /** Rules in force that may concern anything in a database; of any database when none is given. */
  inForce(database: string | undefined, nowMs: number): readonly CompiledMask[] {
    const candidates = database === undefined ? this.masks : this.concerning([database]);
    return candidates.filter((mask) => !isExempt(mask, nowMs));
  }

  /** When the next exemption that holds now ends; Infinity when none does. Epoch ms. */
  nextExpiryMs(nowMs: number): number {
    let next = Number.POSITIVE_INFINITY;
    for (const mask of this.masks) {
      if (mask.exemptUntilMs > nowMs && mask.exemptUntilMs < next) next = mask.exemptUntilMs;
    }
    return next;
  }

  #matching(test: (mask: CompiledMask) => boolean): readonly CompiledMask[] {
    return this.masks.filter(test);
  }
}

export const isExempt = (mask: CompiledMask, nowMs: number): boolean => mask.exemptUntilMs > nowMs;

/** Never throws: a pattern that does not parse protects everything. */
export function compileMaskSet(masks: readonly BundleMask[]): MaskSet {
  const compiled = masks.map(compileMask);
  compiled.sort(
    (a, b) =>
      compareStrictness(a.source.transform, b.source.transform) || compareRefs(a.rule, b.rule),
  );
  return new MaskSet(compiled);
}

function compileMask(source: BundleMask): CompiledMask {
  let exemptUntilMs = Number.NEGATIVE_INFINITY;
  let exemptTicket: string | undefined;
  for (const exemption of source.exemptions) {
    const until = Date.parse(exemption.expiresAt);
    if (until > exemptUntilMs) {
      exemptUntilMs = until;
      exemptTicket = exemption.ticket;
    }
  }
  const unknownDetector = source.detectors.find((name) => !isDetectorName(name));
  return {
    rule: source.ref,
    source,
    columns: parseAll(source.columns),
    detectors: source.detectors.filter(isDetectorName),
    resources: parseAll(source.resources),
    exemptUntilMs,
    ...(unknownDetector !== undefined && { unknownDetector }),
    ...(exemptTicket !== undefined && { exemptTicket }),
  };
}

function parseAll(patterns: readonly string[]): readonly ResourcePattern[] {
  try {
    return patterns.map(parseResourcePattern);
  } catch {
    return [everything];
  }
}

/** Two rules that are equally strict keep the same order on every machine. */
function compareRefs(a: RuleRef, b: RuleRef): number {
  const left = `${a.namespace}/${a.object}`;
  const right = `${b.namespace}/${b.object}`;
  return left < right ? -1 : left > right ? 1 : 0;
}

function remember<T>(memory: Map<string, T>, key: string, make: () => T): T {
  let value = memory.get(key);
  if (value === undefined) {
    if (memory.size >= maxRemembered) memory.clear();
    memory.set(key, (value = make()));
  }
  return value;
}
