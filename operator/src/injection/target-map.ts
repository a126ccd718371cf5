/** Which names lead to which target within a pod, and at which of its loopback addresses. */
import { isIP } from 'node:net';
import type { Stored } from '@chaperone/control/store/resource-store.ts';
import { targetNames } from '@chaperone/core/resources/target-names.ts';
import { allocateAddress, isAllocatable } from './loopback-addresses.ts';
import type { InjectionWarning, MappedTarget, UnmappedReason } from './outcome.ts';
import type { HostAlias } from './pod.ts';

type Target = Stored<'Target'>;

/** What a pod can be given: the list of listeners is one environment variable, bounded by the kernel. */
const maxTargets = 500;

export interface TargetMapInput {
  /** Of the pod. */
  readonly namespace: string;
  /** Those that the pod's namespace has, in any order. */
  readonly targets: readonly Target[];
  /** The pod's, ours of an earlier rendering among them. */
  readonly hostAliases: readonly HostAlias[];
  /** See hasOwnNameServers. */
  readonly ownNameServers: boolean;
  readonly clusterDomain: string;
  readonly hasService: (namespace: string, name: string) => boolean;
}

export interface TargetMap {
  /** Sorted by namespace and name. */
  readonly targets: readonly MappedTarget[];
  /** All of the pod's, without and with ours. */
  readonly hostAliases: readonly HostAlias[];
  readonly warnings: readonly InjectionWarning[];
}

/** Names that share an address, because one host has several ports. */
interface Place {
  readonly key: string;
  readonly address: string;
  readonly ports: Set<number>;
  readonly hostNames: Set<string>;
}

const keyOf = ({ metadata }: Target): string => `${metadata.namespace}/${metadata.name}`;

/** Of two Targets with one name the pod's own namespace's keeps it, else the older; of one age, the first by name. */
function byPrecedence(targets: readonly Target[], namespace: string): readonly Target[] {
  const isForeign = ({ metadata }: Target): number => Number(metadata.namespace !== namespace);
  const age = ({ metadata }: Target): number => Date.parse(metadata.creationTimestamp);
  return [...targets].sort(
    (a, b) => isForeign(a) - isForeign(b) || age(a) - age(b) || (keyOf(a) < keyOf(b) ? -1 : 1),
  );
}

/**
 * Those that there is room for: the pod's own namespace's, then one of each other namespace in turn, so that
 * none of them takes all of it. `targets`: in the order of byPrecedence.
 */
function fittingTargets(targets: readonly Target[], namespace: string): ReadonlySet<Target> {
  const turns = new Map<string, number>();
  const turnOf = (target: Target): number => {
    const space = target.metadata.namespace;
    if (space === namespace) return 0;
    const turn = (turns.get(space) ?? 0) + 1;
    turns.set(space, turn);
    return turn;
  };
  const inTurn = targets.map((target) => ({ target, turn: turnOf(target) }));
  // Within a turn they stay as they are: the oldest first.
  inTurn.sort((a, b) => a.turn - b.turn);
  return new Set(inTurn.slice(0, maxTargets).map(({ target }) => target));
}

