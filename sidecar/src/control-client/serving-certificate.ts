import { generateKeyPairSync } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import { ControlRefusal } from '@chaperone/core/control/types.ts';
import type { CertificateRequest } from '@chaperone/core/control/wire.ts';
import type { Clock, Timer } from '@chaperone/runtime/clock.ts';
import type { Logger } from '@chaperone/runtime/logging/logger.ts';
import { Backoff } from '@chaperone/runtime/recorder/backoff.ts';
import type { ServerTls } from '../protocols/postgres/handshake/server-tls.ts';
import { readCertificate } from './answers.ts';
import type { ControlTokens } from './event-source.ts';
import { withToken } from './leases.ts';
import type { PolicyApi } from './policy-api.ts';

export interface ServingCertificateOptions {
  readonly api: PolicyApi;
  readonly tokens: ControlTokens;
  readonly clock: Clock;
  /** 0 ≤ x < 1, for jitter. */
  readonly random: () => number;
  readonly logger: Logger;
}

const renewAfter = 2 / 3;
/** However short-lived the certificate, or wrong the clock. */
const leastRenewMs = 60_000;
const firstRetryMs = 1000;
const maxRetryMs = 60_000;
const refusedRetryMs = 10 * 60_000;

/**
 * The certificate that callers are shown, for the names of the targets that we stand in for. The key is made
 * here and never leaves memory; the policy API signs it, anew before it ends and when the targets change.
 */
export class ServingCertificate implements ServerTls {
  readonly #options: ServingCertificateOptions;
  readonly #backoff: Backoff;
  readonly #key: string;
  readonly #publicKey: string;
  #context: SecureContext | undefined;
  #expiresMs = 0;
  #timer: Timer | undefined;
  #asking = false;
  #answered = false;
  #again = false;
  #closed = false;
  /** Which targets it was asked for. */
  #subject: string | undefined;

  constructor(options: ServingCertificateOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.random, firstRetryMs, maxRetryMs);
    const pair = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    this.#key = pair.privateKey;
    this.#publicKey = pair.publicKey;
  }

  /** Undefined while there is none that is good: TLS is then not offered. */
  secureContext(): SecureContext | undefined {
    return this.#options.clock.nowMs() < this.#expiresMs ? this.#context : undefined;
  }

  /** Asked for, and neither given nor refused yet. */
  get pending(): boolean {
    return this.#subject !== undefined && !this.#answered;
  }

  /** Has it issued, or issued anew if `subject` (which targets there are) is another than before. */
  require(subject: string): void {
    if (subject === this.#subject) return;
    this.#subject = subject;
    this.#again = this.#asking;
    if (!this.#asking) this.#ask();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #ask(): void {
    this.#timer?.cancel();
    this.#asking = true;
    void this.#issue().then((delayMs) => {
      this.#asking = false;
      this.#answered = true;
      if (this.#closed) return;
      const again = this.#again;
      this.#again = false;
      if (again) this.#ask();
      else this.#timer = this.#options.clock.setTimer(delayMs, () => this.#ask());
    });
  }

  /** Resolves with the delay to the next time. */
  async #issue(): Promise<number> {
    const { api, tokens, clock, logger } = this.#options;
    const request: CertificateRequest = { publicKey: this.#publicKey };
    try {
      const answer = await withToken(tokens, clock, (token) =>
        api.post('/v1/certificates', request, token),
      );
      const { certificateChain, expiresMs } = readCertificate(answer);
      this.#context = createSecureContext({
        cert: certificateChain,
        key: this.#key,
        minVersion: 'TLSv1.2',
      });
      this.#expiresMs = expiresMs;
      this.#backoff.reset();
      return Math.max(leastRenewMs, (expiresMs - clock.nowMs()) * renewAfter);
    } catch (error) {
      // Nothing that trying again would change: other targets would.
      const delayMs = error instanceof ControlRefusal ? refusedRetryMs : this.#backoff.next();
      logger.warn({ err: error, retryInMs: delayMs }, 'no serving certificate');
      return delayMs;
    }
  }
}
