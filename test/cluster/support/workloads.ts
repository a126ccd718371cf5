/** Programs of a tenant: stock images, which know nothing of Chaperone. */
import { injectEnabled, injectLabel } from '@chaperone/core/injection/names.ts';
import type { Database } from './database.ts';
import type { KubernetesObject } from './kubectl.ts';
import { exec, restricted } from './pods.ts';

export interface WorkloadOptions {
  readonly name: string;
  readonly serviceAccount?: string;
  readonly image?: string;
  readonly command?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly replicas?: number;
  /** Default true: the pods' label opts them in. */
  readonly inject?: boolean;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Merged into the pod's spec. */
  readonly podSpec?: KubernetesObject;
}

/** A Deployment whose one container, `app`, has psql and otherwise waits. */
export function workloadDeployment(options: WorkloadOptions): KubernetesObject {
  const { name, replicas = 1 } = options;
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: { replicas, selector: { matchLabels: { app: name } }, template: podTemplate(options) },
  };
}

/** The same as a template, for Jobs and others. */
export function podTemplate({
  name,
  serviceAccount = 'default',
  image = 'postgres:15',
  command = ['sleep', 'infinity'],
  env = {},
  inject = true,
  annotations = {},
  podSpec = {},
}: WorkloadOptions): KubernetesObject {
  const variables = Object.entries(env).map(([key, value]) => ({ name: key, value }));
  return {
    metadata: {
      labels: { app: name, ...(inject ? { [injectLabel]: injectEnabled } : {}) },
      annotations,
    },
    spec: {
      serviceAccountName: serviceAccount,
      terminationGracePeriodSeconds: 5,
      containers: [restricted({ name: 'app', image, command, env: variables })],
      ...podSpec,
    },
  };
}

export function serviceAccount(name: string): KubernetesObject {
  return { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } };
}

export interface PsqlAnswer {
  readonly ok: boolean;
  /** Rows, unaligned, fields apart by `|`. */
  readonly rows: string;
  /** What psql says on failure, with SQLSTATE. */
  readonly error: string;
}

/**
 * Runs one statement by psql in container `app` of a workload (`deployment/NAME` or a pod's name), as its program
 * would: the database's own host and port, some user, no password.
 */
export async function psql(
  namespace: string,
  what: string,
  database: Pick<Database, 'host' | 'port'>,
  sql: string,
  parameters = '',
): Promise<PsqlAnswer> {
  const { host, port } = database;
  const connection = `host=${host} port=${port} dbname=shop user=app connect_timeout=10 ${parameters}`;
  const argv = ['psql', connection, '-XAt', '-v', 'VERBOSITY=verbose', '-c', sql];
  const { code, stdout, stderr } = await exec(namespace, what, argv, { container: 'app' });
  return { ok: code === 0, rows: stdout.trim(), error: stderr.trim() };
}
