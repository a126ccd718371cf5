/** Bytes of a real conversation, changed: what a broken or hostile peer might send instead. */
import fc from 'fast-check';

/** What a mutation does to messages: `at` and `with` are taken modulo what there is. */
type Mutation =
  | { readonly kind: 'flip'; readonly at: number; readonly bit: number }
  | { readonly kind: 'set'; readonly at: number; readonly byte: number }
  | { readonly kind: 'length'; readonly message: number; readonly to: number }
  | { readonly kind: 'longer'; readonly message: number; readonly by: number }
  | { readonly kind: 'duplicate' | 'drop'; readonly message: number }
  | { readonly kind: 'swap'; readonly message: number; readonly with: number }
  /** The length of a value in a DataRow. */
  | {
      readonly kind: 'value';
      readonly message: number;
      readonly value: number;
      readonly to: number;
    }
  | { readonly kind: 'cut'; readonly at: number }
  | { readonly kind: 'insert'; readonly at: number; readonly bytes: Uint8Array };

const place = fc.nat(0xffff);

/** Numbers at which lengths and counts go wrong. */
const lying = fc.oneof(
  fc.constantFrom(-1, 0, 1, 3, 4, 5, 8, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff),
  fc.constantFrom(0x10000, 0x3ffffffe, 0x3fffffff, 0x40000000, 0x7ffffffe, 0x7fffffff),
  fc.constantFrom(-0x80000000, -0x7fffffff, -2, -4, -5),
  fc.integer({ min: -0x80000000, max: 0x7fffffff }),
);

/** What ends values and rows in the formats of COPY, and strings; or anything. */
const inserted = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.constantFrom('\t', '\n', ',', '"', '\\', '\0').map((text) => Buffer.from(text)),
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 12 }) },
);

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ kind: fc.constant('flip'), at: place, bit: fc.nat(7) }),
  fc.record({ kind: fc.constant('set'), at: place, byte: fc.constantFrom(0, 1, 0x7f, 0x80, 0xff) }),
  fc.record({ kind: fc.constant('length'), message: place, to: lying }),
  fc.record({ kind: fc.constant('longer'), message: place, by: fc.integer({ min: -9, max: 9 }) }),
  fc.record({ kind: fc.constantFrom('duplicate', 'drop'), message: place }),
  fc.record({ kind: fc.constant('swap'), message: place, with: place }),
  fc.record({ kind: fc.constant('cut'), at: place }),
  fc.record({ kind: fc.constant('insert'), at: place, bytes: inserted }),
  fc.record({
    kind: fc.constant('value'),
    message: place,
    value: fc.nat(2),
    to: fc.oneof(fc.nat(40), lying),
  }),
);

/** Up to four changes, one after another. */
export const mutations: fc.Arbitrary<readonly Mutation[]> = fc.array(mutation, { maxLength: 4 });

/** Messages behind one another, each with a type byte and a length, as their bytes. */
export function split(bytes: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  let at = 0;
  while (bytes.length - at >= 5) {
    const end = at + 1 + bytes.readInt32BE(at + 1);
    if (end < at + 5 || end > bytes.length) break;
    messages.push(bytes.subarray(at, end));
    at = end;
  }
  if (at < bytes.length) messages.push(bytes.subarray(at));
  return messages;
}

/** The messages after these changes; each mutation sees what the one before left. */
export function mutate(messages: readonly Buffer[], changes: readonly Mutation[]): Buffer[] {
  let now: Buffer[] = messages.map((message) => Buffer.from(message));
  for (const change of changes) now = apply(now, change);
  return now;
}

function apply(messages: Buffer[], change: Mutation): Buffer[] {
  if (messages.length === 0) return messages;
  switch (change.kind) {
    case 'duplicate':
    case 'drop': {
      const at = change.message % messages.length;
      const copies = change.kind === 'drop' ? [] : [messages[at]!, Buffer.from(messages[at]!)];
      return messages.toSpliced(at, 1, ...copies);
    }
    case 'swap': {
      const [a, b] = [change.message % messages.length, change.with % messages.length];
      return messages.with(a, messages[b]!).with(b, messages[a]!);
    }
    case 'value': {
      const rows = messages.filter((message) => message[0] === 0x44 && message.length >= 11);
      if (rows.length === 0) return messages;
      const row = rows[change.message % rows.length]!;
      const at = valueAt(row, change.value % row.readUInt16BE(5));
      if (at !== undefined) row.writeInt32BE(change.to | 0, at);
      return messages;
    }
    case 'length':
    case 'longer': {
      const message = messages[change.message % messages.length]!;
      if (message.length < 5) return messages;
      const to = change.kind === 'length' ? change.to : message.readInt32BE(1) + change.by;
      message.writeInt32BE(to | 0, 1);
      return messages;
    }
    default: {
      const all = Buffer.concat(messages);
      if (all.length === 0) return messages;
      const at = change.at % all.length;
      if (change.kind === 'flip') all[at]! ^= 1 << change.bit;
      else if (change.kind === 'set') all[at] = change.byte;
      else if (change.kind === 'cut') return split(all.subarray(0, at));
      else return split(Buffer.concat([all.subarray(0, at), change.bytes, all.subarray(at)]));
      return split(all);
    }
  }
}

/** Offset of the length of a value of a DataRow. */
function valueAt(row: Buffer, value: number): number | undefined {
  let at = 7;
  for (let index = 0; at + 4 <= row.length; index += 1) {
    if (index === value) return at;
    at += 4 + Math.max(0, row.readInt32BE(at));
  }
  return undefined;
}

/** The bytes in pieces that end at these places, so that reads cut messages anywhere. */
export function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const ends = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  let from = 0;
  return [...ends, bytes.length].map((end) => {
    const piece = bytes.subarray(from, end);
    from = end;
    return piece;
  });
}
