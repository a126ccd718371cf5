/** Of a pod, what governance looks at: little enough to keep of every pod of a cluster. */
import { sidecarContainer, statusAnnotation } from '@chaperone/core/injection/names.ts';

/** A pod as the API server gives it, in plain JSON; nothing in it is relied on that is not checked. */
export interface RawPod {
  readonly metadata?: {
    readonly name?: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly creationTimestamp?: string;
    readonly deletionTimestamp?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly RawOwner[];
  };
  readonly spec?: {
    readonly serviceAccountName?: string;
    readonly nodeName?: string;
    readonly hostNetwork?: boolean;
    readonly hostPID?: boolean;
    readonly hostIPC?: boolean;
    readonly shareProcessNamespace?: boolean;
    readonly initContainers?: readonly RawContainer[];
    readonly containers?: readonly RawContainer[];
    readonly ephemeralContainers?: readonly RawContainer[];
    readonly volumes?: readonly RawVolume[];
  };
  readonly status?: { readonly phase?: string; readonly podIP?: string };
}

interface RawOwner {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly name?: string;
  readonly uid?: string;
  readonly controller?: boolean;
}

interface RawContainer {
  readonly name?: string;
  readonly image?: string;
  readonly env?: readonly {
    readonly name?: string;
    readonly value?: string;
    readonly valueFrom?: { readonly secretKeyRef?: { readonly name?: string } };
  }[];
  readonly envFrom?: readonly { readonly secretRef?: { readonly name?: string } }[];
}

interface RawVolume {
  readonly secret?: { readonly secretName?: string };
  readonly projected?: {
    readonly sources?: readonly { readonly secret?: { readonly name?: string } }[];
  };
}

/** The controller that made a pod. */
export interface PodOwner {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

export interface PodView {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly creationTimestamp: string;
    readonly deletionTimestamp?: string;
    readonly labels: Readonly<Record<string, string>>;
    /** Ours alone, but for that about the injection, which is long and believed by nobody. */
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly owner?: PodOwner;
  readonly serviceAccount: string;
  readonly node?: string;
  readonly phase: string;
  readonly hostNetwork: boolean;
  /** Its containers see each other's processes, or all of the node's. */
  readonly sharedProcesses: boolean;
  /** It has its node's shared memory and message queues. */
  readonly hostIpc: boolean;
  /** Init containers are marked: they have ended once the others run, but for sidecars. */
  readonly containers: readonly ContainerView[];
  /** Secrets that are mounted, by name. */
  readonly mountedSecrets: readonly string[];
}

export interface ContainerView {
  readonly name: string;
  readonly image: string;
  readonly kind: 'Init' | 'Container' | 'Ephemeral';
  /** Secrets that its environment refers to, by name. */
  readonly secrets: readonly string[];
  /** The sidecar alone: the targets that it listens for, `namespace/name`; undefined where that cannot be read. */
  readonly targets?: readonly string[];
}

const ours = 'chaperone.dev/';

export function podView(pod: RawPod): PodView {
  const { metadata = {}, spec = {}, status = {} } = pod;
  const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
  const annotations = Object.entries(metadata.annotations ?? {}).filter(
    ([name]) => name.startsWith(ours) && name !== statusAnnotation,
  );
  return {
    metadata: {
      name: metadata.name ?? '',
      namespace: metadata.namespace ?? '',
      uid: metadata.uid ?? '',
      resourceVersion: metadata.resourceVersion ?? '',
      creationTimestamp: metadata.creationTimestamp ?? '',
      ...(metadata.deletionTimestamp !== undefined && {
        deletionTimestamp: metadata.deletionTimestamp,
      }),
      labels: metadata.labels ?? {},
      annotations: Object.fromEntries(annotations),
    },
    ...(owner !== undefined && {
      owner: {
        apiVersion: owner.apiVersion ?? '',
        kind: owner.kind ?? '',
        name: owner.name ?? '',
        uid: owner.uid ?? '',
      },
    }),
    serviceAccount: spec.serviceAccountName ?? 'default',
    ...(spec.nodeName !== undefined && { node: spec.nodeName }),
    phase: status.phase ?? 'Unknown',
    hostNetwork: spec.hostNetwork === true,
    sharedProcesses: spec.shareProcessNamespace === true || spec.hostPID === true,
    hostIpc: spec.hostIPC === true,
    containers: [
      ...(spec.initContainers ?? []).map((container) => containerView(container, 'Init')),
      ...(spec.containers ?? []).map((container) => containerView(container, 'Container')),
      ...(spec.ephemeralContainers ?? []).map((container) => containerView(container, 'Ephemeral')),
    ],
    mountedSecrets: names(
      (spec.volumes ?? []).flatMap(({ secret, projected }) => [
        secret?.secretName,
        ...(projected?.sources ?? []).map((source) => source.secret?.name),
      ]),
    ),
  };
}

function containerView(
  { name = '', image = '', env = [], envFrom = [] }: RawContainer,
  kind: ContainerView['kind'],
): ContainerView {
  const secrets = names([
    ...env.map(({ valueFrom }) => valueFrom?.secretKeyRef?.name),
    ...envFrom.map(({ secretRef }) => secretRef?.name),
  ]);
  const listen = env.find((variable) => variable.name === listenVariable)?.value;
  const targets = name === sidecarContainer ? listenedTargets(listen) : undefined;
  return { name, image, kind, secrets, ...(targets !== undefined && { targets }) };
}

/** The sidecar's option `listen`. */
const listenVariable = 'CHAPERONE_LISTEN';

function listenedTargets(text: string | undefined): readonly string[] | undefined {
  if (text === undefined) return [];
  try {
    const entries = JSON.parse(text) as readonly { readonly target?: unknown }[];
    return names(entries.map(({ target }) => (typeof target === 'string' ? target : undefined)));
  } catch {
    return undefined;
  }
}

function names(given: readonly (string | undefined)[]): readonly string[] {
  return [...new Set(given.filter((name) => name !== undefined))].sort();
}

/** Whether its containers run, or are about to. */
export function isLive({ metadata, phase }: PodView): boolean {
  return metadata.deletionTimestamp === undefined && phase !== 'Succeeded' && phase !== 'Failed';
}
