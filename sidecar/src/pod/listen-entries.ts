import { isIP } from 'node:net';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import type { ListenEntry } from '../config.ts';
import { isLoopback } from '../protocols/postgres/handshake/resolve-host.ts';

const namePattern = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

/**
 * Reads the option `listen`. Only loopback addresses: whoever reaches them is taken for the pod.
 *
 * @throws ChaperoneError CHP-1002
 */
export function parseListenEntries(text: string): readonly ListenEntry[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid('it is not JSON', cause);
  }
  if (!Array.isArray(value)) throw invalid('it is no list');
  const taken = new Set<string>();
  return value.map((item: unknown) => {
    const { target, address, port, ...rest } = Object(item) as Record<string, unknown>;
    if (Object.keys(rest).length > 0) throw invalid(`${Object.keys(rest)[0]} is not known`);
    if (typeof target !== 'string' || !namePattern.test(target)) {
      throw invalid('target is not of the form namespace/name');
    }
    if (typeof address !== 'string' || isIP(address) === 0 || !isListenable(address)) {
      throw invalid(`the address of ${target} is no loopback address`);
    }
    if (!Number.isInteger(port) || (port as number) < 0 || (port as number) > 65_535) {
      throw invalid(`the port of ${target} is not from 0 to 65535`);
    }
    const place = `${address} ${port}`;
    if (port !== 0 && taken.has(place)) throw invalid(`${address}:${port} stands there twice`);
    taken.add(place);
    return { target, address, port: port as number };
  });
}

/** Loopback, but not the wildcard addresses, which `isLoopback` counts as ourselves. */
function isListenable(address: string): boolean {
  return isLoopback(address) && (address.startsWith('127.') || address === '::1');
}

function invalid(why: string, cause?: unknown): ChaperoneError {
  return new ChaperoneError('CHP-1002', `listen cannot be used: ${why}`, { cause });
}