export function mapTargets(input: TargetMapInput): TargetMap {
  const { namespace, clusterDomain } = input;
  const targets = byPrecedence(input.targets, namespace);
  const namesOf = new Map(
    targets.map((target) => {
      const { host, aliases = [] } = target.spec;
      return [target, targetNames(host, aliases, clusterDomain, namespace)];
    }),
  );
  const problemOf = (target: Target) =>
    hostProblem(target, namesOf.get(target)![0]) ?? trustProblem(target, input);
  const fitting = fittingTargets(
    targets.filter((target) => problemOf(target) === undefined),
    namespace,
  );
  const known = new Set([...namesOf.values()].flat());
  const theirs = input.hostAliases.filter((alias) => !isOurs(alias, known));
  const firstOfOurs = input.hostAliases.findIndex((alias) => isOurs(alias, known));
  const before = firstOfOurs < 0 ? theirs.length : firstOfOurs;
  const aliased = new Set(theirs.flatMap(({ hostnames = [] }) => hostnames));
  const addresses = new Set(theirs.map(({ ip }) => ip));
  const places = new Map<string, Place>();
  const mapped: MappedTarget[] = [];
  const warnings: InjectionWarning[] = [];

  for (const target of targets) {
    const key = keyOf(target);
    const warn = (reason: UnmappedReason, message: string): void => {
      warnings.push({ reason, target: key, message });
    };
    const [host, ...others] = namesOf.get(target)!;
    const problem = problemOf(target);
    if (problem !== undefined) {
      warn(problem.reason, `Target ${key} is not mapped: ${problem.message}`);
      continue;
    }
    if (!fitting.has(target)) {
      const order = 'those of its own namespace first, then one of each other in turn';
      const why = `a pod takes ${maxTargets} at the most, ${order}`;
      warn('TooManyTargets', `Target ${key} is not mapped: ${why}`);
      continue;
    }
    const place = places.get(host!);
    /** Why a name stays with whom it has. */
    const obstacle = (name: string): readonly [UnmappedReason, string] | undefined => {
      const holder = places.get(name);
      if (aliased.has(name)) return ['HostAliasConflict', "the pod's own hostAliases have it"];
      const service = serviceMeant(name, namespace, clusterDomain);
      if (
        service !== undefined &&
        service.namespace !== target.metadata.namespace &&
        input.hasService(service.namespace, service.name)
      ) {
        return ['ShadowsService', `Service ${service.namespace}/${service.name} has it`];
      }
      return holder === undefined || (holder === place && !holder.ports.has(target.spec.port))
        ? undefined
        : ['NameTaken', `Target ${holder.key} has it, as it is older or the namespace's own`];
    };
    const lost = obstacle(host!);
    if (lost !== undefined) {
      warn(lost[0], `Target ${key} is not mapped: of its host ${host}, ${lost[1]}`);
      continue;
    }
    const kept = others.filter((name) => {
      const why = obstacle(name);
      if (why !== undefined) warn(why[0], `Target ${key} is not mapped as ${name}: ${why[1]}`);
      return why === undefined;
    });
    const own = place ?? {
      key,
      address: allocateAddress(key, addresses),
      ports: new Set(),
      hostNames: new Set(),
    };
    const hostNames = [host!, ...kept];
    own.ports.add(target.spec.port);
    for (const name of hostNames) {
      own.hostNames.add(name);
      places.set(name, own);
    }
    const { name, namespace: space } = target.metadata;
    mapped.push({
      namespace: space,
      name,
      address: own.address,
      port: target.spec.port,
      hostNames,
    });
  }
  const ours = [...new Set(places.values())]
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ address, hostNames }): HostAlias => ({ ip: address, hostnames: [...hostNames] }));
  return {
    targets: mapped.sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1)),
    // In the place that ours have, so that what others added behind does not move.
    hostAliases: [...theirs.slice(0, before), ...ours, ...theirs.slice(before)],
    warnings,
  };
}

const orderOf = ({ namespace, name }: MappedTarget): string => `${namespace}/${name}`;

/** An alias of an earlier rendering: an address that only we give, for nothing but targets' names. */
function isOurs({ ip, hostnames = [] }: HostAlias, known: ReadonlySet<string>): boolean {
  return isAllocatable(ip) && hostnames.length > 0 && hostnames.every((name) => known.has(name));
}

/** `host`: the first of the target's names. */
function hostProblem(
  { spec }: Target,
  host: string | undefined,
): { readonly reason: UnmappedReason; readonly message: string } | undefined {
  if (isIP(spec.host) !== 0) {
    return {
      reason: 'AddressHost',
      message: `its host ${spec.host} is an address; give it a name, by a Service or in DNS`,
    };
  }
  if (host !== spec.host.toLowerCase().replace(/\.$/, '')) {
    return {
      reason: 'UnsupportedHost',
      message: `its host ${JSON.stringify(spec.host)} is no host name`,
    };
  }
  return undefined;
}

function trustProblem(
  { spec }: Target,
  { ownNameServers }: TargetMapInput,
): { readonly reason: UnmappedReason; readonly message: string } | undefined {
  if (!ownNameServers || spec.tls.mode === 'VerifyFull') return undefined;
  return {
    reason: 'OwnNameServers',
    message: `the pod has name servers of its own, and with tls.mode ${spec.tls.mode} whoever they lead to is given the credential; leave dnsPolicy None and dnsConfig.nameservers out of the pod, or set tls.mode VerifyFull`,
  };
}

/** The Service that a pod of that namespace would reach under the name, if there is one. */
function serviceMeant(
  name: string,
  podNamespace: string,
  clusterDomain: string,
): { readonly namespace: string; readonly name: string } | undefined {
  const ending = `.svc.${clusterDomain.toLowerCase()}`;
  const bare = name.endsWith(ending) ? name.slice(0, -ending.length) : name.replace(/\.svc$/, '');
  const labels = bare.split('.');
  if (labels.length === 1) return { namespace: podNamespace, name };
  // `service.namespace`, or `pod.service.namespace` of a headless one.
  if (labels.length > 3 || (labels.length === 3 && bare === name)) return undefined;
  return { namespace: labels.at(-1)!, name: labels.at(-2)! };
}
