/** What a platform team applies to govern the shop's database: a Target, who connects, what is allowed, what is masked. */
import type { Database } from './database.ts';
import type { KubernetesObject } from './kubectl.ts';

export interface ShopAccess {
  /** Of the workload. */
  readonly namespace: string;
  readonly serviceAccount: string;
}

const apiVersion = 'chaperone.dev/v1alpha1';

/** The Target of a database and the Secret that it lends, in the database's namespace; open to `namespaces`. */
export function shopTarget(database: Database, namespaces: readonly string[]): KubernetesObject[] {
  const { name, namespace, host, port, shop, caConfigMap } = database;
  return [
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: `${name}-login`, namespace, labels: { 'chaperone.dev/target': name } },
      stringData: { username: shop.user, password: shop.password },
    },
    {
      apiVersion,
      kind: 'Target',
      metadata: { name, namespace },
      spec: {
        protocol: 'PostgreSQL',
        host,
        port,
        tls: { mode: 'VerifyFull', caRef: { name: caConfigMap } },
        credentials: { secretRef: { name: `${name}-login` } },
        allowedNamespaces: {
          from: 'Selector',
          selector: {
            matchExpressions: [
              { key: 'kubernetes.io/metadata.name', operator: 'In', values: namespaces },
            ],
          },
        },
      },
    },
  ];
}

/** The identity of a ServiceAccount's pods, under the ServiceAccount's name. */
export function shopIdentity({ namespace, serviceAccount }: ShopAccess): KubernetesObject {
  return {
    apiVersion,
    kind: 'MachineIdentity',
    metadata: { name: serviceAccount, namespace },
    spec: {
      owner: { team: 'shop', contact: 'shop@example.com' },
      purpose: 'Shows what is allowed, masked and refused',
      subjects: [{ serviceAccount: { name: serviceAccount } }],
    },
  };
}

/** The identity may read the shop but not its employees, and write orders; social security numbers are masked. */
export function shopPolicies(
  { namespace, name }: Database,
  access: ShopAccess,
): [policy: KubernetesObject, masking: KubernetesObject] {
  const metadata = { name: `${name}-for-${access.serviceAccount}`, namespace };
  const targetRefs = [{ name }];
  return [
    {
      apiVersion,
      kind: 'AccessPolicy',
      metadata,
      spec: {
        subjects: { identities: [{ name: access.serviceAccount, namespace: access.namespace }] },
        targetRefs,
        rules: [
          {
            name: 'read-shop',
            action: 'Allow',
            classes: ['Read'],
            resources: ['orders', 'order_items', 'products', 'customers'].map(
              (table) => `shop.public.${table}`,
            ),
          },
          {
            name: 'write-orders',
            action: 'Allow',
            classes: ['Write'],
            resources: ['shop.public.orders'],
          },
        ],
      },
    },
    {
      apiVersion,
      kind: 'MaskingRule',
      metadata,
      spec: {
        targetRefs,
        columns: ['shop.public.customers.ssn'],
        transform: { type: 'Partial', keepLast: 4 },
        usage: 'Lookup',
      },
    },
  ];
}

/** All of it: the target open to the workload's namespace, its identity, and what it may do. */
export function shopResources(database: Database, access: ShopAccess): KubernetesObject[] {
  return [
    ...shopTarget(database, [access.namespace]),
    shopIdentity(access),
    ...shopPolicies(database, access),
  ];
}
