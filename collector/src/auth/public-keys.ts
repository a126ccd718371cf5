import type { Clock } from '@chaperone/runtime/clock.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import type { FollowedFile } from '@chaperone/runtime/files/followed-file.ts';
import { HttpClient } from '@chaperone/runtime/http/client.ts';
import { type CryptoKey, importJWK, type JWK } from 'jose';

export interface PublicKeysOptions {
  /** Of the policy API: `https://host:port`. */
  readonly url: string;
  /** PEM of the authorities that its certificate may come from. */
  readonly ca: FollowedFile;
  readonly clock: Clock;
  /**
   * Told of keys that could not be fetched; those before stay. `starting`: none ever were, and it is not long
   * that they are asked for, as where all of Chaperone is being installed.
   */
  readonly onProblem: (error: unknown, starting: boolean) => void;
}

/** Between two fetches, however many tokens of unknown keys come. */
const leastFetchMs = 10_000;
/** After one that failed. */
const retryMs = 1000;
/** A key that was withdrawn is good no longer than this. */
const refreshMs = 5 * 60_000;
/** The policy API may take so long to come up beside us. */
const startingMs = 60_000;

/** The policy API's public keys, fetched when one is asked for that is not known, and now and then. */
export class PublicKeys {
  readonly #options: PublicKeysOptions;
  #keys: ReadonlyMap<string, CryptoKey> | undefined;
  #firstTriedMs: number | undefined;
  #fetchedMs = Number.NEGATIVE_INFINITY;
  #triedMs = Number.NEGATIVE_INFINITY;
  #fetching: Promise<void> | undefined;
  /** Counts the sets of keys: what was verified by one need not hold by the next. */
  #generation = 0;

  constructor(options: PublicKeysOptions) {
    this.#options = options;
  }

  get generation(): number {
    return this.#generation;
  }

  /** Undefined: the policy API has no such key. Throws ChaperoneError CHP-6012 while it never was asked. */
  async find(kid: string): Promise<CryptoKey | undefined> {
    const nowMs = this.#nowMs();
    if (this.#keys?.has(kid) !== true) await this.#fetch(nowMs);
    else this.refresh();
    if (this.#keys === undefined) {
      throw new ChaperoneError('CHP-6012', 'the public keys of the policy API are not known yet');
    }
    return this.#keys.get(kid);
  }

  /** Fetches them when it is time to; what is in force stays so meanwhile. */
  refresh(): void {
    const nowMs = this.#nowMs();
    if (nowMs - this.#fetchedMs >= refreshMs) void this.#fetch(nowMs);
  }

  #fetch(nowMs: number): Promise<void> {
    if (this.#fetching !== undefined) return this.#fetching;
    const waitMs = this.#fetchedMs === this.#triedMs ? leastFetchMs : retryMs;
    if (nowMs - this.#triedMs < waitMs) return Promise.resolve();
    this.#triedMs = nowMs;
    this.#firstTriedMs ??= nowMs;
    const starting = this.#keys === undefined && nowMs - this.#firstTriedMs < startingMs;
    this.#fetching = this.#load()
      .then((keys) => {
        this.#keys = keys;
        this.#fetchedMs = nowMs;
        this.#generation += 1;
      })
      .catch((error: unknown) => this.#options.onProblem(error, starting))
      .finally(() => {
        this.#fetching = undefined;
      });
    return this.#fetching;
  }

  async #load(): Promise<ReadonlyMap<string, CryptoKey>> {
    const { url: baseUrl, ca, clock } = this.#options;
    const client = new HttpClient({ baseUrl, ca: ca.text(), clock, maxResponseBytes: 64 * 1024 });
    try {
      const answer = (await client.json({ method: 'GET', path: '/v1/jwks' })) as {
        readonly keys?: readonly JWK[];
      } | null;
      const keys = new Map<string, CryptoKey>();
      for (const jwk of answer?.keys ?? []) {
        if (typeof jwk.kid !== 'string' || jwk.kty !== 'EC' || jwk.crv !== 'P-256') continue;
        // Of the key, the public half alone: whatever else stands there is not used.
        const { kid, kty, crv, x, y } = jwk;
        keys.set(kid, (await importJWK({ kty, crv, x, y } as JWK, 'ES256')) as CryptoKey);
      }
      if (keys.size === 0) {
        throw new ChaperoneError('CHP-6009', `${baseUrl}/v1/jwks holds no key of P-256`);
      }
      return keys;
    } finally {
      client.close();
    }
  }

  #nowMs(): number {
    return this.#options.clock.monotonicUs() / 1000;
  }
}
