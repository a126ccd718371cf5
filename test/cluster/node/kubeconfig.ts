import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { certificate } from './certificates.ts';
import { apiPort, type ClusterState, inside, kubeconfigPath, nodeAddress } from './state.ts';

const components = ['controller-manager', 'scheduler', 'proxy', 'kubelet'] as const;

/** The kubeconfig of one component. */
export function componentKubeconfig(state: ClusterState, name: string): string {
  return inside(state, 'kubeconfigs', `${name}.kubeconfig`);
}

/** Writes a kubeconfig, which carries its certificates within, for the administrator and every component. */
export function writeKubeconfigs(state: ClusterState): void {
  mkdirSync(inside(state, 'kubeconfigs'), { recursive: true, mode: 0o700 });
  write(state, 'admin', kubeconfigPath(state));
  for (const name of components) write(state, name, componentKubeconfig(state, name));
}

function write(state: ClusterState, name: string, path: string): void {
  const encoded = (file: string) => readFileSync(file).toString('base64');
  const { cert, key } = certificate(state, name);
  const kubeconfig = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'cluster',
        cluster: {
          server: `https://${nodeAddress(state)}:${apiPort}`,
          'certificate-authority-data': encoded(certificate(state, 'ca').cert),
        },
      },
    ],
    users: [
      {
        name,
        user: { 'client-certificate-data': encoded(cert), 'client-key-data': encoded(key) },
      },
    ],
    contexts: [{ name, context: { cluster: 'cluster', user: name } }],
    'current-context': name,
  };
  writeFileSync(path, `${JSON.stringify(kubeconfig, null, 2)}\n`, { mode: 0o600 });
}
