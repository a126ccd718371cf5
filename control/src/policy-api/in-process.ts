/** The control plane for an enforcement proxy in the same program. */
import {
  type AuthenticatedCaller,
  type ControlClient,
  ControlRefusal,
  type LeasedCredential,
} from '@chaperone/core/control/types.ts';
import type { PolicyBundle } from '@chaperone/core/policy/types.ts';
import { isOpenTo } from '../controllers/attachment.ts';
import { resolveAuthorities, resolveCredential } from '../controllers/secrets.ts';
import { Snapshot, watchedKinds } from '../controllers/snapshot.ts';
import type { ResourceStore, Stored } from '../store/resource-store.ts';
import type { TicketStore } from '../tickets/ticket-store.ts';
import { bundleFor } from './bundle.ts';

export interface InProcessControlOptions {
  readonly store: ResourceStore;
  readonly tickets: TicketStore;
  /** See installationKey. */
  readonly installationKey: Buffer;
  readonly nowMs: () => number;
  /** Called when a subscriber throws; the others are served all the same. */
  readonly onError: (error: unknown) => void;
}

export interface InProcessControl extends ControlClient {
  /** The targets in force, for the listeners: those of every namespace. */
  targets(): readonly Stored<'Target'>[];
  /** Calls back whenever a Target has been added, changed or deleted; returns the unsubscriber. */
  onTargets(callback: () => void): () => void;
  close(): void;
}

type Subscriber = (bundle: PolicyBundle | undefined) => void;
type Identity = Stored<'MachineIdentity'>;
type Target = Stored<'Target'>;

