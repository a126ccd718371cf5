/** What the lockdown is asked to close, from its environment. */
import { isIP } from 'node:net';
import type { ConfigSchema } from '@chaperone/runtime/config/schema.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { logLevels } from '@chaperone/runtime/logging/logger.ts';

export const lockdownSchema = {
  lockdown: {
    type: 'string',
    placeholder: 'JSON',
    required: true,
    help: 'What is closed: [{"host":"orders-db.data.svc.cluster.local","port":5432,"anyAddress":true}]; anyAddress closes the port at every address.',
  },
  uid: {
    type: 'integer',
    min: 1,
    max: 4_294_967_294,
    required: true,
    placeholder: 'UID',
    help: 'The user that may go there all the same: the sidecar.',
  },
  logLevel: { type: 'choice', choices: logLevels, default: 'info', help: 'From this level on.' },
} as const satisfies ConfigSchema;

export interface LockedTarget {
  /** A fully qualified name, or an address. */
  readonly host: string;
  readonly port: number;
  /** The port is closed at every address, not only at those that the host has now. */
  readonly anyAddress: boolean;
}

const hostName = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const keys = ['host', 'port', 'anyAddress'];

/**
 * Reads the list. Throws CHP-1002 for anything but what is described: a lockdown that misunderstands would
 * leave a way open.
 */
export function parseLockedTargets(text: string): readonly LockedTarget[] {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch (cause) {
    throw new ChaperoneError('CHP-1002', 'CHAPERONE_LOCKDOWN is no JSON', { cause });
  }
  if (!Array.isArray(list) || list.length === 0) {
    throw new ChaperoneError(
      'CHP-1002',
      'CHAPERONE_LOCKDOWN must be a list of at least one target',
    );
  }
  return list.map(readTarget);
}

function readTarget(item: unknown, index: number): LockedTarget {
  const { host, port, anyAddress } = (item ?? {}) as Record<string, unknown>;
  const unknown = Object.keys((item ?? {}) as object).find((key) => !keys.includes(key));
  const wrong =
    unknown !== undefined
      ? `has an unknown key ${unknown}`
      : typeof host !== 'string' || !(isIP(host) !== 0 || hostName.test(host))
        ? 'needs a host: a name or an address'
        : !Number.isInteger(port) || (port as number) < 1 || (port as number) > 65_535
          ? 'needs a port from 1 to 65535'
          : typeof anyAddress !== 'boolean'
            ? 'needs anyAddress: true or false'
            : undefined;
  if (wrong !== undefined) {
    throw new ChaperoneError('CHP-1002', `CHAPERONE_LOCKDOWN: entry ${index} ${wrong}`);
  }
  return { host, port, anyAddress } as LockedTarget;
}
