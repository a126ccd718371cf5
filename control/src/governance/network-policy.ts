/**
 * NetworkPolicies that keep a namespace's pods without a sidecar from the targets. A NetworkPolicy can only
 * allow, so this is everything but the targets, said in the ways that networks understand. Pure.
 */
import { isIP } from 'node:net';
import { governedLabel } from '@chaperone/core/injection/names.ts';

/** A target, as a network knows it. */
export interface ClosedTarget {
  /** Closed on every port: of the host, of the Service, and of the pods behind it. */
  readonly addresses: readonly string[];
  /** TCP ports that are closed at every address. */
  readonly ports: readonly number[];
  /** The pods behind a Service, for networks in which address blocks do not cover pods. */
  readonly pods?: { readonly namespace: string; readonly labels: Labels };
}

type Labels = Readonly<Record<string, string>>;

interface Requirement {
  readonly key: string;
  readonly operator: 'In' | 'NotIn';
  readonly values: readonly string[];
}

interface Selector {
  readonly matchExpressions: readonly Requirement[];
}

interface Peer {
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] };
  readonly namespaceSelector?: Selector;
  readonly podSelector?: Selector;
}

interface Port {
  readonly protocol: 'TCP' | 'UDP' | 'SCTP';
  readonly port: number;
  readonly endPort?: number;
}

export interface NetworkPolicySpec {
  readonly podSelector: Selector;
  readonly policyTypes: readonly ['Egress'];
  readonly egress: readonly { readonly to: readonly Peer[]; readonly ports?: readonly Port[] }[];
}

const namespaceNameLabel = 'kubernetes.io/metadata.name';
const highestPort = 65_535;
/** Beyond it, a Service's pods are told by the first of their labels alone. */
const maxAlternatives = 16;

/**
 * The policies of `namespace`: as a rule one; more where the targets' own pods, which are left as they are,
 * are picked by several labels. None without targets.
 */
export function targetPolicies(
  namespace: string,
  targets: readonly ClosedTarget[],
): readonly NetworkPolicySpec[] {
  if (targets.length === 0) return [];
  const addresses = unique(targets.flatMap((target) => target.addresses)).sort();
  const closed = unique(targets.flatMap(({ ports }) => ports)).sort((a, b) => a - b);
  const ports = closed.length === 0 ? {} : { ports: openPorts(closed) };
  const egress = [
    { to: [block('0.0.0.0/0', 4, addresses), block('::/0', 6, addresses)], ...ports },
    { to: podPeers(targets), ...ports },
  ];
  const ungoverned: Requirement = { key: governedLabel, operator: 'NotIn', values: ['true'] };
  return notPicked(podsIn(namespace, targets)).map((others) => ({
    podSelector: { matchExpressions: [ungoverned, ...others] },
    policyTypes: ['Egress'],
    egress,
  }));
}

function block(cidr: string, family: 4 | 6, addresses: readonly string[]): Peer {
  const except = addresses
    .filter((address) => isIP(address) === family)
    .map((address) => `${address}/${family === 4 ? 32 : 128}`);
  return { ipBlock: { cidr, ...(except.length > 0 && { except }) } };
}

/** All pods but those behind the targets' Services. */
function podPeers(targets: readonly ClosedTarget[]): Peer[] {
  const namespaces = unique(targets.flatMap(({ pods }) => pods?.namespace ?? [])).sort();
  const inNamespaces = (operator: 'In' | 'NotIn', values: readonly string[]): Selector => ({
    matchExpressions: [{ key: namespaceNameLabel, operator, values }],
  });
  if (namespaces.length === 0) return [{ namespaceSelector: { matchExpressions: [] } }];
  return [
    { namespaceSelector: inNamespaces('NotIn', namespaces) },
    ...namespaces.flatMap((namespace) =>
      notPicked(podsIn(namespace, targets)).map((matchExpressions) => ({
        namespaceSelector: inNamespaces('In', [namespace]),
        podSelector: { matchExpressions },
      })),
    ),
  ];
}

function podsIn(namespace: string, targets: readonly ClosedTarget[]): readonly Labels[] {
  const selectors = targets.flatMap(({ pods }) =>
    pods?.namespace === namespace && Object.keys(pods.labels).length > 0 ? [pods.labels] : [],
  );
  return [...new Map(selectors.map((labels) => [JSON.stringify(labels), labels])).values()];
}

/**
 * Lists of requirements, one of which holds for exactly the pods that no selector picks: of each selector one
 * label has to differ.
 */
function notPicked(selectors: readonly Labels[]): Requirement[][] {
  const alternatives = selectors.reduce((count, labels) => count * Object.keys(labels).length, 1);
  let lists: Requirement[][] = [[]];
  for (const labels of selectors) {
    const entries = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
    const differing = alternatives > maxAlternatives ? entries.slice(0, 1) : entries;
    lists = lists.flatMap((list) =>
      differing.map(([key, value]): Requirement[] => [
        ...list,
        { key, operator: 'NotIn', values: [value] },
      ]),
    );
  }
  return lists;
}

/** Every port but the closed ones of TCP. */
function openPorts(closed: readonly number[]): Port[] {
  const ports: Port[] = [];
  let from = 1;
  for (const port of [...closed, highestPort + 1]) {
    if (port - 1 > from) ports.push({ protocol: 'TCP', port: from, endPort: port - 1 });
    else if (port - 1 === from) ports.push({ protocol: 'TCP', port: from });
    from = port + 1;
  }
  for (const protocol of ['UDP', 'SCTP'] as const) {
    ports.push({ protocol, port: 1, endPort: highestPort });
  }
  return ports;
}

const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];
