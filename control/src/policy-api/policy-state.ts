/** What is in force now, as the control plane asks of it: bundles, leases, and who is whom. */
import { ControlRefusal, type LeasedCredential } from '@chaperone/core/control/types.ts';
import type { VersionVector } from '@chaperone/core/control/wire.ts';
import type { PolicyBundle } from '@chaperone/core/policy/types.ts';
import { subjectConflicts } from '@chaperone/core/resources/subjects.ts';
import { type BackendBasis, backendBasis } from '../controllers/backend-status.ts';
import type { GovernanceRules } from '../controllers/host-rules.ts';
import { isOpenTo, targetsOf } from '../controllers/open-targets.ts';
import { resolveAuthorities, resolveCredential } from '../controllers/secrets.ts';
import { keyOf, Snapshot, watchedKinds } from '../controllers/snapshot.ts';
import type { ResourceStore, Stored, WatchBatch } from '../store/resource-store.ts';
import { bundleFor, bundleInputs } from './bundle.ts';

type Identity = Stored<'MachineIdentity'>;
type Target = Stored<'Target'>;

export interface PolicyStateOptions {
  readonly store: ResourceStore;
  /** See installationKey. */
  readonly installationKey: Buffer;
  /** Who may claim which host; absent, as in a directory: every name is allowed. */
  readonly rules?: GovernanceRules;
  readonly nowMs: () => number;
  /** Called when a listener throws; the others are called all the same. */
  readonly onError: (error: unknown) => void;
}

interface CachedBundle {
  /** Of the snapshot, when it was last made or found unchanged. */
  revision: number;
  /** See bundleInputs. */
  inputs: string;
  readonly bundle: PolicyBundle;
}

/** Follows a store until closed. */
export class PolicyState {
  readonly #options: PolicyStateOptions;
  readonly #snapshot = new Snapshot();
  readonly #listeners = new Set<(batch: WatchBatch) => void>();
  readonly #bundles = new Map<string, CachedBundle>();
  readonly #unwatch: () => void;
  #identities = new Map<string, Identity>();
  #targets = new Map<string, Target>();
  /** By `namespace/name` of the ServiceAccount; undefined until asked for after a change of identities. */
  #owners: ReadonlyMap<string, Identity> | undefined;

  constructor(options: PolicyStateOptions) {
    this.#options = options;
    this.#unwatch = options.store.watch(watchedKinds, (batch) => this.#apply(batch));
  }

  /** See Snapshot.versions. */
  get versions(): VersionVector {
    return this.#snapshot.versions;
  }

  /** See Snapshot.complete. */
  get complete(): VersionVector {
    return this.#snapshot.complete;
  }

