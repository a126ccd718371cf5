import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { apiServiceAddress, type ClusterState, inside, nodeAddress, nodeName } from './state.ts';

interface Leaf {
  readonly subject: string;
  readonly names?: readonly string[];
}

/** Files of the cluster's certificates: `NAME.crt` and `NAME.key`. */
export function certificate(state: ClusterState, name: string): { cert: string; key: string } {
  return { cert: inside(state, 'pki', `${name}.crt`), key: inside(state, 'pki', `${name}.key`) };
}

/** One CA, a leaf for each component (its subject is its user and groups), a key pair for ServiceAccounts' tokens. */
export function makeCertificates(state: ClusterState): void {
  const directory = inside(state, 'pki');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const at = (file: string) => join(directory, file);
  const openssl = (...args: readonly string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

  openssl(
    ...['req', '-x509', '-days', '365', '-subj', '/CN=cluster-ca', ...newKey],
    ...['-keyout', at('ca.key'), '-out', at('ca.crt')],
    ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
  );
  for (const [name, { subject, names }] of Object.entries(leaves(state))) {
    openssl(
      ...['req', ...newKey, '-subj', subject],
      ...['-keyout', at(`${name}.key`), '-out', at(`${name}.csr`)],
    );
    writeFileSync(
      at(`${name}.ext`),
      [
        'basicConstraints=CA:FALSE',
        'keyUsage=critical,digitalSignature',
        'extendedKeyUsage=clientAuth,serverAuth',
        ...(names === undefined ? [] : [`subjectAltName=${names.join(',')}`]),
      ].join('\n'),
    );
    openssl(
      ...['x509', '-req', '-days', '365', '-in', at(`${name}.csr`), '-out', at(`${name}.crt`)],
      ...['-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-CAcreateserial'],
      ...['-extfile', at(`${name}.ext`)],
    );
    for (const left of ['csr', 'ext']) rmSync(at(`${name}.${left}`));
  }
  openssl('genrsa', '-out', at('service-accounts.key'), '2048');
  openssl('rsa', '-in', at('service-accounts.key'), '-pubout', '-out', at('service-accounts.pub'));
}

function leaves(state: ClusterState): Readonly<Record<string, Leaf>> {
  return {
    apiserver: {
      subject: '/CN=kube-apiserver',
      names: [
        ...['localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc'].map(
          (name) => `DNS:${name}`,
        ),
        'DNS:kubernetes.default.svc.cluster.local',
        ...['127.0.0.1', nodeAddress(state), apiServiceAddress].map((address) => `IP:${address}`),
      ],
    },
    'apiserver-kubelet': { subject: '/O=system:masters/CN=kube-apiserver-kubelet-client' },
    admin: { subject: '/O=system:masters/CN=admin' },
    'controller-manager': { subject: '/CN=system:kube-controller-manager' },
    scheduler: { subject: '/CN=system:kube-scheduler' },
    proxy: { subject: '/CN=system:kube-proxy' },
    kubelet: {
      subject: `/O=system:nodes/CN=system:node:${nodeName}`,
      names: [`DNS:${nodeName}`, `IP:${nodeAddress(state)}`],
    },
  };
}
