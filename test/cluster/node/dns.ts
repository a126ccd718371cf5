import { writeFileSync } from 'node:fs';
import {
  type ClusterState,
  dnsServiceAddress,
  inside,
  kubeconfigPath,
  nodeAddress,
} from './state.ts';

/** CoreDNS' configuration file. */
export function corefile(state: ClusterState): string {
  return inside(state, 'Corefile');
}

/** The cluster's names with a low time to live; any other name does not exist (without the second block: SERVFAIL). */
export function writeCorefile(state: ClusterState): void {
  writeFileSync(
    corefile(state),
    `cluster.local:53 10.in-addr.arpa:53 {
  bind ${nodeAddress(state)}
  errors
  kubernetes cluster.local 10.in-addr.arpa {
    kubeconfig ${kubeconfigPath(state)}
    ttl 1
  }
}
.:53 {
  bind ${nodeAddress(state)}
  template ANY ANY {
    rcode NXDOMAIN
  }
}
`,
  );
}

/** CoreDNS is a process of the node, so its Service has no selector and its endpoint is written by hand. */
export function dnsManifests(state: ClusterState): readonly object[] {
  const ports = [
    { name: 'dns', port: 53, protocol: 'UDP' },
    { name: 'dns-tcp', port: 53, protocol: 'TCP' },
  ];
  const metadata = { name: 'kube-dns', namespace: 'kube-system' };
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { ...metadata, labels: { 'k8s-app': 'kube-dns' } },
      spec: { clusterIP: dnsServiceAddress, ports },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { ...metadata, labels: { 'kubernetes.io/service-name': metadata.name } },
      addressType: 'IPv4',
      ports,
      endpoints: [{ addresses: [nodeAddress(state)], conditions: { ready: true } }],
    },
  ];
}
