/** Who answers a pod's questions for addresses, the sidecar's among them. */
import type { PodSpec } from './pod.ts';

/**
 * Whether whoever wrote the pod chose a name server. It could lead the sidecar, which finds backends by DNS, to
 * a server of theirs: only a certificate that is verified for the name tells that one apart.
 */
export function hasOwnNameServers({ dnsPolicy, dnsConfig }: PodSpec): boolean {
  return dnsPolicy === 'None' || (dnsConfig?.nameservers ?? []).length > 0;
}
