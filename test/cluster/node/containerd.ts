import { mkdirSync, writeFileSync } from 'node:fs';
import { type ClusterState, containerdSocket, inside, podCidr } from './state.ts';

/** The image that every pod's sandbox is made of. */
export const pauseImage = 'localhost/pause:1';

/** containerd's and the CNI plug-ins' configuration, everything under the cluster's own directory. */
export function writeContainerdConfiguration(state: ClusterState): void {
  mkdirSync(inside(state, 'cni'), { recursive: true });
  writeFileSync(inside(state, 'containerd.toml'), containerdToml(state));
  writeFileSync(
    inside(state, 'cni', '10-bridge.conflist'),
    `${JSON.stringify(bridge(state), null, 2)}\n`,
  );
}

/** Keys as of containerd 1.6; 1.7 reads the same. */
function containerdToml(state: ClusterState): string {
  const cri = 'plugins."io.containerd.grpc.v1.cri"';
  return `version = 2
root = "${inside(state, 'containerd', 'root')}"
state = "${inside(state, 'containerd', 'state')}"
[grpc]
  address = "${containerdSocket(state)}"
[${cri}]
  sandbox_image = "${pauseImage}"
  # Without CAP_SYS_RESOURCE nobody may lower the score, and sandboxes would fail to start.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
[${cri}.cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "${inside(state, 'cni')}"
[${cri}.containerd]
  snapshotter = "overlayfs"
[${cri}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[${cri}.containerd.runtimes.runc.options]
  SystemdCgroup = false
  Root = "${inside(state, 'runc')}"
`;
}

/**
 * No masquerading (`ipMasq`): a Service's backend has to see the calling pod's own address, and pods need nothing
 * beyond the node.
 */
function bridge(state: ClusterState) {
  return {
    cniVersion: '0.4.0',
    name: 'pods',
    plugins: [
      {
        type: 'bridge',
        bridge: 'pods0',
        isGateway: true,
        ipMasq: false,
        hairpinMode: true,
        ipam: {
          type: 'host-local',
          dataDir: inside(state, 'cni-addresses'),
          ranges: [[{ subnet: podCidr }]],
          routes: [{ dst: '0.0.0.0/0' }],
        },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  };
}
