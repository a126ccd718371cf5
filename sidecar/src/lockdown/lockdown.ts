/** From what is asked for to rules that stand. */
import type { Logger } from '@chaperone/runtime/logging/logger.ts';
import { type Lookup, lockedAddresses } from './addresses.ts';
import type { LockedTarget } from './config.ts';
import type { Rules } from './install.ts';

export interface LockdownDependencies {
  readonly lookup: Lookup;
  /** Whether this kernel speaks IPv6 at all; where it does not, there is nothing to close. */
  readonly hasIpv6: boolean;
  readonly install: (families: readonly Rules[]) => Promise<void>;
  readonly logger: Logger;
}

/** Closes the way to the targets for every user but `uid`. Throws CHP-1021, with nothing half done. */
export async function lockDown(
  targets: readonly LockedTarget[],
  uid: number,
  { lookup, hasIpv6, install, logger }: LockdownDependencies,
): Promise<void> {
  const { v4, v6, unresolved } = await lockedAddresses(targets, lookup);
  const ports = [
    ...new Set(targets.filter(({ anyAddress }) => anyAddress).map(({ port }) => port)),
  ].sort((a, b) => a - b);
  for (const host of unresolved) {
    logger.warn(
      { host },
      'The host does not resolve: its port is closed at every address, its other ports are not',
    );
  }
  const families: Rules[] = [{ family: 4, uid, addresses: v4, ports }];
  if (hasIpv6) families.push({ family: 6, uid, addresses: v6, ports });
  else logger.info('This kernel has no IPv6: nothing to close there');
  await install(families);
  logger.info(
    { addresses: [...v4, ...v6], ports, uid },
    'Egress to the targets is closed for all but the sidecar',
  );
}
