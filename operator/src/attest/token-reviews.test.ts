import { TooMany } from '@chaperone/control/policy-api/attestor.ts';
import { type ManualClock, manualClock } from '@chaperone/runtime/clock.ts';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { likelyClaims } from './token-claims.ts';
import type { ReviewedToken } from './token-review.ts';
import { keptMs, type ReviewOutcome, TokenReviews } from './token-reviews.ts';

const audience = 'chaperone.dev';
const startMs = Date.parse('2026-01-01T00:00:00Z');
const subject = 'system:serviceaccount:payments:report';

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** One with these claims instead of good ones, and a signature that makes it another token. */
function token(claims: object = {}, signature = 'c2ln', header: object = { alg: 'RS256' }): string {
  const exp = startMs / 1000 + 3600;
  const good = { iss: 'https://issuer', sub: subject, aud: [audience], exp };
  return `${part(header)}.${part({ ...good, ...claims })}.${signature}`;
}

describe('by its own claims', () => {
  test('a token is likely to be good', () => {
    const expiresMs = startMs + 3_600_000;
    expect(likelyClaims(token(), audience, startMs)).toEqual({
      issuer: 'https://issuer',
      subject,
      expiresMs,
    });
    expect(likelyClaims(token({ aud: audience }), audience, startMs)).toBeDefined();
    expect(likelyClaims(token(), audience, expiresMs + 59_000)).toBeDefined();
  });

  test.each<[string, string]>([
    ['nothing', ''],
    ['a ticket', `chpt_${'0'.repeat(16)}_${'0'.repeat(64)}`],
    ['two parts', token().split('.').slice(0, 2).join('.')],
    ['four parts', `${token()}.x`],
    ['an empty signature', token({}, '')],
    ['what is not base64url', token({}, 'a+b')],
    ['no JSON', 'e30.YWJj.c2ln'],
    ['a list', `${part({ alg: 'RS256' })}.${part([1])}.c2ln`],
    ['null', `${part({ alg: 'RS256' })}.${part(null)}.c2ln`],
    ['no algorithm', token({}, 'c2ln', {})],
    ['the algorithm none', token({}, 'c2ln', { alg: 'none' })],
    ['another audience', token({ aud: ['https://kubernetes.default.svc'] })],
    ['no audience', token({ aud: undefined })],
    ['an audience that looks alike', token({ aud: ['chaperone.dev.evil'] })],
    ['no issuer', token({ iss: undefined })],
    ['a person', token({ sub: 'alice' })],
    ['no subject', token({ sub: undefined })],
    ['one that is over', token({ exp: startMs / 1000 - 60 })],
    ['one that never ends', token({ exp: undefined })],
    ['one that ends at no number', token({ exp: '9999999999' })],
    ['one that is too long', token({ filler: 'x'.repeat(16 * 1024) })],
  ])('%s is not', (_, text) => {
    expect(likelyClaims(text, audience, startMs)).toBeUndefined();
  });
});

