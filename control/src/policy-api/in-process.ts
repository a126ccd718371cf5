/** The control plane for an enforcement proxy in the same program. */
import {
  type AuthenticatedCaller,
  type ControlClient,
  ControlRefusal,
} from '@chaperone/core/control/types.ts';
import type { PolicyBundle } from '@chaperone/core/policy/types.ts';
import type { BackendReports } from '../controllers/backend-reports.ts';
import type { Stored } from '../store/resource-store.ts';
import type { TicketStore } from '../tickets/ticket-store.ts';
import { PolicyState, type PolicyStateOptions } from './policy-state.ts';

export interface InProcessControlOptions extends PolicyStateOptions {
  readonly tickets: TicketStore;
  /** Absent: nobody asks what becomes of connecting to backends. */
  readonly backends?: BackendReports;
}

export interface InProcessControl extends ControlClient {
  /** The targets in force, for the listeners: those of every namespace. */
  targets(): readonly Stored<'Target'>[];
  /** Calls back whenever a Target has been added, changed or deleted; returns the unsubscriber. */
  onTargets(callback: () => void): () => void;
  close(): void;
}

/** Who reports in process: there is one gateway. */
const inProcessSource = 'gateway';

type Subscriber = (bundle: PolicyBundle | undefined) => void;

/** Makes one over a store; follows the store's changes until closed. */
export function createInProcessControl(options: InProcessControlOptions): InProcessControl {
  const { tickets, backends, onError } = options;
  const state = new PolicyState(options);
  /** With what each identity's subscribers were told last. */
  const subscribed = new Map<string, { told: PolicyBundle | undefined; to: Set<Subscriber> }>();

  const call = (callback: () => void): void => {
    try {
      callback();
    } catch (error) {
      onError(error);
    }
  };

  state.onChange(() => {
    for (const [uid, subscription] of [...subscribed]) {
      const bundle = state.bundle(uid);
      if (bundle === subscription.told) continue;
      subscription.told = bundle;
      for (const subscriber of [...subscription.to]) call(() => subscriber(bundle));
    }
  });

  return {
    proof: 'Password',
    authenticate: async (user, secret, targetUid) =>
      authenticateTicket(state, tickets, user, secret, targetUid),
    bundle: (identityUid) => state.bundle(identityUid),
    subscribe(identityUid, onBundle) {
      const subscription = subscribed.get(identityUid) ?? {
        told: state.bundle(identityUid),
        to: new Set(),
      };
      subscribed.set(identityUid, subscription);
      subscription.to.add(onBundle);
      return () => {
        subscription.to.delete(onBundle);
        if (subscription.to.size === 0 && subscribed.get(identityUid) === subscription) {
          subscribed.delete(identityUid);
        }
      };
    },
    isStale: () => false,
    lease: async (identityUid, target) => state.lease(identityUid, target),
    reportBackend({ targetUid, targetGeneration, credentialVersion, outcome }) {
      const target = state.target(targetUid);
      if (target === undefined || backends === undefined) return;
      const { generation, credentialVersion: version, key } = state.backendBasis(target);
      // It may have been changed while it was being connected to.
      if (generation !== targetGeneration || version !== credentialVersion) return;
      backends.add(targetUid, key, inProcessSource, outcome);
    },
    targets: () => state.targets(),
    onTargets: (callback) =>
      state.onChange(({ events }) => {
        if (events.some(({ object }) => object.kind === 'Target')) callback();
      }),
    close() {
      state.close();
      subscribed.clear();
    },
  };
}

/** Whose ticket that is. Throws ControlRefusal CHP-2001, the same one whatever is wrong. */
export function authenticateTicket(
  state: PolicyState,
  tickets: TicketStore,
  user: string,
  secret: string,
  targetUid: string,
): AuthenticatedCaller {
  const identity = state.identityNamed(user, targetUid);
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
}
