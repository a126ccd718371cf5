/** A PostgreSQL server in the cluster, with TLS and the shop's data: what the tests protect. */
import { certificateAuthority } from '../../support/certificates.ts';
import { type Shop, shopStatements } from '../../support/shop.ts';
import { apply, type KubernetesObject, kubectl } from './kubectl.ts';
import { exec, ready } from './pods.ts';

export interface Database {
  readonly namespace: string;
  /** Of the Deployment and the Service. */
  readonly name: string;
  /** Fully qualified. */
  readonly host: string;
  readonly port: 5432;
  readonly shop: Shop;
  /** Name of the ConfigMap with the authority of its certificate, under `ca.crt`. */
  readonly caConfigMap: string;
}

export interface DatabaseOptions {
  readonly name?: string;
  /** Rows of `orders`; default 200. */
  readonly orders?: number;
  /** PostgreSQL's `max_connections`; default 100. */
  readonly maxConnections?: number;
}

const adminPassword = 'sesame-of-the-server';

/** Starts a server in a namespace and waits until it answers. */
export async function startDatabase(
  namespace: string,
  { name = 'orders-db', orders = 200, maxConnections = 100 }: DatabaseOptions = {},
): Promise<Database> {
  const host = `${name}.${namespace}.svc.cluster.local`;
  const authority = certificateAuthority();
  const server = authority.issue([`DNS:${host}`, `DNS:${name}.${namespace}.svc`]);
  const { shop, atServer, inShop } = shopStatements({ orders });
  const caConfigMap = `${name}-ca`;
  const metadata = { name };
  await apply(
    [
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: `${name}-server` },
        stringData: { 'tls.crt': server.cert, 'tls.key': server.key },
      },
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: caConfigMap },
        data: { 'ca.crt': authority.ca.cert },
      },
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: `${name}-shop` },
        data: { 'shop.sql': [...atServer, '\\connect shop', ...inShop].join(';\n') },
      },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata,
        // Neither a slow probe nor a node that could not report takes the database away.
        spec: { selector: { app: name }, ports: [{ port: 5432 }], publishNotReadyAddresses: true },
      },
      deployment(name, maxConnections),
    ],
    namespace,
  );
  await ready(`deployment/${name}`, namespace);
  return { namespace, name, host, port: 5432, shop, caConfigMap };
}

/** Asks the database itself, as its superuser, past everything: rows as psql prints them, unaligned. */
export async function askDatabase(database: Database, sql: string): Promise<string> {
  const argv = ['psql', '-h', '/tmp', '-U', 'postgres', '-d', 'shop', '-At', '-c', sql];
  const { code, stdout, stderr } = await exec(
    database.namespace,
    `deployment/${database.name}`,
    argv,
  );
  if (code !== 0) throw new Error(stderr);
  return stdout.trim();
}

/** The address of the server's pod. */
export async function databaseAddress({ namespace, name }: Database): Promise<string> {
  const path = 'jsonpath={.items[0].status.podIP}';
  return kubectl(['get', 'pods', '-n', namespace, '-l', `app=${name}`, '-o', path]);
}

function deployment(name: string, maxConnections: number): KubernetesObject {
  const secretName = `${name}-server`;
  const labels = { app: name };
  const settings = {
    ssl: 'on',
    ssl_cert_file: '/tls/tls.crt',
    ssl_key_file: '/tls/tls.key',
    max_connections: String(maxConnections),
    fsync: 'off',
  };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          terminationGracePeriodSeconds: 2,
          automountServiceAccountToken: false,
          securityContext: { runAsUser: 999, runAsGroup: 999, fsGroup: 999 },
          containers: [
            {
              name: 'postgres',
              image: 'postgres:15',
              args: [
                'postgres',
                ...Object.entries(settings).flatMap(([k, v]) => ['-c', `${k}=${v}`]),
              ],
              env: [{ name: 'POSTGRES_PASSWORD', value: adminPassword }],
              ports: [{ containerPort: 5432 }],
              // By TCP: while it is being made, the server listens on a socket only.
              readinessProbe: {
                exec: { command: ['pg_isready', '-h', '127.0.0.1'] },
                periodSeconds: 1,
              },
              volumeMounts: [
                { name: 'data', mountPath: '/var/lib/postgresql' },
                { name: 'shop', mountPath: '/docker-entrypoint-initdb.d' },
                { name: 'tls', mountPath: '/tls' },
              ],
            },
          ],
          volumes: [
            { name: 'data', emptyDir: {} },
            { name: 'shop', configMap: { name: `${name}-shop` } },
            { name: 'tls', secret: { secretName, defaultMode: 0o440 } },
          ],
        },
      },
    },
  };
}
