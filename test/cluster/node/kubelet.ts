import { writeFileSync } from 'node:fs';
import { certificate } from './certificates.ts';
import {
  type ClusterState,
  containerdSocket,
  dnsServiceAddress,
  inside,
  instanceName,
  nodeAddress,
} from './state.ts';

/** The kubelet's configuration file. */
export function kubeletConfiguration(state: ClusterState): string {
  return inside(state, 'kubelet.yaml');
}

/** Written as JSON, which is YAML. */
export function writeKubeletConfiguration(state: ClusterState): void {
  const { cert, key } = certificate(state, 'kubelet');
  const configuration = {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: nodeAddress(state),
    healthzBindAddress: '127.0.0.1',
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: certificate(state, 'ca').cert },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: cert,
    tlsPrivateKeyFile: key,
    containerRuntimeEndpoint: `unix://${containerdSocket(state)}`,
    clusterDomain: 'cluster.local',
    clusterDNS: [dnsServiceAddress],
    resolvConf: inside(state, 'resolv.conf'),
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${instanceName(state)}`,
    enforceNodeAllocatable: [],
    failCgroupV1: false,
    failSwapOn: false,
    // The machine's disk is not this cluster's to judge.
    evictionHard: {},
    imageGCHighThresholdPercent: 100,
    podLogsDir: inside(state, 'pod-logs'),
    volumePluginDir: inside(state, 'volume-plugins'),
    // A test changes a ConfigMap or a Secret and waits for it in a pod.
    syncFrequency: '5s',
    // Tests look for Events.
    eventRecordQPS: 0,
    shutdownGracePeriod: '0s',
    // All of them, for the test of their sizes.
    nodeStatusMaxImages: -1,
  };
  writeFileSync(kubeletConfiguration(state), `${JSON.stringify(configuration, null, 2)}\n`);
  // Names beyond the cluster are answered by the cluster's DNS too: with NXDOMAIN.
  writeFileSync(inside(state, 'resolv.conf'), `nameserver ${nodeAddress(state)}\n`);
}
