/** What admission knows of the cluster: caches, kept up to date while it serves. */
import type { GovernanceRules } from '@chaperone/control/controllers/host-rules.ts';
import { targetsOf } from '@chaperone/control/controllers/open-targets.ts';
import type { Snapshot } from '@chaperone/control/controllers/snapshot.ts';
import type { Stored } from '@chaperone/control/store/resource-store.ts';
import {
  type InjectionNamespace,
  type InjectionService,
  isOptedIn,
} from '../injection/eligibility.ts';
import type { InjectionContext } from '../injection/render.ts';
import type { InjectionSettings } from '../injection/settings.ts';

export interface AdmissionState {
  /** Every kind of ours, and Namespaces. */
  readonly snapshot: Snapshot;
  readonly rules: GovernanceRules;
  /** One more is refused. */
  readonly maxTargetsPerNamespace: number;
  /** Why nothing can be decided yet; undefined: it can. */
  readonly unready: () => string | undefined;
  /** The Services of a namespace. */
  readonly services: (namespace: string) => readonly InjectionService[];
  /** A Namespace as the API server has it now; undefined: there is none. Rejects when that cannot be told. */
  readonly namespaceNow: (name: string) => Promise<InjectionNamespace | undefined>;
}

/** By which of its selectors the API server came to us. */
export type Entry = 'namespace' | 'pod';

/**
 * What a pod of that namespace is rendered with. Where the API server says that the namespace is opted in and
 * the cache does not (yet), it is asked: a pod made right after the label must not slip through, nor be given
 * Targets that the namespace does not accept.
 */
export async function injectionContext(
  state: AdmissionState,
  settings: InjectionSettings,
  name: string,
  entry: Entry,
): Promise<InjectionContext> {
  const { snapshot, rules } = state;
  const cached = cachedNamespace(snapshot, name);
  const known = cached !== undefined && (entry === 'pod' || isOptedIn(cached));
  const namespace = known ? cached : await state.namespaceNow(name);
  return {
    namespace: namespace ?? { name, labels: {} },
    targets: targetsOf(name, snapshot, rules, namespace).open,
    localTargets: targetsIn(snapshot, name),
    services: state.services,
    settings,
  };
}

function cachedNamespace(snapshot: Snapshot, name: string): InjectionNamespace | undefined {
  const found = snapshot.get('Namespace', '', name);
  return found === undefined ? undefined : injectionNamespace(found);
}

/** What injection looks at of a Namespace. */
export const injectionNamespace = ({
  metadata: { name, labels = {}, annotations },
}: NamespaceObject): InjectionNamespace => ({ name, labels, annotations });

interface NamespaceObject {
  readonly metadata: {
    readonly name: string;
    readonly labels?: Readonly<Record<string, string>> | undefined;
    readonly annotations?: Readonly<Record<string, string>> | undefined;
  };
}

const targetsIn = (snapshot: Snapshot, namespace: string): readonly Stored<'Target'>[] =>
  snapshot.all('Target').filter(({ metadata }) => metadata.namespace === namespace);
