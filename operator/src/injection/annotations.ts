/** What a pod's annotations configure. */

import type { LogLevel } from '@chaperone/runtime/logging/logger.ts';
import { logLevels } from '@chaperone/runtime/logging/logger.ts';
import {
  egressAnnotation,
  egressLockdown,
  egressOpen,
  logLevelAnnotation,
  resourcesAnnotation,
  trustAnnotation,
  trustEnv,
} from './names.ts';
import type { Refused } from './outcome.ts';
import { refused } from './outcome.ts';
import { type ContainerResources, parseResources } from './resources.ts';

export interface PodSettings {
  /** Absent: the administrator's. */
  readonly resources?: ContainerResources;
  readonly logLevel?: LogLevel;
  readonly lockdown: boolean;
  readonly trust: boolean;
}

/** What cannot be understood refuses the pod: a misspelt Lockdown must not be taken for none. */
export function podSettings(annotations: Readonly<Record<string, string>>): PodSettings | Refused {
  const egress = annotations[egressAnnotation] ?? egressOpen;
  if (egress !== egressOpen && egress !== egressLockdown) {
    return invalid(egressAnnotation, egress, `${egressOpen} or ${egressLockdown}`);
  }
  const trust = annotations[trustAnnotation];
  if (trust !== undefined && trust !== trustEnv) return invalid(trustAnnotation, trust, trustEnv);
  const level = annotations[logLevelAnnotation];
  const logLevel = logLevels.find((known) => known === level);
  if (level !== undefined && logLevel === undefined) {
    return invalid(logLevelAnnotation, level, `one of ${logLevels.join(', ')}`);
  }
  const text = annotations[resourcesAnnotation];
  const resources = text === undefined ? undefined : parseResources(text);
  if (resources !== undefined && !resources.ok) {
    return invalid(resourcesAnnotation, text!, resources.expected);
  }
  return {
    lockdown: egress === egressLockdown,
    trust: trust === trustEnv,
    ...(logLevel !== undefined && { logLevel }),
    ...(resources !== undefined && { resources: resources.value }),
  };
}

const invalid = (annotation: string, value: string, expected: string): Refused =>
  refused(
    'InvalidAnnotation',
    `annotation ${annotation} is ${JSON.stringify(value.slice(0, 120))}`,
    `Set it to ${expected}, or remove it.`,
  );
