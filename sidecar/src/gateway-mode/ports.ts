import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';

/** Reads the option `listenPorts`: `namespace/name` → port. Throws ChaperoneError CHP-1002. */
export function parseListenPorts(entries: readonly string[]): ReadonlyMap<string, number> {
  const ports = new Map<string, number>();
  for (const entry of entries) {
    const match = /^([a-z0-9][-a-z0-9.]*\/[a-z0-9][-a-z0-9.]*)=(\d{1,5})$/.exec(entry);
    const port = Number(match?.[2]);
    if (match === null || port > 65_535) {
      throw new ChaperoneError('CHP-1002', `listenPorts: ${entry} is not namespace/name=port`);
    }
    if (ports.has(match[1]!) || (port !== 0 && [...ports.values()].includes(port))) {
      throw new ChaperoneError('CHP-1002', `listenPorts: ${entry} names a target or port twice`);
    }
    ports.set(match[1]!, port);
  }
  return ports;
}

export interface PortPlan {
  /** Ports of single targets; with any, no other target has one. */
  readonly fixed: ReadonlyMap<string, number>;
  /** Port of the first target of no fixed port, the next ones following; 0: any free one for each. */
  readonly first: number;
}

/**
 * A port for each target (`namespace/name`), in the order of their names. Those that have one (`before`)
 * keep it; a new one gets the lowest that is free.
 */
export function assignPorts(
  targets: readonly string[],
  before: ReadonlyMap<string, number>,
  { fixed, first }: PortPlan,
): Map<string, number> {
  const sorted = [...targets].sort();
  const ports = new Map<string, number>();
  if (fixed.size > 0) {
    for (const target of sorted) {
      const port = fixed.get(target);
      if (port !== undefined) ports.set(target, port);
    }
    return ports;
  }
  for (const target of sorted) {
    const port = before.get(target);
    if (port !== undefined) ports.set(target, port);
  }
  const taken = new Set(ports.values());
  for (const target of sorted) {
    if (ports.has(target)) continue;
    let port = first;
    while (first !== 0 && taken.has(port)) port += 1;
    if (port > 65_535) continue;
    taken.add(port);
    ports.set(target, port);
  }
  return ports;
}
