import type { MappedTarget } from './outcome.ts';

/** One entry of the sidecar's option `listen`. */
export interface ListenEntry {
  /** `namespace/name`. */
  readonly target: string;
  readonly address: string;
  readonly port: number;
}

export function listenEntries(targets: readonly MappedTarget[]): readonly ListenEntry[] {
  return targets.map(({ namespace, name, address, port }) => ({
    target: `${namespace}/${name}`,
    address,
    port,
  }));
}
