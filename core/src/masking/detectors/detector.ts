/** The kinds of data that are looked for in free text and JSON. */
export type DetectorName = 'PaymentCard' | 'Email' | 'IBAN';

/** Where a hit lies: `[from, to)`. Reused by the detector that gives it. */
export interface Hit {
  from: number;
  to: number;
}

/**
 * Finds one kind of data in bytes of a field. `next` looks in `buf[start, end)` from `from` on, where
 * `start` and `end` are the field's bounds, and fills `hit`; false when there is none. Nothing is allocated
 * until a candidate is found.
 */
export interface Detector {
  readonly name: DetectorName;
  next(buf: Buffer, start: number, end: number, from: number, hit: Hit): boolean;
}

const names: ReadonlySet<string> = new Set<DetectorName>(['PaymentCard', 'Email', 'IBAN']);

export const isDetectorName = (name: string): name is DetectorName => names.has(name);
