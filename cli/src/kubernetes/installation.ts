/** What the administrator settled, read from the Deployment of the controllers. */
import {
  type GovernanceRules,
  governanceRules,
} from '@chaperone/control/controllers/host-rules.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import type { RawObject } from './kubectl.ts';

export interface Installation {
  /** The namespace that Chaperone is installed in. */
  readonly namespace: string;
  readonly rules: GovernanceRules;
  readonly sidecarImage?: string;
  readonly excludedNamespaces: readonly string[];
}

interface Deployment extends RawObject {
  readonly spec?: {
    readonly template?: {
      readonly spec?: {
        readonly containers?: readonly {
          readonly env?: readonly { readonly name?: string; readonly value?: string }[];
        }[];
      };
    };
  };
}

/** Undefined where it cannot be told from this. */
export function readInstallation(deployment: RawObject | undefined): Installation | undefined {
  if (deployment === undefined) return undefined;
  const { spec, metadata } = deployment as Deployment;
  const containers = spec?.template?.spec?.containers ?? [];
  const values = new Map(
    containers.flatMap(({ env = [] }) => env.map(({ name, value }) => [name, value] as const)),
  );
  const list = (name: string): string[] =>
    (values.get(name) ?? '')
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '');
  const namespace = metadata.namespace ?? '';
  const sidecarImage = values.get('CHAPERONE_SIDECAR_IMAGE');
  try {
    return {
      namespace,
      rules: governanceRules({
        clusterDomain: values.get('CHAPERONE_CLUSTER_DOMAIN') ?? 'cluster.local',
        allowedHosts: list('CHAPERONE_ALLOWED_HOSTS'),
        oidcIssuers: list('CHAPERONE_OIDC_ISSUERS'),
        foreignTargets:
          values.get('CHAPERONE_FOREIGN_TARGETS') === 'Accepted' ? 'Accepted' : 'ByLabel',
      }),
      ...(sidecarImage !== undefined && { sidecarImage }),
      excludedNamespaces: [...list('CHAPERONE_EXCLUDED_NAMESPACES'), namespace],
    };
  } catch (error) {
    // The controllers do not start with it either.
    if (error instanceof ChaperoneError) return undefined;
    throw error;
  }
}
