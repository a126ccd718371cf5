/**
 * The sidecar's container and volumes. What the API server would fill in by default is written out, so that
 * the pod that comes back from it is the one that was rendered.
 */

import type { LogLevel } from '@chaperone/runtime/logging/logger.ts';
import type { ListenEntry } from './listen.ts';
import {
  rootsConfigMap,
  rootsDirectory,
  rootsKey,
  rootsVolume,
  sidecarContainer,
  sidecarUid,
  spoolDirectory,
  spoolVolume,
  tokenAudience,
  tokenDirectory,
  tokenExpirationSeconds,
  tokenVolume,
} from './names.ts';
import type { Container, Volume } from './pod.ts';
import { keepWording } from './quantity.ts';
import { type ContainerResources, mergeResources } from './resources.ts';
import type { InjectionSettings } from './settings.ts';

export interface SidecarInput {
  readonly settings: InjectionSettings;
  readonly listen: readonly ListenEntry[];
  readonly resources: ContainerResources;
  readonly logLevel: LogLevel | undefined;
  /** The container of an earlier rendering. */
  readonly present: Container | undefined;
}

const opsPortName = 'chaperone-ops';

export function sidecarOf({
  settings,
  listen,
  resources,
  logLevel,
  present,
}: SidecarInput): Container {
  const env = {
    CHAPERONE_POLICY_API_URL: settings.policyApiUrl,
    CHAPERONE_COLLECTOR_URL: settings.collectorUrl,
    CHAPERONE_CLUSTER_DOMAIN: settings.clusterDomain,
    CHAPERONE_LISTEN: JSON.stringify(listen),
    CHAPERONE_SPOOL_MAX_BYTES: settings.spoolMaxBytes,
    CHAPERONE_OPS_PORT: String(settings.sidecarOpsPort),
    ...(logLevel !== undefined && { CHAPERONE_LOG_LEVEL: logLevel }),
  };
  const probe = (path: string, periodSeconds: number, failureThreshold: number) => ({
    httpGet: { path, port: settings.sidecarOpsPort, scheme: 'HTTP' },
    timeoutSeconds: 5,
    periodSeconds,
    successThreshold: 1,
    failureThreshold,
  });
  return {
    name: sidecarContainer,
    image: settings.sidecarImage,
    restartPolicy: 'Always',
    env: Object.entries(env).map(([name, value]) => ({ name, value })),
    ports: [{ name: opsPortName, containerPort: settings.sidecarOpsPort, protocol: 'TCP' }],
    // The workload's containers start when this succeeds: when there is a policy, or word that there is none.
    startupProbe: probe('/readyz', 1, 300),
    readinessProbe: probe('/readyz', 5, 3),
    livenessProbe: probe('/healthz', 10, 3),
    securityContext: {
      runAsUser: sidecarUid,
      runAsGroup: sidecarUid,
      runAsNonRoot: true,
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      privileged: false,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    },
    volumeMounts: [
      { name: tokenVolume, mountPath: tokenDirectory, readOnly: true },
      { name: rootsVolume, mountPath: rootsDirectory, readOnly: true },
      { name: spoolVolume, mountPath: spoolDirectory },
    ],
    ...commonFields(settings, resources, present),
  };
}

/** What our containers have alike, and what others may set on them without harm. */
export function commonFields(
  settings: InjectionSettings,
  resources: ContainerResources,
  present: Container | undefined,
): Partial<Container> {
  return {
    // AlwaysPullImages sets it on every container, and then insists.
    imagePullPolicy:
      present?.imagePullPolicy === 'Always' ? 'Always' : settings.sidecarImagePullPolicy,
    resources: mergeResources(resources, present?.resources),
    ...(present?.resizePolicy !== undefined && { resizePolicy: present.resizePolicy }),
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
  };
}

/** `present`: the pod's volumes. */
export function sidecarVolumes(
  settings: InjectionSettings,
  present: readonly Volume[],
): readonly Volume[] {
  const spool = present.find(({ name }) => name === spoolVolume);
  const defaultMode = 0o644;
  return [
    {
      name: tokenVolume,
      projected: {
        defaultMode,
        sources: [
          {
            serviceAccountToken: {
              audience: tokenAudience,
              expirationSeconds: tokenExpirationSeconds,
              path: 'token',
            },
          },
        ],
      },
    },
    {
      name: rootsVolume,
      configMap: {
        name: rootsConfigMap,
        defaultMode,
        items: [{ key: rootsKey, path: rootsKey }],
      },
    },
    {
      name: spoolVolume,
      emptyDir: { sizeLimit: keepWording(settings.spoolSizeLimit, spool?.emptyDir?.sizeLimit) },
    },
  ];
}
