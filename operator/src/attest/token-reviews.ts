/** Questions to the API server whose token that is, no more of them than it takes. */
import { createHash } from 'node:crypto';
import { TooMany } from '@chaperone/control/policy-api/attestor.ts';
import type { Clock } from '@chaperone/runtime/clock.ts';
import { FairSlots } from '@chaperone/runtime/limits/fair-slots.ts';
import { RateLimits } from '@chaperone/runtime/limits/rate-limits.ts';
import { likelyClaims, type TokenClaims } from './token-claims.ts';
import type { ReviewedToken } from './token-review.ts';

export type ReviewOutcome =
  | 'Valid'
  | 'Invalid'
  | 'Failed'
  /** Not asked: said before, */
  | 'Cached'
  /** no good token by its own claims, */
  | 'Unlikely'
  /** or too many were shown. */
  | 'Overloaded';

export interface TokenReviewsOptions {
  readonly audience: string;
  /** Asks. See reviewToken. */
  readonly ask: (token: string, claims: TokenClaims) => Promise<ReviewedToken | undefined>;
  readonly clock: Clock;
  readonly onOutcome: (outcome: ReviewOutcome) => void;
}

/** A token's review, and whether it was made just now. */
export interface Review {
  readonly reviewed: ReviewedToken | undefined;
  readonly cached: boolean;
}

interface Good {
  readonly reviewed: ReviewedToken;
  /** Monotonic ms: served without asking until then. */
  readonly untilMs: number;
}

/**
 * How long an answer serves again: a ServiceAccount that is deleted, or a token's pod, is not believed for
 * longer than this and the 10 s that the API server itself remembers.
 */
export const keptMs = 5000;
/** Of answers of either kind. */
const maxKept = 10_000;

/** At once, of all; of one ServiceAccount, as tokens of one source claim it; and how many wait. */
const slots = { slots: 32, perKey: 8, waiting: 256 };
/** Of tokens that were not found good before. */
const perSource = { burst: 400, perSecond: 100 };
/** Likewise of one source: others claim a name in vain to keep out whose it is. */
const perSubject = { burst: 100, perSecond: 20 };

export class TokenReviews {
  readonly #options: TokenReviewsOptions;
  readonly #slots = new FairSlots(slots);
  readonly #sources = new RateLimits(perSource);
  readonly #subjects = new RateLimits(perSubject);
  /** By SHA-256 of the token, in order of asking. They stay known as good beforehand when they are over. */
  readonly #good = new Map<string, Good>();
  /** Likewise: until when (monotonic ms) the API server is not asked again. Apart, to push out none that is good. */
  readonly #bad = new Map<string, number>();
  readonly #asking = new Map<string, Promise<ReviewedToken | undefined>>();

  constructor(options: TokenReviewsOptions) {
    this.#options = options;
  }

  /** `source`: who shows it, for its share. Throws TooMany, and what `ask` throws. */
  async review(token: string, source: string): Promise<Review> {
    const { audience, clock, onOutcome } = this.#options;
    const claims = likelyClaims(token, audience, clock.nowMs());
    if (claims === undefined) {
      onOutcome('Unlikely');
      return { reviewed: undefined, cached: false };
    }
    const digest = createHash('sha256').update(token).digest('base64');
    const good = this.#good.get(digest);
    const nowMs = clock.monotonicUs() / 1000;
    if (nowMs < (good?.untilMs ?? this.#bad.get(digest) ?? 0)) {
      onOutcome('Cached');
      return { reviewed: good?.reviewed, cached: true };
    }
    const asking = this.#asking.get(digest);
    if (asking !== undefined) {
      onOutcome('Cached');
      return { reviewed: await asking, cached: true };
    }
    // Who invents tokens spends the share of its source, and there of the name that it claims, but keeps
    // nobody out whose token was found good before, or who comes from elsewhere.
    const party = JSON.stringify([source, claims.subject]);
    const mayAsk =
      good !== undefined ||
      (this.#sources.take(source, nowMs) && this.#subjects.take(party, nowMs));
    if (!mayAsk) return this.#overloaded();
    const answer = this.#ask(token, digest, claims, party).finally(() =>
      this.#asking.delete(digest),
    );
    this.#asking.set(digest, answer);
    return { reviewed: await answer, cached: false };
  }

  /** `party`: whose share of the questions under way it takes. */
  async #ask(
    token: string,
    digest: string,
    claims: TokenClaims,
    party: string,
  ): Promise<ReviewedToken | undefined> {
    const { ask, clock, onOutcome } = this.#options;
    const release = await this.#slots.acquire(party);
    if (release === undefined) return this.#overloaded();
    let reviewed: ReviewedToken | undefined;
    try {
      reviewed = await ask(token, claims);
    } catch (error) {
      onOutcome('Failed');
      throw error;
    } finally {
      release();
    }
    onOutcome(reviewed === undefined ? 'Invalid' : 'Valid');
    this.#keep(digest, reviewed, clock.monotonicUs() / 1000, claims.expiresMs - clock.nowMs());
    return reviewed;
  }

  #keep(digest: string, reviewed: ReviewedToken | undefined, nowMs: number, leftMs: number): void {
    this.#good.delete(digest);
    this.#bad.delete(digest);
    const untilMs = nowMs + Math.max(0, Math.min(keptMs, leftMs));
    if (reviewed === undefined) put(this.#bad, digest, untilMs);
    else put(this.#good, digest, { reviewed, untilMs });
  }

  #overloaded(): never {
    this.#options.onOutcome('Overloaded');
    throw new TooMany('too many ServiceAccount tokens are shown');
  }
}

/** The oldest makes room. */
function put<Value>(map: Map<string, Value>, key: string, value: Value): void {
  if (map.size >= maxKept) map.delete(map.keys().next().value!);
  map.set(key, value);
}