  /** The targets in force, of every namespace, sorted by namespace and name. */
  targets(): readonly Target[] {
    return [...this.#targets.values()];
  }

  target(uid: string): Target | undefined {
    return this.#targets.get(uid);
  }

  identity(uid: string): Identity | undefined {
    return this.#identities.get(uid);
  }

  /** Whether identities of that namespace may connect to the target at all. */
  isOpenTo(target: Target, namespace: string): boolean {
    return isOpenTo(target, namespace, this.#snapshot, this.#options.rules);
  }

  /** What an outcome of connecting to that target is about now. */
  backendBasis(target: Target): BackendBasis {
    return backendBasis(target, this.#snapshot);
  }

  /** Those that identities of that namespace may connect to, sorted by namespace and name. */
  openTargets(namespace: string): readonly Target[] {
    return targetsOf(namespace, this.#snapshot, this.#options.rules).open;
  }

  /** Calls back after every change but of status; returns the unsubscriber. */
  onChange(listener: (batch: WatchBatch) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** The newest bundle of that identity, the very same one as long as nothing in it changes; undefined when it is gone. */
  bundle(identityUid: string): PolicyBundle | undefined {
    const identity = this.#identities.get(identityUid);
    if (identity === undefined) return undefined;
    const cached = this.#bundles.get(identityUid);
    const { revision } = this.#snapshot;
    if (cached?.revision === revision) return cached.bundle;
    const { installationKey, rules } = this.#options;
    const inputs = bundleInputs(identity, this.#snapshot, installationKey, rules);
    if (cached?.inputs === inputs) {
      cached.revision = revision;
      return cached.bundle;
    }
    const bundle = bundleFor(identity, this.#snapshot, installationKey, rules);
    // Nothing in it may have changed all the same: whoever holds it need not be told.
    if (cached !== undefined && cached.bundle.digest === bundle.digest) {
      cached.revision = revision;
      cached.inputs = inputs;
      return cached.bundle;
    }
    this.#bundles.set(identityUid, { revision, inputs, bundle });
    return bundle;
  }

  /** The identity whose subject that ServiceAccount is: of several that claim it, the oldest. */
  identityOf(namespace: string, serviceAccount: string): Identity | undefined {
    this.#owners ??= ownersOf([...this.#identities.values()]);
    return this.#owners.get(keyOf(namespace, serviceAccount));
  }

  /** By `namespace/name`, or by `name` where only one identity that the target is open to has it. */
  identityNamed(user: string, targetUid: string): Identity | undefined {
    const target = this.#targets.get(targetUid);
    if (target === undefined) return undefined;
    const slash = user.indexOf('/');
    const candidates =
      slash >= 0
        ? [this.#snapshot.get('MachineIdentity', user.slice(0, slash), user.slice(slash + 1))]
        : [...this.#identities.values()].filter(({ metadata }) => metadata.name === user);
    const open = candidates.filter(
      (identity) => identity !== undefined && this.isOpenTo(target, identity.metadata.namespace),
    );
    return open.length === 1 ? open[0] : undefined;
  }

  /** Whether `user` names that identity, and the target is open to it; others may have its name as well. */
  isNamed({ metadata }: Identity, user: string, targetUid: string): boolean {
    const target = this.#targets.get(targetUid);
    const names = [metadata.name, `${metadata.namespace}/${metadata.name}`];
    return (
      names.includes(user) && target !== undefined && this.isOpenTo(target, metadata.namespace)
    );
  }

  /** The target, where that identity may connect to it. Throws ControlRefusal: CHP-2002 to 2004, 2012. */
  openTarget(identityUid: string, targetUid: string): Target {
    const identity = this.#identities.get(identityUid);
    const target = this.#targets.get(targetUid);
    if (identity === undefined) {
      throw new ControlRefusal('CHP-2004', 'The identity does not exist any more.', askOwner);
    }
    const { spec, metadata } = identity;
    const name = `${metadata.namespace}/${metadata.name}`;
    if (spec.suspended) {
      throw new ControlRefusal('CHP-2002', `MachineIdentity ${name} is suspended.`, askOwner);
    }
    if (spec.expiresAt !== undefined && Date.parse(spec.expiresAt) <= this.#options.nowMs()) {
      throw new ControlRefusal('CHP-2003', `MachineIdentity ${name} has expired.`, askOwner);
    }
    if (target === undefined || !this.isOpenTo(target, metadata.namespace)) {
      throw new ControlRefusal(
        'CHP-2012',
        `The target is not open to namespace ${metadata.namespace}.`,
        'Have allowedNamespaces of the Target include it.',
      );
    }
    return target;
  }

  /**
   * `asked.generation`: of the Target that the borrower knows; a credential is not lent for a server that may be
   * another one by now. Throws ControlRefusal: CHP-2002 to 2004, 2010, or 2012 to 2014.
   */
  lease(
    identityUid: string,
    asked: { readonly uid: string; readonly generation?: number | undefined },
    ownNameServers = false,
  ): LeasedCredential {
    const target = this.openTarget(identityUid, asked.uid);
    const { generation } = target.metadata;
    const label = `Target ${target.metadata.namespace}/${target.metadata.name}`;
    if (asked.generation !== undefined && asked.generation !== generation) {
      throw new ControlRefusal(
        'CHP-2014',
        `${label} has changed meanwhile, and the proxy has not heard of it yet.`,
        'Connect again.',
        `asked for generation ${asked.generation} of the Target, which is at ${generation}`,
      );
    }
    if (ownNameServers && target.spec.tls.mode !== 'VerifyFull') {
      throw new ControlRefusal(
        'CHP-2013',
        `${label} does not verify the name of its backend, and the pod has name servers of its own.`,
        'Leave dnsPolicy None and dnsConfig.nameservers out of the pod, or set tls.mode VerifyFull on the Target.',
      );
    }
    const authorities = resolveAuthorities(target, this.#snapshot);
    if (!authorities.ok) {
      throw new ControlRefusal('CHP-2013', `${label}: ${authorities.message}.`, mendTarget);
    }
    const credential = resolveCredential(target, this.#snapshot);
    if (!credential.ok) {
      throw new ControlRefusal('CHP-2010', `${label}: ${credential.message}.`, mendTarget);
    }
    return credential.value;
  }

  close(): void {
    this.#unwatch();
    this.#listeners.clear();
  }

  #apply(batch: WatchBatch): void {
    if (!this.#snapshot.apply(batch)) return;
    if (batch.events.some(({ object }) => object.kind === 'MachineIdentity')) {
      this.#identities = byUid(this.#snapshot.all('MachineIdentity'));
      this.#owners = undefined;
      for (const uid of this.#bundles.keys()) {
        if (!this.#identities.has(uid)) this.#bundles.delete(uid);
      }
    }
    if (batch.events.some(({ object }) => object.kind === 'Target')) {
      this.#targets = byUid(this.#snapshot.all('Target'));
    }
    for (const listener of [...this.#listeners]) {
      try {
        listener(batch);
      } catch (error) {
        this.#options.onError(error);
      }
    }
  }
}

function ownersOf(identities: readonly Identity[]): Map<string, Identity> {
  const conflicts = subjectConflicts(
    identities,
    ({ subject }) => subject.serviceAccount !== undefined,
  );
  const owners = new Map<string, Identity>();
  for (const identity of identities) {
    const { namespace, name } = identity.metadata;
    const lost = new Set(conflicts.get(keyOf(namespace, name))?.map(({ subject }) => subject));
    identity.spec.subjects.forEach(({ serviceAccount }, index) => {
      if (serviceAccount === undefined || lost.has(index)) return;
      owners.set(keyOf(namespace, serviceAccount.name), identity);
    });
  }
  return owners;
}

function byUid<T extends Stored>(objects: readonly T[]): Map<string, T> {
  return new Map(objects.map((object) => [object.metadata.uid, object]));
}

const askOwner = 'Ask the owner of the MachineIdentity.';
const mendTarget = 'Ask the owner of the Target to correct what it refers to.';
