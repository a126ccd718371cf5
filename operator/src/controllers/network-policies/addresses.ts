/** Where a Target is reached, as the network sees it. */
import { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { ClosedTarget } from '@chaperone/control/governance/network-policy.ts';
import type { Stored } from '@chaperone/control/store/resource-store.ts';
import type { KubernetesApi } from '../../kubernetes/client.ts';
import type { KubernetesObject } from '../../kubernetes/object.ts';
import { resourceTypes } from '../../kubernetes/resource-types.ts';

/** The addresses of a name; empty where it has none. Rejects when that cannot be told. */
export type ResolveName = (host: string) => Promise<readonly string[]>;

interface Service extends KubernetesObject {
  readonly spec?: {
    readonly selector?: Readonly<Record<string, string>>;
    readonly clusterIPs?: readonly string[];
    readonly externalIPs?: readonly string[];
    readonly externalName?: string;
  };
  readonly status?: {
    readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string }[] };
  };
}

interface EndpointSlice extends KubernetesObject {
  readonly endpoints?: readonly { readonly addresses: readonly string[] }[];
}

/**
 * Most networks look at a packet after its Service's address was replaced by a pod's, so a Service counts
 * with all of them. Rejects when something cannot be told.
 */
export async function closedTarget(
  { spec }: Stored<'Target'>,
  api: KubernetesApi,
  clusterDomain: string,
  resolve: ResolveName,
): Promise<ClosedTarget> {
  const { host, lockdownPorts: ports = [] } = spec;
  const place = servicePlace(host, clusterDomain);
  if (place === undefined) return { addresses: await addressesOf(host, resolve), ports };
  const { namespace, name } = place;
  const [service, slices] = await Promise.all([
    api.find<Service>(resourceTypes.Service, namespace, name),
    api.list<EndpointSlice>(resourceTypes.EndpointSlice, {
      namespace,
      labelSelector: `kubernetes.io/service-name=${name}`,
    }),
  ]);
  const { selector, clusterIPs = [], externalIPs = [], externalName } = service?.spec ?? {};
  const addresses = [
    ...clusterIPs,
    ...externalIPs,
    ...(service?.status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) => ip ?? []),
    ...slices.items.flatMap(({ endpoints }) => (endpoints ?? []).flatMap((one) => one.addresses)),
    ...(externalName === undefined ? [] : await addressesOf(externalName, resolve)),
  ].filter((address) => isIP(address) !== 0); // clusterIPs of a headless Service is the word None
  return {
    addresses,
    ports,
    ...(selector !== undefined && { pods: { namespace, labels: selector } }),
  };
}

/** Of `NAME.NAMESPACE.svc`, or of a pod behind a headless Service, with or without the cluster's domain. */
export function servicePlace(
  host: string,
  clusterDomain: string,
): { readonly namespace: string; readonly name: string } | undefined {
  const ending = `.${clusterDomain}`;
  const labels = (host.endsWith(ending) ? host.slice(0, -ending.length) : host).split('.');
  const [kind, namespace, name] = labels.toReversed();
  if (kind !== 'svc' || namespace === undefined || name === undefined) return undefined;
  return labels.length <= 4 ? { namespace, name } : undefined;
}

const addressesOf = async (host: string, resolve: ResolveName): Promise<readonly string[]> =>
  isIP(host) === 0 ? resolve(host) : [host];

export const resolveName: ResolveName = async (host) => {
  const resolver = new Resolver();
  const none = (error: NodeJS.ErrnoException): string[] => {
    if (error.code === 'ENODATA' || error.code === 'ENOTFOUND') return [];
    throw error;
  };
  const [v4, v6] = await Promise.all([
    resolver.resolve4(host).catch(none),
    resolver.resolve6(host).catch(none),
  ]);
  return [...v4, ...v6];
};
