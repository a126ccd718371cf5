import { certificate } from './certificates.ts';
import { corefile } from './dns.ts';
import { componentKubeconfig } from './kubeconfig.ts';
import { kubeletConfiguration } from './kubelet.ts';
import { networkNamespace } from './network.ts';
import { type DaemonFiles, runningPid, startDaemon } from './processes.ts';
import {
  apiPort,
  type ClusterState,
  inside,
  nodeAddress,
  nodeName,
  podCidr,
  serviceCidr,
} from './state.ts';

/** In the order in which they are started; stopped in the opposite one. */
export const componentNames = [
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'coredns',
  'kube-proxy',
  'containerd',
  'kubelet',
] as const;

export type ComponentName = (typeof componentNames)[number];

/** Where a component's pid and output are kept. */
export function componentFiles(state: ClusterState, name: ComponentName): DaemonFiles {
  return {
    pidFile: inside(state, 'run', `${name}.pid`),
    logFile: inside(state, 'logs', `${name}.log`),
  };
}

/** Starts one component unless it runs; anew after a kill, too. */
export function startComponent(state: ClusterState, name: ComponentName): void {
  const files = componentFiles(state, name);
  if (runningPid(files.pidFile) !== undefined) return;
  startDaemon([...namespaces(state, name), ...commandLines[name](state)], files);
}

/** Where containerd, its shims, the CNI plug-ins and the kubelet keep files whatever their configuration says. */
const fixedDirectories = [
  '/run/containerd',
  '/var/lib/cni',
  '/var/lib/kubelet',
  '/var/log/containers',
];

/**
 * All of them in the cluster's network; containerd and the kubelet in a mount namespace of their own as well, the
 * same one for both, so that no mount of a container or a volume outlives them or is seen by the machine, and the
 * fixed directories are the cluster's own.
 */
function namespaces(state: ClusterState, name: ComponentName): string[] {
  const network = `--net=${networkNamespace(state)}`;
  if (name === 'containerd') {
    const mounts = fixedDirectories.map((path) => {
      const own = inside(state, 'fixed', path);
      return `mkdir -p ${own} ${path} && mount --bind ${own} ${path} && `;
    });
    const unshare = ['unshare', '--mount', '--propagation', 'private'];
    return ['nsenter', network, ...unshare, 'sh', '-c', `${mounts.join('')}exec "$@"`, 'sh'];
  }
  if (name === 'kubelet') {
    const containerd = runningPid(componentFiles(state, 'containerd').pidFile);
    if (containerd === undefined) throw new Error('the kubelet needs containerd to run');
    return ['nsenter', network, `--mount=/proc/${containerd}/ns/mnt`];
  }
  return ['nsenter', network];
}

const commandLines: Readonly<Record<ComponentName, (state: ClusterState) => string[]>> = {
  etcd: (state) => [
    state.binaries.components,
    'etcd',
    `--data-dir=${inside(state, 'etcd')}`,
    '--listen-client-urls=http://127.0.0.1:2379',
    '--advertise-client-urls=http://127.0.0.1:2379',
    '--listen-peer-urls=http://127.0.0.1:2380',
    '--initial-advertise-peer-urls=http://127.0.0.1:2380',
    '--initial-cluster=default=http://127.0.0.1:2380',
    '--unsafe-no-fsync', // the machine is not going to lose power during a test
  ],
  'kube-apiserver': (state) => {
    const own = certificate(state, 'apiserver');
    const kubelet = certificate(state, 'apiserver-kubelet');
    const authority = certificate(state, 'ca').cert;
    return [
      state.binaries.components,
      'kube-apiserver',
      '--etcd-servers=http://127.0.0.1:2379',
      `--bind-address=${nodeAddress(state)}`,
      `--advertise-address=${nodeAddress(state)}`,
      `--secure-port=${apiPort}`,
      `--service-cluster-ip-range=${serviceCidr}`,
      `--client-ca-file=${authority}`,
      `--tls-cert-file=${own.cert}`,
      `--tls-private-key-file=${own.key}`,
      `--kubelet-certificate-authority=${authority}`,
      `--kubelet-client-certificate=${kubelet.cert}`,
      `--kubelet-client-key=${kubelet.key}`,
      '--kubelet-preferred-address-types=InternalIP',
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${inside(state, 'pki', 'service-accounts.pub')}`,
      `--service-account-signing-key-file=${inside(state, 'pki', 'service-accounts.key')}`,
      '--authorization-mode=Node,RBAC',
      '--enable-admission-plugins=NodeRestriction',
      '--allow-privileged',
    ];
  },
  'kube-controller-manager': (state) => [
    state.binaries.components,
    'kube-controller-manager',
    `--kubeconfig=${componentKubeconfig(state, 'controller-manager')}`,
    '--use-service-account-credentials',
    `--service-account-private-key-file=${inside(state, 'pki', 'service-accounts.key')}`,
    `--root-ca-file=${certificate(state, 'ca').cert}`,
    '--bind-address=127.0.0.1',
    '--leader-elect=false',
  ],
  'kube-scheduler': (state) => [
    state.binaries.components,
    'kube-scheduler',
    `--kubeconfig=${componentKubeconfig(state, 'scheduler')}`,
    '--bind-address=127.0.0.1',
    '--leader-elect=false',
  ],
  coredns: (state) => [state.binaries.coredns, '-conf', corefile(state)],
  'kube-proxy': (state) => [
    state.binaries.components,
    'kube-proxy',
    `--kubeconfig=${componentKubeconfig(state, 'proxy')}`,
    '--proxy-mode=iptables',
    `--cluster-cidr=${podCidr}`,
    `--hostname-override=${nodeName}`,
    '--conntrack-max-per-core=0', // a setting of the whole machine: left alone
    '--conntrack-tcp-timeout-established=0s',
    '--conntrack-tcp-timeout-close-wait=0s',
  ],
  containerd: (state) => ['containerd', '--config', inside(state, 'containerd.toml')],
  kubelet: (state) => [
    state.binaries.components,
    'kubelet',
    `--config=${kubeletConfiguration(state)}`,
    `--kubeconfig=${componentKubeconfig(state, 'kubelet')}`,
    `--root-dir=${inside(state, 'kubelet')}`,
    `--hostname-override=${nodeName}`,
    `--node-ip=${nodeAddress(state)}`,
  ],
};
