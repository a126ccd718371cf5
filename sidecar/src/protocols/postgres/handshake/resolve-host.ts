import { Resolver } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';
import type { Clock } from '@chaperone/runtime/clock.ts';

/** Addresses of a name. Rejects when there is none; `signal` ends the search. */
export type Resolve = (host: string, signal: AbortSignal) => Promise<readonly string[]>;

/** Addresses, and for how many seconds they hold. */
interface Found {
  readonly addresses: readonly string[];
  readonly ttlSeconds: number;
}

/** Each attempt at one server, doubling with every round. */
const attemptMs = 2000;
const attempts = 2;

/**
 * Resolves by DNS alone: in a pod /etc/hosts points the target's name at ourselves. No search domains are
 * tried, since a target's host is fully qualified. IPv4 addresses stand first. `localhost` never leaves the
 * machine (RFC 6761).
 */
export const resolveByDns: Resolve = async (host, signal) =>
  (await lookUp(host, signal, undefined)).addresses;

async function lookUp(
  host: string,
  signal: AbortSignal,
  servers: readonly string[] | undefined,
): Promise<Found> {
  if (host === 'localhost') return { addresses: ['127.0.0.1', '::1'], ttlSeconds: 0 };
  // A new one each time reads /etc/resolv.conf anew.
  const resolver = new Resolver({ timeout: attemptMs, tries: attempts });
  if (servers !== undefined) resolver.setServers(servers);
  const cancel = () => resolver.cancel();
  signal.addEventListener('abort', cancel);
  try {
    const [v4, v6] = await Promise.allSettled([
      resolver.resolve4(host, { ttl: true }),
      resolver.resolve6(host, { ttl: true }),
    ]);
    const records = [v4, v6].flatMap((answer) =>
      answer.status === 'fulfilled' ? answer.value : [],
    );
    if (records.length === 0 && v4.status === 'rejected') throw v4.reason;
    return {
      addresses: records.map(({ address }) => address),
      ttlSeconds: Math.min(...records.map(({ ttl }) => ttl)),
    };
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}

export interface DnsCacheOptions {
  readonly clock: Clock;
  /** What a name that ends in `.svc` is completed by: no search domain is tried that would do so. */
  readonly clusterDomain?: string;
  /** Instead of those of /etc/resolv.conf: `address:port`. */
  readonly servers?: readonly string[];
}

/** However long a record says that it holds: a database that moved is found again within this. */
const maxTtlSeconds = 60;
/** Names are those of targets. */
const maxNames = 1000;

/** `resolveByDns` that asks again only when what it was told no longer holds. */
export function cachedDns({ clock, clusterDomain, servers }: DnsCacheOptions): Resolve {
  const known = new Map<string, { readonly addresses: readonly string[]; untilUs: number }>();
  return async (name, signal) => {
    const isService = clusterDomain !== undefined && name.endsWith('.svc');
    const host = isService ? `${name}.${clusterDomain}` : name;
    const before = known.get(host);
    if (before !== undefined && clock.monotonicUs() < before.untilUs) return before.addresses;
    const { addresses, ttlSeconds } = await lookUp(host, signal, servers);
    if (known.size >= maxNames) known.clear();
    const heldUs = Math.min(ttlSeconds, maxTtlSeconds) * 1e6;
    known.set(host, { addresses, untilUs: clock.monotonicUs() + heldUs });
    return addresses;
  };
}

const ourselves = new BlockList();
ourselves.addSubnet('127.0.0.0', 8, 'ipv4');
ourselves.addSubnet('0.0.0.0', 8, 'ipv4');
ourselves.addAddress('::1', 'ipv6');
ourselves.addAddress('::', 'ipv6');

/** Whether a connection to that address would stay on this machine; IPv4 within IPv6 included. */
export function isLoopback(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && ourselves.check(address, family === 4 ? 'ipv4' : 'ipv6');
}
