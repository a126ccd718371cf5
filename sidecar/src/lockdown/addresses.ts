/** The addresses that the locked hosts have now. */
import { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { isLoopback } from '../protocols/postgres/handshake/resolve-host.ts';
import type { LockedTarget } from './config.ts';

/** The addresses of one family that a name has; empty where it has none. Rejects when that cannot be told. */
export type Lookup = (host: string, family: 4 | 6) => Promise<readonly string[]>;

export interface LockedAddresses {
  /** Each once, sorted. */
  readonly v4: readonly string[];
  readonly v6: readonly string[];
  /** What did not resolve and may be left at that: its port is closed at every address. */
  readonly unresolved: readonly string[];
}

/**
 * The addresses to close. Throws CHP-1021 for a host whose addresses cannot be told, unless its port is
 * closed at every address, and for one that is this pod itself.
 */
export async function lockedAddresses(
  targets: readonly LockedTarget[],
  lookup: Lookup,
): Promise<LockedAddresses> {
  const addresses = new Set<string>();
  const unresolved = new Set<string>();
  for (const target of targets) {
    try {
      for (const address of await addressesOf(target.host, lookup)) addresses.add(address);
    } catch (cause) {
      if (!target.anyAddress) throw cause;
      unresolved.add(target.host);
    }
  }
  const own = [...addresses].find(isLoopback);
  if (own !== undefined) {
    throw new ChaperoneError(
      'CHP-1021',
      `A target resolves to ${own}, an address of the pod itself.`,
    );
  }
  const sorted = [...addresses].sort();
  return {
    v4: sorted.filter((address) => isIP(address) === 4),
    v6: sorted.filter((address) => isIP(address) === 6),
    unresolved: [...unresolved].sort(),
  };
}

/** Both families have to answer: a name of which only one is known would leave the other open. */
async function addressesOf(host: string, lookup: Lookup): Promise<readonly string[]> {
  if (isIP(host) !== 0) return [plainAddress(host)];
  let found: readonly string[];
  try {
    const [v4, v6] = await Promise.all([lookup(host, 4), lookup(host, 6)]);
    found = [...v4, ...v6].map(plainAddress);
  } catch (cause) {
    throw new ChaperoneError(
      'CHP-1021',
      `The addresses of ${host} cannot be told: ${String(cause)}.`,
      {
        cause,
      },
    );
  }
  if (found.length === 0) {
    throw new ChaperoneError('CHP-1021', `${host} has no address in DNS.`);
  }
  return found;
}

/** Sockets send what goes to ::ffff:10.0.0.1 as IPv4, so that is where it has to be closed. */
function plainAddress(address: string): string {
  const { hostname } = isIP(address) === 6 ? new URL(`http://[${address}]`) : { hostname: address };
  const mapped = /^\[::ffff:([0-9a-f]+):([0-9a-f]+)\]$/.exec(hostname);
  if (mapped === null) return hostname.replace(/^\[|\]$/g, '');
  const words = mapped.slice(1).map((word) => Number.parseInt(word, 16));
  return words.flatMap((word) => [word >> 8, word & 0xff]).join('.');
}

/** By DNS alone, as the sidecar does: the pod's /etc/hosts names addresses of the sidecar. */
export const lookupByDns: Lookup = async (host, family) => {
  const resolver = new Resolver();
  try {
    return family === 4 ? await resolver.resolve4(host) : await resolver.resolve6(host);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENODATA' || code === 'ENOTFOUND') return [];
    throw error;
  }
};
