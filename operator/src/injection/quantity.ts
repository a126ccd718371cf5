/** Kubernetes' quantities, as far as two texts have to be told to mean the same. */

const form = /^(\d+)(?:\.(\d+))?(?:([numkMGTPE])|([KMGTPE])i|[eE]([+-]?\d{1,3}))?$/;
const decimalExponents: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const binaryExponents: Readonly<Record<string, bigint>> = {
  K: 10n,
  M: 20n,
  G: 30n,
  T: 40n,
  P: 50n,
  E: 60n,
};

/** In 10⁻¹² (finer than the API server keeps), or undefined for what is no quantity or out of all bounds. */
function inParts(text: string): bigint | undefined {
  const match = form.exec(text);
  if (match === null || text.length > 64) return undefined;
  const [, whole = '', fraction = '', decimal, binary, exponent] = match;
  const power =
    12 - fraction.length + (decimalExponents[decimal ?? ''] ?? 0) + Number(exponent ?? 0);
  const digits = BigInt(whole + fraction) << (binaryExponents[binary ?? ''] ?? 0n);
  return power >= 0 ? digits * 10n ** BigInt(power) : digits / 10n ** BigInt(-power);
}

export function isQuantity(text: string): boolean {
  return inParts(text) !== undefined;
}

/** The API server rewrites `0.5` as `500m`, so that texts alone do not tell a change. */
export function sameQuantity(a: string, b: string): boolean {
  const value = inParts(a);
  return a === b || (value !== undefined && value === inParts(b));
}

/** `wanted`, in the words of `present` where that says the same. */
export function keepWording(wanted: string, present: string | undefined): string {
  return present !== undefined && sameQuantity(wanted, present) ? present : wanted;
}
