/** `chaperone.dev/trust: Env`: the workload's containers get our roots, and variables that lead there. */
import { rootsDirectory, rootsFile, rootsVolume } from './names.ts';
import type { Container } from './pod.ts';

/** Those that add to what a program trusts, or concern PostgreSQL alone: SSL_CERT_FILE would take its other roots away. */
const variables = ['PGSSLROOTCERT', 'NODE_EXTRA_CA_CERTS'] as const;

/** What the container says itself stays. */
export function withRoots(container: Container): Container {
  const { volumeMounts = [], env = [] } = container;
  const mounted = volumeMounts.some(({ mountPath }) => mountPath === rootsDirectory);
  const missing = variables.filter((variable) => !env.some(({ name }) => name === variable));
  if (mounted && missing.length === 0) return container;
  return {
    ...container,
    volumeMounts: mounted
      ? volumeMounts
      : [...volumeMounts, { name: rootsVolume, mountPath: rootsDirectory, readOnly: true }],
    env: [...env, ...missing.map((name) => ({ name, value: rootsFile }))],
  };
}
