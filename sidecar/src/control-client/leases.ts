import {
  ControlRefusal,
  type LeasedCredential,
  type LeaseTarget,
} from '@chaperone/core/control/types.ts';
import type { CredentialRequest } from '@chaperone/core/control/wire.ts';
import type { Clock } from '@chaperone/runtime/clock.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import type { Logger } from '@chaperone/runtime/logging/logger.ts';
import { type Lease, readLease } from './answers.ts';
import type { ControlTokens } from './event-source.ts';
import { type PolicyApi, TokenRejected } from './policy-api.ts';

export interface LeasesOptions {
  readonly api: PolicyApi;
  readonly tokens: ControlTokens;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Held extends Lease {
  /** What it was asked for; see connectionOf. */
  readonly connection: string;
  /** Of the Target that it was lent for. */
  readonly generation: number;
  /** Epoch ms: from then on another is asked for while this one serves. */
  renewMs: number;
}

/** A caller waits no longer than this for the policy API. */
const timeoutMs = 10_000;
/** Of leases that could not be renewed: until the next attempt. */
const retryMs = 10_000;

/**
 * Backend credentials, in memory only. A lease serves new sessions until it ends, also while the policy API
 * is away; half of its time before that, and when something has changed, another is asked for meanwhile. It
 * serves no other server than it was asked for, and none that is verified otherwise; and the policy API lends
 * none for a Target that is another by now than we know.
 */
export class Leases {
  readonly #options: LeasesOptions;
  readonly #held = new Map<string, Held>();
  readonly #asking = new Map<string, Promise<LeasedCredential>>();
  /** How often something has changed. */
  #changes = 0;

  constructor(options: LeasesOptions) {
    this.#options = options;
  }

  /**
   * `identityUid`: absent for the identity of the pod that we run in. `target`: where the credential is about
   * to be shown. `refused`: one that the backend did not take.
   *
   * @throws ControlRefusal
   */
  async get(
    identityUid: string | undefined,
    target: LeaseTarget,
    refused?: LeasedCredential,
  ): Promise<LeasedCredential> {
    const key = keyOf(identityUid, target.uid);
    const nowMs = this.#options.clock.nowMs();
    const held = this.#held.get(key);
    if (held === undefined || held.connection !== connectionOf(target)) {
      this.#held.delete(key);
      return this.#ask(identityUid, target);
    }
    const isGood = nowMs < held.expiresMs && held.credential.version !== refused?.version;
    if (!isGood) return this.#ask(identityUid, target);
    if (nowMs >= held.renewMs) {
      held.renewMs = nowMs + retryMs;
      this.#ask(identityUid, target).catch(() => {}); // logged, and this one still serves
    }
    return held.credential;
  }

  /** Something about this identity's targets has changed: its leases are renewed when they are next used. */
  changed(identityUid: string | undefined): void {
    this.#changes += 1;
    const nowMs = this.#options.clock.nowMs();
    const prefix = keyOf(identityUid, '');
    for (const [key, held] of this.#held) if (key.startsWith(prefix)) held.renewMs = nowMs;
  }

  /** Nothing of this identity's is kept. */
  forget(identityUid: string | undefined): void {
    const prefix = keyOf(identityUid, '');
    for (const key of [...this.#held.keys()]) if (key.startsWith(prefix)) this.#held.delete(key);
  }

  #ask(identityUid: string | undefined, target: LeaseTarget): Promise<LeasedCredential> {
    const key = `${keyOf(identityUid, target.uid)} ${target.generation} ${connectionOf(target)}`;
    const asking = this.#asking.get(key);
    if (asking !== undefined) return asking;
    const answer = this.#lease(identityUid, target).finally(() => this.#asking.delete(key));
    this.#asking.set(key, answer);
    return answer;
  }

  async #lease(identityUid: string | undefined, target: LeaseTarget): Promise<LeasedCredential> {
    const { api, tokens, clock, logger } = this.#options;
    const key = keyOf(identityUid, target.uid);
    const connection = connectionOf(target);
    const { generation } = target;
    const changes = this.#changes;
    const body: CredentialRequest = {
      ...(identityUid !== undefined && { identityUid }),
      targetGeneration: target.generation,
    };
    try {
      const answer = await withToken(tokens, clock, (token) =>
        api.post(`/v1/credentials/${encodeURIComponent(target.uid)}`, body, token),
      );
      const lease = readLease(answer);
      const nowMs = clock.nowMs();
      // What has changed while it was asked for may have been answered from before.
      const isOfNow = changes === this.#changes;
      const renewMs = isOfNow ? nowMs + (lease.expiresMs - nowMs) / 2 : nowMs;
      const held = this.#held.get(key);
      if (held === undefined || held.generation <= generation) {
        this.#held.set(key, { ...lease, connection, generation, renewMs });
      }
      return lease.credential;
    } catch (error) {
      // The policy API's word holds at once; that it is away, or knows another Target than we, does not end what was
      // lent for this one.
      const isRefused = error instanceof ControlRefusal && error.code !== 'CHP-2014';
      if (isRefused) this.#held.delete(key);
      else logger.warn({ err: error, target: target.uid }, 'no credential could be leased');
      throw asRefusal(error);
    }
  }
}

const keyOf = (identityUid: string | undefined, targetUid: string): string =>
  `${identityUid ?? ''} ${targetUid}`;

/** Equal where the same server is reached and verified in the same way. */
const connectionOf = ({ host, port, tls }: LeaseTarget): string =>
  JSON.stringify([host, port, tls.mode, tls.ca ?? null]);

/** Calls with a control token; once more when it was not taken. */
export async function withToken<Answer>(
  tokens: ControlTokens,
  clock: Clock,
  call: (token: string) => Promise<Answer>,
): Promise<Answer> {
  const end = new AbortController();
  const timer = clock.setTimer(timeoutMs, () =>
    end.abort(new ChaperoneError('CHP-2020', 'there is no attestation')),
  );
  try {
    const token = await tokens.controlToken(end.signal);
    try {
      return await call(token);
    } catch (error) {
      if (!(error instanceof TokenRejected)) throw error;
      tokens.rejected(token);
      return await call(await tokens.controlToken(end.signal));
    }
  } finally {
    timer.cancel();
  }
}

/** What a caller is told of it. */
export function asRefusal(error: unknown): ControlRefusal {
  if (error instanceof ControlRefusal) return error;
  const detail = error instanceof Error ? error.message : String(error);
  return new ControlRefusal(
    'CHP-2020',
    'The policy API cannot be asked now.',
    'Try again later; the operator of the proxy can tell why the policy API is not reachable.',
    detail,
  );
}
