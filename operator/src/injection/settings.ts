/** What the administrator settled about injection. */
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import type { WebhookConfig } from '../config.ts';
import { type ContainerResources, parseResources } from './resources.ts';

export interface InjectionSettings
  extends Pick<
    WebhookConfig,
    | 'sidecarImage'
    | 'sidecarImagePullPolicy'
    | 'lockdownImage'
    | 'policyApiUrl'
    | 'collectorUrl'
    | 'sidecarOpsPort'
    | 'spoolSizeLimit'
    | 'spoolMaxBytes'
    | 'clusterDomain'
    | 'excludedNamespaces'
    | 'logLevel'
  > {
  /** Chaperone's own. */
  readonly namespace: string;
  readonly sidecarResources: ContainerResources;
}

/** Throws ChaperoneError CHP-1002 when `sidecarResources` cannot be understood. */
export function injectionSettings(config: WebhookConfig): InjectionSettings {
  const resources = parseResources(config.sidecarResources);
  if (!resources.ok) {
    throw new ChaperoneError('CHP-1002', `sidecarResources must be ${resources.expected}`);
  }
  return { ...config, sidecarResources: resources.value };
}
