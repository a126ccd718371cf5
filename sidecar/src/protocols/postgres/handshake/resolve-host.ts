import { Resolver } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';

/** Addresses of a name. Rejects when there is none; `signal` ends the search. */
export type Resolve = (host: string, signal: AbortSignal) => Promise<readonly string[]>;

/**
 * Resolves by DNS alone: in a pod /etc/hosts points the target's name at ourselves. IPv4 addresses stand
 * first. `localhost` never leaves the machine (RFC 6761).
 */
export const resolveByDns: Resolve = async (host, signal) => {
  if (host === 'localhost') return ['127.0.0.1', '::1'];
  const resolver = new Resolver();
  const cancel = () => resolver.cancel();
  signal.addEventListener('abort', cancel);
  try {
    const [v4, v6] = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
    const addresses = [v4, v6].flatMap((answer) =>
      answer.status === 'fulfilled' ? answer.value : [],
    );
    if (addresses.length === 0 && v4.status === 'rejected') throw v4.reason;
    return addresses;
  } finally {
    signal.removeEventListener('abort', cancel);
  }
};

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
