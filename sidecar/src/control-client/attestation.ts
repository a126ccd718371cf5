import { ControlRefusal } from '@chaperone/core/control/types.ts';
import { type AttestRequest, bundleVersions } from '@chaperone/core/control/wire.ts';
import type { Clock, Timer } from '@chaperone/runtime/clock.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import type { FollowedFile } from '@chaperone/runtime/files/followed-file.ts';
import type { Logger } from '@chaperone/runtime/logging/logger.ts';
import { Backoff } from '@chaperone/runtime/recorder/backoff.ts';
import { type Attested, readAttested } from './answers.ts';
import type { ControlTokens } from './event-source.ts';
import { type PolicyApi, TokenRejected } from './policy-api.ts';

export interface AttestationOptions {
  readonly api: PolicyApi;
  /** Our ServiceAccount token. */
  readonly token: FollowedFile;
  readonly program: AttestRequest['program'];
  readonly role: Attested['role'];
  readonly clock: Clock;
  /** 0 ≤ x < 1, for jitter. */
  readonly random: () => number;
  readonly logger: Logger;
  /** The policy API says no, and no token of before is good any more: nothing may be let through. */
  readonly onRevoked: (refusal: ControlRefusal) => void;
}

const renewAfter = 2 / 3;
/** Bounds of the time to the next attestation, however the clocks of the two machines differ. */
const leastRenewMs = 10_000;
const mostRenewMs = 5 * 60_000;
const firstRetryMs = 200;
const maxRetryMs = 15_000;

/** Shows the policy API what we are, and keeps the tokens that it gives for it fresh. */
export class Attestation implements ControlTokens {
  readonly #options: AttestationOptions;
  readonly #backoff: Backoff;
  readonly #waiting = new Set<() => void>();
  #attested: Attested | undefined;
  /** The control token was not taken: nobody gets it any more. */
  #rejected = false;
  #lastError: Error | undefined;
  #timer: Timer | undefined;
  #running = false;
  #closed = false;

  constructor(options: AttestationOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.random, firstRetryMs, maxRetryMs);
    this.#attest();
  }

  /** Undefined before the first time. */
  get current(): Attested | undefined {
    return this.#attested;
  }

  /** Why there is no attestation now, in a few words; undefined when there is. */
  reason(): string | undefined {
    if (this.#attested !== undefined) return undefined;
    const error = this.#lastError;
    if (error === undefined) return 'waiting for the policy API';
    const code = error instanceof ControlRefusal || error instanceof ChaperoneError;
    return code ? `not attested (${error.code})` : 'not attested';
  }

  /** Resolves with the first attestation. Rejects once `signal` is aborted. */
  async first(signal: AbortSignal): Promise<Attested> {
    await this.#until(() => this.#attested !== undefined, signal);
    return this.#attested!;
  }

  async controlToken(signal: AbortSignal): Promise<string> {
    await this.#until(() => this.#attested !== undefined && !this.#rejected, signal);
    return this.#attested!.controlToken;
  }

  rejected(token: string): void {
    if (token !== this.#attested?.controlToken) return;
    this.#rejected = true;
    this.#renewNow();
  }

  /** For the collector. Throws ChaperoneError CHP-2020 before the first attestation. */
  ingestToken(): string {
    if (this.#attested === undefined) {
      throw new ChaperoneError('CHP-2020', 'the policy API has not attested us yet');
    }
    return this.#attested.ingestToken;
  }

  /** The collector did not take that one. */
  ingestRejected(token: string): void {
    if (token === this.#attested?.ingestToken) this.#renewNow();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #until(holds: () => boolean, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        this.#waiting.delete(look);
        signal.removeEventListener('abort', onAbort);
      };
      const onAbort = (): void => {
        end();
        reject(signal.reason);
      };
      const look = (): void => {
        if (!holds()) return;
        end();
        resolve();
      };
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      this.#waiting.add(look);
      signal.addEventListener('abort', onAbort);
      look();
    });
  }

  /** Unless one is under way, or a failed one is about to be repeated. */
  #renewNow(): void {
    if (this.#running || this.#backoff.failures > 0) return;
    this.#attest();
  }

  #attest(): void {
    if (this.#closed) return;
    this.#timer?.cancel();
    this.#running = true;
    void this.#try().then((delayMs) => {
      this.#running = false;
      if (this.#closed) return;
      this.#timer = this.#options.clock.setTimer(delayMs, () => this.#attest());
    });
  }

  /** Resolves with the delay to the next time. */
  async #try(): Promise<number> {
    const { api, token, program, role, clock, logger } = this.#options;
    try {
      const request: AttestRequest = { program, bundleVersions };
      const answer = await api.post('/v1/attest', request, token.text().trim());
      const attested = readAttested(answer);
      if (attested.role !== role) {
        throw new ControlRefusal(
          'CHP-2006',
          `The policy API takes this program for a ${attested.role}.`,
          'Set mode to what the program is.',
        );
      }
      if (this.#attested === undefined) logger.info({ source: attested.source }, 'attested');
      this.#attested = attested;
      this.#rejected = false;
      this.#lastError = undefined;
      this.#backoff.reset();
      for (const look of [...this.#waiting]) look();
      const lifeMs = attested.controlExpiresMs - clock.nowMs();
      return Math.min(mostRenewMs, Math.max(leastRenewMs, lifeMs * renewAfter));
    } catch (error) {
      return this.#failed(error);
    }
  }

  #failed(error: unknown): number {
    const { clock, logger, onRevoked } = this.#options;
    const known =
      error instanceof TokenRejected
        ? new ControlRefusal(
            'CHP-2006',
            'The policy API did not take the ServiceAccount token.',
            'Check that the token is of the audience that the policy API expects.',
          )
        : error;
    this.#lastError = known instanceof Error ? known : new Error(String(known));
    const delayMs = this.#backoff.next();
    logger.warn({ err: known, retryInMs: delayMs }, 'not attested');
    const isOver =
      this.#rejected ||
      this.#attested === undefined ||
      clock.nowMs() >= this.#attested.controlExpiresMs;
    if (known instanceof ControlRefusal && isOver) onRevoked(known);
    return delayMs;
  }
}
