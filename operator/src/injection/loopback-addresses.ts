/** Loopback addresses for what is listened for within a pod. */
import { createHash } from 'node:crypto';

/** x and y of 127.0.x.y, each from 1 to 254: clear of 127.0.0.1, of the resolvers at 127.0.0.53 and .54, and of .0 and .255. */
const span = 254;
const size = span * span;

/** Whether the address is one that `allocateAddress` may give. */
export function isAllocatable(address: string): boolean {
  const parts = /^127\.0\.(\d{1,3})\.(\d{1,3})$/.exec(address);
  return parts !== null && [parts[1], parts[2]].every((text) => +text! >= 1 && +text! <= span);
}

/**
 * An address for a name: the same in every pod, but where two names meet or a pod uses that address itself.
 * Adds it to `taken`. Throws when all 64516 are.
 */
export function allocateAddress(name: string, taken: Set<string>): string {
  const start = createHash('sha256').update(name).digest().readUInt32BE(0);
  for (let step = 0; step < size; step++) {
    const place = (start + step) % size;
    const address = `127.0.${Math.floor(place / span) + 1}.${(place % span) + 1}`;
    if (taken.has(address)) continue;
    taken.add(address);
    return address;
  }
  throw new RangeError('no loopback address is left');
}
