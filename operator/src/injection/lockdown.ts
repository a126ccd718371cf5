/**
 * Egress lockdown: the container that closes the way to the targets, and what it asks of the others. Its rules
 * tell the sidecar by its user, so no other container may be that user, become it, send past the rules or
 * change them.
 */
import type { Stored } from '@chaperone/control/store/resource-store.ts';
import { egressAnnotation, lockdownContainer, sidecarUid } from './names.ts';
import { type Refused, refused } from './outcome.ts';
import type { Container, PodSpec } from './pod.ts';
import type { InjectionSettings } from './settings.ts';
import { commonFields } from './sidecar.ts';

const resources = {
  requests: { cpu: '10m', memory: '64Mi' },
  limits: { memory: '128Mi' },
} as const;

/** `image`: the administrator's `lockdownImage`. */
export function lockdownOf(
  settings: InjectionSettings,
  image: string,
  targets: readonly Stored<'Target'>[],
  present: Container | undefined,
): Container {
  return {
    name: lockdownContainer,
    image,
    env: [
      { name: 'CHAPERONE_LOCKDOWN', value: JSON.stringify(closedPlaces(targets, settings)) },
      { name: 'CHAPERONE_UID', value: String(sidecarUid) },
    ],
    securityContext: {
      runAsUser: 0,
      runAsGroup: 0,
      runAsNonRoot: false,
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      privileged: false,
      capabilities: { add: ['NET_ADMIN'], drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    },
    ...commonFields(settings, resources, present),
  };
}

/** Every target, mapped or not: what has no way through the sidecar is not to be reached around it either. */
function closedPlaces(
  targets: readonly Stored<'Target'>[],
  { clusterDomain }: Pick<InjectionSettings, 'clusterDomain'>,
) {
  return targets.flatMap(({ spec: { host: written, port, lockdownPorts = [] } }) => {
    // As the sidecar has it resolved: no search domain is tried that would complete it.
    const host = written.endsWith('.svc') ? `${written}.${clusterDomain}` : written;
    return [
      { host, port, anyAddress: lockdownPorts.includes(port) },
      ...lockdownPorts
        .filter((other) => other !== port)
        .map((other) => ({ host, port: other, anyAddress: true })),
    ];
  });
}

/** Why the pod's own containers cannot be locked in. `spec`: without our containers. */
export function lockdownProblem(spec: PodSpec, others: readonly Container[]): Refused | undefined {
  for (const { name, securityContext = {} } of others) {
    const user = securityContext.runAsUser ?? spec.securityContext?.runAsUser;
    const { capabilities = {} } = securityContext;
    const added = (capabilities.add ?? []).filter((one) => one !== 'NET_BIND_SERVICE');
    const unsafe =
      user === undefined
        ? ['does not say which user it runs as', 'Set runAsUser']
        : user === 0
          ? ['runs as root, who can become any user', 'Set another runAsUser']
          : securityContext.privileged === true
            ? ['is privileged', 'Remove privileged']
            : securityContext.allowPrivilegeEscalation !== false
              ? ['may gain privileges', 'Set allowPrivilegeEscalation to false']
              : !capabilities.drop?.includes('ALL')
                ? [
                    'keeps capabilities, of which NET_RAW sends past the rules',
                    'Drop ALL capabilities',
                  ]
                : added.length > 0
                  ? [`adds the capability ${added[0]}`, 'Add none but NET_BIND_SERVICE']
                  : undefined;
    if (unsafe === undefined) continue;
    return refused(
      'UnsafeForLockdown',
      `container ${name} ${unsafe[0]}`,
      `${unsafe[1]} in its securityContext, or remove the annotation ${egressAnnotation}.`,
    );
  }
  return undefined;
}
