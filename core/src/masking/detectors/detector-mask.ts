import type { RuleRef, TransformSpec } from '../../policy/types.ts';
import type { CompiledMask } from '../mask-set.ts';
import { type KeyedDigest, keyedDigest } from '../transforms/keyed.ts';
import { type FieldMask, NULL_FIELD } from '../types.ts';
import type { Detector, DetectorName, Hit } from './detector.ts';
import { email } from './email.ts';
import { iban } from './iban.ts';
import { paymentCard } from './payment-card.ts';
import { replaceHit } from './replace.ts';

const detectors: Readonly<Record<DetectorName, Detector>> = {
  PaymentCard: paymentCard,
  Email: email,
  IBAN: iban,
};

/** One rule's detectors, in the order in which they look. */
interface Scan {
  readonly rule: RuleRef;
  readonly transform: TransformSpec;
  readonly digest: KeyedDigest | undefined;
  readonly detectors: readonly Detector[];
}

/**
 * Replaces what detectors find, in place and in as many bytes. Several rules look one after the other, the
 * strictest first; `rule` is the one of the last hit.
 */
class DetectorMask implements FieldMask {
  #rule: RuleRef;
  #lastHit = false;
  readonly #scans: readonly Scan[];
  readonly #json: boolean;
  readonly #hit: Hit = { from: 0, to: 0 };

  constructor(scans: readonly Scan[], json: boolean) {
    this.#scans = scans;
    this.#json = json;
    this.#rule = scans[0]!.rule;
  }

  get rule(): RuleRef {
    return this.#rule;
  }

  get lastHit(): boolean {
    return this.#lastHit;
  }

  maxLength(inputLength: number): number {
    return inputLength;
  }

  write(src: Buffer, start: number, end: number, dst: Buffer, at: number): number {
    const length = end - start;
    if (src !== dst || start !== at) src.copy(dst, at, start, end);
    this.#lastHit = false;
    const field = { start: at, end: at + length, json: this.#json };
    for (const scan of this.#scans) {
      for (const detector of scan.detectors) {
        if (this.#apply(scan, detector, dst, field) && scan.transform.type === 'Null') {
          return NULL_FIELD;
        }
      }
    }
    return length;
  }

  #apply(
    scan: Scan,
    detector: Detector,
    buf: Buffer,
    field: { readonly start: number; readonly end: number; readonly json: boolean },
  ): boolean {
    const hit = this.#hit;
    let found = false;
    let from = field.start;
    while (detector.next(buf, field.start, field.end, from, hit)) {
      found = true;
      replaceHit(buf, field, hit.from, hit.to, scan.transform, scan.digest);
      from = hit.to;
    }
    if (found) {
      this.#lastHit = true;
      this.#rule = scan.rule;
    }
    return found;
  }
}

/** Lets a value pass: for a column whose type turns out to hold no text. */
class PassMask implements FieldMask {
  readonly rule: RuleRef;
  readonly lastHit = false;
  constructor(rule: RuleRef) {
    this.rule = rule;
  }
  maxLength(inputLength: number): number {
    return inputLength;
  }
  write(src: Buffer, start: number, end: number, dst: Buffer, at: number): number {
    if (src !== dst || start !== at) src.copy(dst, at, start, end);
    return end - start;
  }
}

/** The mask of the detectors of several rules, strictest first; `scanned` tells whether the type has text. */
export function bindDetectors(
  masks: readonly CompiledMask[],
  scanned: boolean,
  json: boolean,
): FieldMask {
  if (!scanned) return new PassMask(masks[0]!.rule);
  return new DetectorMask(
    masks.map((mask) => ({
      rule: mask.rule,
      transform: mask.source.transform,
      digest: keyedDigest(mask.source.key),
      detectors: mask.detectors.map((name) => detectors[name]),
    })),
    json,
  );
}
