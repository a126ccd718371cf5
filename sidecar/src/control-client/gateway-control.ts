import {
  type AuthenticatedCaller,
  type BackendReport,
  type ControlClient,
  ControlRefusal,
  type LeasedCredential,
  type LeaseTarget,
} from '@chaperone/core/control/types.ts';
import type { AuthenticateRequest } from '@chaperone/core/control/wire.ts';
import type { PolicyBundle } from '@chaperone/core/policy/types.ts';
import type { Clock, Timer } from '@chaperone/runtime/clock.ts';
import { readCaller } from './answers.ts';
import type { BackendReporter } from './backend-reporter.ts';
import type { ControlTokens } from './event-source.ts';
import { asRefusal, type Leases, withToken } from './leases.ts';
import type { PolicyApi } from './policy-api.ts';
import type { PolicyStream } from './policy-stream.ts';

export interface GatewayControlOptions {
  readonly api: PolicyApi;
  readonly tokens: ControlTokens;
  readonly leases: Leases;
  readonly reporter: BackendReporter;
  readonly clock: Clock;
  /** Begins to follow the policy of an identity. */
  readonly follow: (identityUid: string) => PolicyStream;
}

/** A caller waits no longer than this for its first policy. */
const firstPolicyMs = 10_000;
/** How long a policy is followed that no session uses. */
const graceMs = 5 * 60_000;
/** Identities followed at once; callers of others are refused meanwhile. */
const maxIdentities = 2000;

interface Followed {
  readonly stream: PolicyStream;
  /** Sessions, and logins under way. */
  users: number;
  end: Timer | undefined;
}

/** The control plane for a gateway: each caller proves who it is, and has that identity's policy. */
export class GatewayControl implements ControlClient {
  readonly proof = 'Password';
  readonly #options: GatewayControlOptions;
  readonly #followed = new Map<string, Followed>();

  constructor(options: GatewayControlOptions) {
    this.#options = options;
  }

  async authenticate(
    user: string,
    secret: string,
    targetUid: string,
  ): Promise<AuthenticatedCaller> {
    const { api, tokens, clock } = this.#options;
    const request: AuthenticateRequest = { user, secret, targetUid };
    let caller: AuthenticatedCaller;
    try {
      const answer = await withToken(tokens, clock, (token) =>
        api.post('/v1/authenticate', request, token),
      );
      caller = readCaller(answer);
    } catch (error) {
      throw asRefusal(error);
    }
    const { stream } = this.#use(caller.identityUid);
    try {
      await stream.whenAnswered(firstPolicyMs);
      if (stream.bundle === undefined) throw stream.refusal;
      return caller;
    } finally {
      this.#release(caller.identityUid);
    }
  }

  bundle(identityUid: string): PolicyBundle | undefined {
    return this.#followed.get(identityUid)?.stream.bundle;
  }

  subscribe(identityUid: string, onBundle: (bundle: PolicyBundle | undefined) => void): () => void {
    const { stream } = this.#use(identityUid);
    const unsubscribe = stream.subscribe(onBundle);
    let over = false;
    return () => {
      if (over) return;
      over = true;
      unsubscribe();
      this.#release(identityUid);
    };
  }

  isStale(identityUid: string): boolean {
    return this.#followed.get(identityUid)?.stream.isStale() ?? true;
  }

  lease(
    identityUid: string,
    target: LeaseTarget,
    refused?: LeasedCredential,
  ): Promise<LeasedCredential> {
    return this.#options.leases.get(identityUid, target, refused);
  }

  reportBackend(report: BackendReport): void {
    this.#options.reporter.report(report);
  }

  /** Age of the oldest policy that sessions use; 0 when there is none. */
  oldestAgeMs(): number {
    const ages = [...this.#followed.values()]
      .filter(({ users, stream }) => users > 0 && stream.answered)
      .map(({ stream }) => stream.ageMs());
    return Math.max(0, ...ages);
  }

  /** See PolicyStream.revoke; of all. */
  revoke(refusal: ControlRefusal): void {
    for (const { stream } of this.#followed.values()) stream.revoke(refusal);
  }

  close(): void {
    for (const { stream, end } of this.#followed.values()) {
      end?.cancel();
      stream.close();
    }
    this.#followed.clear();
  }

  #use(identityUid: string): Followed {
    let followed = this.#followed.get(identityUid);
    if (followed === undefined) {
      if (this.#followed.size >= maxIdentities) {
        throw new ControlRefusal(
          'CHP-2020',
          'This gateway serves as many identities as it can.',
          'Try again later, or use another gateway.',
        );
      }
      followed = { stream: this.#options.follow(identityUid), users: 0, end: undefined };
      this.#followed.set(identityUid, followed);
    }
    followed.end?.cancel();
    followed.users += 1;
    return followed;
  }

  #release(identityUid: string): void {
    const followed = this.#followed.get(identityUid);
    if (followed === undefined) return;
    followed.users -= 1;
    if (followed.users > 0) return;
    followed.end = this.#options.clock.setTimer(graceMs, () => {
      followed.stream.close();
      this.#followed.delete(identityUid);
      this.#options.leases.forget(identityUid);
    });
  }
}
