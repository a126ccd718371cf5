import { ControlRefusal, type LeasedCredential } from '@chaperone/core/control/types.ts';
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
  /** Epoch ms: from then on another is asked for while this one serves. */
  renewMs: number;
}

/** A caller waits no longer than this for the policy API. */
const timeoutMs = 10_000;
/** Of leases that could not be renewed: until the next attempt. */
const retryMs = 10_000;

/**
 * Backend credentials, in memory only. A lease serves new sessions until it ends, also while the policy API
 * is away; half of its time before that, and when something has changed, another is asked for meanwhile.
 */
export class Leases {
  readonly #options: LeasesOptions;
  readonly #held = new Map<string, Held>();
  readonly #asking = new Map<string, Promise<LeasedCredential>>();

  constructor(options: LeasesOptions) {
    this.#options = options;
  }

  /**
   * `identityUid`: absent for the identity of the pod that we run in. `refused`: one that the backend did
   * not take.
   *
   * @throws ControlRefusal
   */
  async get(
    identityUid: string | undefined,
    targetUid: string,
    refused?: LeasedCredential,
  ): Promise<LeasedCredential> {
    const key = keyOf(identityUid, targetUid);
    const nowMs = this.#options.clock.nowMs();
    const held = this.#held.get(key);
    const isGood =
      held !== undefined && nowMs < held.expiresMs && held.credential.version !== refused?.version;
    if (!isGood) return this.#ask(key, identityUid, targetUid);
    if (nowMs >= held.renewMs) {
      held.renewMs = nowMs + retryMs;
      this.#ask(key, identityUid, targetUid).catch(() => {}); // logged, and this one still serves
    }
    return held.credential;
  }

  /** Something about this identity's targets has changed: its leases are renewed when they are next used. */
  changed(identityUid: string | undefined): void {
    const nowMs = this.#options.clock.nowMs();
    const prefix = keyOf(identityUid, '');
    for (const [key, held] of this.#held) if (key.startsWith(prefix)) held.renewMs = nowMs;
  }

  /** Nothing of this identity's is kept. */
  forget(identityUid: string | undefined): void {
    const prefix = keyOf(identityUid, '');
    for (const key of [...this.#held.keys()]) if (key.startsWith(prefix)) this.#held.delete(key);
  }

  #ask(key: string, identityUid: string | undefined, targetUid: string): Promise<LeasedCredential> {
    const asking = this.#asking.get(key);
    if (asking !== undefined) return asking;
    const answer = this.#lease(key, identityUid, targetUid).finally(() => this.#asking.delete(key));
    this.#asking.set(key, answer);
    return answer;
  }

  async #lease(
    key: string,
    identityUid: string | undefined,
    targetUid: string,
  ): Promise<LeasedCredential> {
    const { api, tokens, clock, logger } = this.#options;
    const body: CredentialRequest = identityUid === undefined ? {} : { identityUid };
    try {
      const answer = await withToken(tokens, clock, (token) =>
        api.post(`/v1/credentials/${encodeURIComponent(targetUid)}`, body, token),
      );
      const lease = readLease(answer);
      const nowMs = clock.nowMs();
      this.#held.set(key, { ...lease, renewMs: nowMs + (lease.expiresMs - nowMs) / 2 });
      return lease.credential;
    } catch (error) {
      // The policy API's word holds at once; that it is away does not end what was lent.
      if (error instanceof ControlRefusal) this.#held.delete(key);
      else logger.warn({ err: error, target: targetUid }, 'no credential could be leased');
      throw asRefusal(error);
    }
  }
}

const keyOf = (identityUid: string | undefined, targetUid: string): string =>
  `${identityUid ?? ''} ${targetUid}`;

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