describe('reviews', () => {
  let clock: ManualClock;
  let asked: string[];
  let outcomes: ReviewOutcome[];
  let answer: (token: string) => Promise<ReviewedToken | undefined>;
  let reviews: TokenReviews;
  const good: ReviewedToken = {
    issuer: 'https://issuer',
    namespace: 'payments',
    serviceAccount: 'report',
    expiresMs: startMs + 3_600_000,
  };

  beforeEach(() => {
    clock = manualClock(startMs);
    asked = [];
    outcomes = [];
    answer = async () => good;
    reviews = new TokenReviews({
      audience,
      ask: (one) => {
        asked.push(one);
        return answer(one);
      },
      clock,
      onOutcome: (outcome) => outcomes.push(outcome),
    });
  });
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  test('what cannot be good is not asked for', async () => {
    const review = await reviews.review('not a token', 'gateway');
    expect(review).toEqual({ reviewed: undefined, cached: false });
    expect([asked, outcomes]).toEqual([[], ['Unlikely']]);
  });

  test.each([
    ['good', good],
    ['bad', undefined],
  ])('a %s token is asked for once in a few seconds, and anew after them', async (_, reviewed) => {
    answer = async () => reviewed;
    expect(await reviews.review(token(), 'gateway')).toEqual({ reviewed, cached: false });
    clock.advance(keptMs - 1);
    expect(await reviews.review(token(), 'gateway')).toEqual({ reviewed, cached: true });
    clock.advance(1);
    expect(await reviews.review(token(), 'gateway')).toEqual({ reviewed, cached: false });
    expect(asked).toHaveLength(2);
  });

  test('a token whose ServiceAccount was deleted is believed for those seconds and no longer', async () => {
    await reviews.review(token(), 'gateway');
    answer = async () => undefined;
    clock.advance(keptMs);
    expect((await reviews.review(token(), 'gateway')).reviewed).toBeUndefined();
    expect((await reviews.review(token(), 'gateway')).reviewed).toBeUndefined();
    expect(asked).toHaveLength(2);
  });

  test('no token is served beyond its own end', async () => {
    const ending = token({ exp: startMs / 1000 + 1 });
    await reviews.review(ending, 'gateway');
    clock.advance(1000);
    await reviews.review(ending, 'gateway');
    expect(asked).toHaveLength(2);
    clock.advance(60_000);
    expect((await reviews.review(ending, 'gateway')).reviewed).toBeUndefined();
    expect(asked).toHaveLength(2);
  });

  test('the same token shown often at once is one question', async () => {
    const all = await Promise.all(Array.from({ length: 50 }, () => reviews.review(token(), 'g')));
    expect(all.every(({ reviewed }) => reviewed === good)).toBe(true);
    expect(asked).toHaveLength(1);
  });

  test('a token of the same claims and another signature is another token', async () => {
    await reviews.review(token(), 'gateway');
    answer = async () => undefined;
    expect((await reviews.review(token({}, 'b3RoZXI'), 'gateway')).reviewed).toBeUndefined();
  });

  test('that could not be made are not remembered', async () => {
    answer = async () => {
      throw new Error('away');
    };
    await expect(reviews.review(token(), 'gateway')).rejects.toThrow('away');
    answer = async () => good;
    expect((await reviews.review(token(), 'gateway')).reviewed).toBe(good);
    expect(outcomes).toEqual(['Failed', 'Valid']);
  });

  /** How many of `count` invented tokens were asked for. */
  async function invent(count: number, of: (index: number) => object, source: string) {
    const before = asked.length;
    for (let index = 0; index < count; index += 1) {
      const invented = token(of(index), part(`${source} ${index} ${asked.length}`));
      await reviews.review(invented, source).catch((error: unknown) => {
        if (!(error instanceof TooMany)) throw error;
      });
    }
    return asked.length - before;
  }

  test('invented tokens of one name are asked for so often, and others’ all the same', async () => {
    answer = async () => undefined;
    expect(await invent(500, () => ({}), 'gateway')).toBe(100);
    expect(outcomes.filter((outcome) => outcome === 'Overloaded')).toHaveLength(400);
    expect(await invent(10, () => ({ sub: `${subject}-other` }), 'other')).toBe(10);
    clock.advance(1000);
    expect(await invent(500, () => ({}), 'gateway')).toBe(20);
  });

  test('who invents tokens in another’s name keeps out nobody who comes from elsewhere', async () => {
    answer = async (one) => (one === token() ? good : undefined);
    for (let attacker = 0; attacker < 30; attacker += 1) {
      await invent(30, () => ({}), `10.0.0.${attacker}`);
    }
    expect((await reviews.review(token(), '10.0.1.1')).reviewed).toBe(good);
  });

  test('invented tokens of many names are asked for so often from one source, and others’ all the same', async () => {
    answer = async () => undefined;
    const many = (index: number) => ({ sub: `${subject}-${index}` });
    expect(await invent(1000, many, 'gateway')).toBe(400);
    expect(await invent(10, many, 'other')).toBe(10);
  });

  test('who was found good before is not kept out by tokens that are invented in its name', async () => {
    await reviews.review(token(), 'gateway');
    answer = async (one) => (one === token() ? good : undefined);
    await invent(
      20_000,
      (index) => (index % 2 === 0 ? {} : { sub: `${subject}-${index}` }),
      'gateway',
    );
    clock.advance(keptMs);
    await invent(1000, () => ({}), 'gateway');
    expect((await reviews.review(token(), 'gateway')).reviewed).toBe(good);
  });

  test('no more questions are under way at once than bounds say', async () => {
    let under = 0;
    let most = 0;
    const waiting: (() => void)[] = [];
    answer = async () => {
      under += 1;
      most = Math.max(most, under);
      await new Promise<void>((resolve) => waiting.push(resolve));
      under -= 1;
      return undefined;
    };
    const ask = (index: number, sub: string): Promise<unknown> =>
      reviews.review(token({ sub }, part(index)), 'gateway').catch(() => {});
    const all = Array.from({ length: 50 }, (_, index) => ask(index, subject));
    await turn();
    expect(under).toBe(8);
    all.push(...Array.from({ length: 100 }, (_, index) => ask(index, `${subject}-${index}`)));
    await turn();
    expect(under).toBe(32);
    while (waiting.length > 0) {
      for (const resolve of waiting.splice(0)) resolve();
      await turn();
    }
    await Promise.all(all);
    expect(most).toBe(32);
  });
});
