/** JSON documents, changed in a few places: values of another kind, members missing or added, names that JavaScript knows. */
import fc from 'fast-check';

const odd: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    false,
    0,
    -1,
    1e308,
    0.5,
    '',
    '*',
    '**',
    '[',
    '\0',
    '\ud800',
  ),
  fc.constantFrom<unknown>(
    [],
    {},
    [null],
    [[]],
    [{}],
    ['*'],
    ['Nothing'],
    { '': '' },
    'constructor',
  ),
  fc.jsonValue({ maxDepth: 2 }),
);

const memberName = fc.constantFrom(
  '__proto__',
  'constructor',
  'toString',
  'invalid',
  'when',
  'x',
  '',
);

/** Where and how: steps down the document, each modulo what is there, and what is done at the end of them. */
interface Change {
  readonly steps: readonly number[];
  readonly act: 'replace' | 'remove' | 'add' | 'double' | 'text';
  readonly value: unknown;
  readonly name: string;
}

export const changes: fc.Arbitrary<readonly Change[]> = fc.array(
  fc.record({
    steps: fc.array(fc.nat(100), { maxLength: 7 }),
    act: fc.constantFrom('replace' as const, 'remove', 'add', 'double', 'text'),
    value: odd,
    name: memberName,
  }),
  { minLength: 1, maxLength: 3 },
);

/** A copy of the document with these changes. */
export function changed(document: unknown, list: readonly Change[]): unknown {
  return list.reduce((value, change) => at(value, change, 0), structuredClone(document));
}

function at(value: unknown, change: Change, depth: number): unknown {
  const step = change.steps[depth];
  const keys = typeof value === 'object' && value !== null ? Object.keys(value) : [];
  if (step === undefined || keys.length === 0) return act(value, change);
  const key = keys[step % keys.length]!;
  const holder = value as Record<string, unknown>;
  const deeper = depth + 1 < change.steps.length;
  if (!deeper && change.act === 'remove') {
    if (Array.isArray(value)) return value.toSpliced(Number(key), 1);
    const { [key]: _, ...rest } = holder;
    return rest;
  }
  if (!deeper && change.act === 'double' && Array.isArray(value)) return [...value, holder[key]];
  const inner = deeper ? at(holder[key], change, depth + 1) : act(holder[key], change);
  return Array.isArray(value)
    ? value.with(Number(key), inner)
    : Object.fromEntries(
        Object.entries(holder).map(([name, own]) => [name, name === key ? inner : own]),
      );
}

function act(value: unknown, change: Change): unknown {
  switch (change.act) {
    case 'add':
      if (Array.isArray(value)) return [...value, change.value];
      if (typeof value !== 'object' || value === null) return change.value;
      // As JSON.parse does it: an own member, also by the name __proto__.
      return Object.fromEntries([...Object.entries(value), [change.name, change.value]]);
    case 'text':
      return typeof value === 'string' ? `${value}${String(change.name)}` : change.value;
    default:
      return change.value;
  }
}
