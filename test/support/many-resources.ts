/**
 * Resources by the hundred, for what growing costs: targets in some namespaces, identities in others, and
 * policies of the first for the second. Plain manifests, so that any store takes them.
 */

/** What a large installation has. */
export const manyResources = { targets: 50, identities: 200, policies: 500 } as const;

export interface Manifest<Kind extends string> {
  readonly apiVersion: 'chaperone.dev/v1alpha1';
  readonly kind: Kind;
  readonly metadata: { readonly namespace: string; readonly name: string };
  readonly spec: Readonly<Record<string, unknown>>;
}

function manifest<Kind extends string>(
  kind: Kind,
  namespace: string,
  name: string,
  spec: Readonly<Record<string, unknown>>,
): Manifest<Kind> {
  return { apiVersion: 'chaperone.dev/v1alpha1', kind, metadata: { namespace, name }, spec };
}

/** The numbers from `from` up to, and without, `to`. */
export const range = (from: number, to: number): readonly number[] =>
  Array.from({ length: to - from }, (_, at) => from + at);

const inTurn = (namespaces: readonly string[], at: number): string =>
  namespaces[at % namespaces.length]!;

/** Open to all namespaces. */
export function manyTarget(at: number, data: readonly string[]): Manifest<'Target'> {
  const namespace = inTurn(data, at);
  return manifest('Target', namespace, `target-${at}`, {
    protocol: 'PostgreSQL',
    host: `db-${at}.${namespace}.svc.cluster.local`,
    credentials: { secretRef: { name: `secret-${at}` } },
    allowedNamespaces: { from: 'All' },
  });
}

export function manyIdentity(at: number, tenants: readonly string[]): Manifest<'MachineIdentity'> {
  return manifest('MachineIdentity', inTurn(tenants, at), `identity-${at}`, {
    owner: { team: 'team' },
    purpose: 'To be counted',
    subjects: [{ serviceAccount: { name: `account-${at}` } }],
  });
}

/** For all identities of namespace `tenant`, on one target after the other of `targets`. */
export function manyPolicy(
  at: number,
  data: readonly string[],
  targets: number,
  tenant: string,
): Manifest<'AccessPolicy'> {
  const target = at % targets;
  return manifest('AccessPolicy', inTurn(data, target), `policy-${at}`, {
    targetRefs: [{ name: `target-${target}` }],
    subjects: { namespaces: [tenant] },
    rules: [
      { name: 'read', action: 'Allow', classes: ['Read'], resources: ['shop.public.*'] },
      {
        name: 'write',
        action: 'Allow',
        classes: ['Write'],
        resources: ['shop.public.orders'],
        when: 'statement.hasWhere',
      },
    ],
  });
}