/** Makes one over a store; follows the store's changes until closed. */
export function createInProcessControl(options: InProcessControlOptions): InProcessControl {
  const { store, tickets, installationKey, nowMs, onError } = options;
  const snapshot = new Snapshot();
  let identities = new Map<string, Identity>();
  let targets = new Map<string, Target>();
  const bundles = new Map<string, PolicyBundle>();
  const subscribers = new Map<string, Set<Subscriber>>();
  const targetListeners = new Set<() => void>();

  const call = (callback: () => void): void => {
    try {
      callback();
    } catch (error) {
      onError(error);
    }
  };

  /** The bundle as it is now; the one before is kept, version and all, where nothing in it changed. */
  const refresh = (uid: string): { bundle: PolicyBundle | undefined; changed: boolean } => {
    const identity = identities.get(uid);
    const before = bundles.get(uid);
    if (identity === undefined) {
      bundles.delete(uid);
      return { bundle: undefined, changed: before !== undefined };
    }
    const bundle = bundleFor(identity, snapshot, installationKey);
    if (bundle.digest === before?.digest) return { bundle: before, changed: false };
    bundles.set(uid, bundle);
    return { bundle, changed: true };
  };

  const byUid = <T extends Stored>(objects: readonly T[]): Map<string, T> =>
    new Map(objects.map((object) => [object.metadata.uid, object]));

  const stop = store.watch(watchedKinds, (batch) => {
    if (!snapshot.apply(batch)) return;
    identities = byUid(snapshot.all('MachineIdentity'));
    targets = byUid(snapshot.all('Target'));
    for (const uid of [...bundles.keys()]) {
      const waiting = subscribers.get(uid);
      if (waiting === undefined) {
        bundles.delete(uid); // made again when somebody asks
        continue;
      }
      const { bundle, changed } = refresh(uid);
      if (!changed) continue;
      for (const subscriber of [...waiting]) call(() => subscriber(bundle));
    }
    if (batch.events.some(({ object }) => object.kind === 'Target')) {
      for (const listener of [...targetListeners]) call(listener);
    }
  });

  /** `namespace/name`, or `name` where only one identity that the target is open to has it. */
  const identityNamed = (user: string, target: Target | undefined): Identity | undefined => {
    if (target === undefined) return undefined;
    const slash = user.indexOf('/');
    const candidates =
      slash >= 0
        ? [snapshot.get('MachineIdentity', user.slice(0, slash), user.slice(slash + 1))]
        : [...identities.values()].filter(({ metadata }) => metadata.name === user);
    const open = candidates.filter(
      (identity) =>
        identity !== undefined && isOpenTo(target, identity.metadata.namespace, snapshot),
    );
    return open.length === 1 ? open[0] : undefined;
  };

  const authenticate = (user: string, secret: string, targetUid: string): AuthenticatedCaller => {
    const identity = identityNamed(user, targets.get(targetUid));
    // Verified whether or not there is such an identity: both refusals look alike and take as long.
    const ticket = tickets.verify(secret, identity?.metadata.uid, targetUid);
    if (identity === undefined || ticket === undefined) {
      throw new ControlRefusal(
        'CHP-2001',
        'Authentication failed.',
        'Use a valid ticket as the password: chaperone ticket create IDENTITY --target TARGET.',
        tickets.whyRefused(secret, identity?.metadata.uid, targetUid),
      );
    }
    return {
      identityUid: identity.metadata.uid,
      proof: { method: 'Ticket', ticket: ticket.id },
      sessionEndsMs: ticket.expiresMs,
    };
  };

  const lease = (identityUid: string, targetUid: string): LeasedCredential => {
    const identity = identities.get(identityUid);
    const target = targets.get(targetUid);
    if (identity === undefined) {
      throw new ControlRefusal('CHP-2004', 'The identity does not exist any more.', askOwner);
    }
    const { spec, metadata } = identity;
    const name = `${metadata.namespace}/${metadata.name}`;
    if (spec.suspended) {
      throw new ControlRefusal('CHP-2002', `MachineIdentity ${name} is suspended.`, askOwner);
    }
    if (spec.expiresAt !== undefined && Date.parse(spec.expiresAt) <= nowMs()) {
      throw new ControlRefusal('CHP-2003', `MachineIdentity ${name} has expired.`, askOwner);
    }
    if (target === undefined || !isOpenTo(target, metadata.namespace, snapshot)) {
      throw new ControlRefusal(
        'CHP-2012',
        `The target is not open to namespace ${metadata.namespace}.`,
        'Have allowedNamespaces of the Target include it.',
      );
    }
    const label = `Target ${target.metadata.namespace}/${target.metadata.name}`;
    const authorities = resolveAuthorities(target, snapshot);
    if (!authorities.ok) {
      throw new ControlRefusal('CHP-2013', `${label}: ${authorities.message}.`, mendTarget);
    }
    const credential = resolveCredential(target, snapshot);
    if (!credential.ok) {
      throw new ControlRefusal('CHP-2010', `${label}: ${credential.message}.`, mendTarget);
    }
    return credential.value;
  };

  return {
    proof: 'Password',
    authenticate: async (user, secret, targetUid) => authenticate(user, secret, targetUid),
    bundle(identityUid) {
      return bundles.get(identityUid) ?? refresh(identityUid).bundle;
    },
    subscribe(identityUid, onBundle) {
      if (!bundles.has(identityUid)) refresh(identityUid);
      const set = subscribers.get(identityUid) ?? new Set();
      subscribers.set(identityUid, set.add(onBundle));
      return () => {
        set.delete(onBundle);
        if (set.size === 0 && subscribers.get(identityUid) === set) subscribers.delete(identityUid);
      };
    },
    isStale: () => false,
    lease: async (identityUid, targetUid) => lease(identityUid, targetUid),
    targets: () => [...targets.values()],
    onTargets(callback) {
      targetListeners.add(callback);
      return () => void targetListeners.delete(callback);
    },
    close() {
      stop();
      subscribers.clear();
      targetListeners.clear();
    },
  };
}

const askOwner = 'Ask the owner of the MachineIdentity.';
const mendTarget = 'Ask the owner of the Target to correct what it refers to.';
