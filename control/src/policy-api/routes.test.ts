import { manualClock } from '@chaperone/runtime/clock.ts';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import Fastify, { type FastifyInstance } from 'fastify';
import { answerOf, sendAnswer } from './problems.ts';
import { policyApiRoutes, type RouteParts } from './routes.ts';
import type { TokenBearer } from './tokens.ts';

const clock = manualClock();
let server: FastifyInstance;

beforeEach(() => {
  server = Fastify() as unknown as FastifyInstance;
  server.setErrorHandler((error, _request, reply) => sendAnswer(reply, answerOf(error)));
  policyApiRoutes(server, {
    clock,
    fresh: () => true,
    sharedAddresses: false,
    // A token is the name of its role.
    tokens: { verify: async (role: string) => ({ role, sub: role }) as TokenBearer },
    attestor: { stillThere: async () => true, isGone: () => false },
    service: { reportBackend: () => {} },
  } as unknown as RouteParts);
});
afterEach(() => server.close());

/** How many of `count` reports are taken. */
async function report(role: TokenBearer['role'], count: number): Promise<number> {
  let taken = 0;
  for (let at = 0; at < count; at += 1) {
    const { statusCode } = await server.inject({
      method: 'POST',
      url: `/v1/backends/target-${at}`,
      headers: { authorization: `Bearer ${role}` },
      payload: { outcome: 'Connected', targetGeneration: 1, credentialVersion: '1' },
    });
    expect([202, 429]).toContain(statusCode);
    if (statusCode === 202) taken += 1;
  }
  return taken;
}

test('a program that floods with reports is bounded', async () => {
  expect(await report('Pod', 100)).toBe(60);
  clock.advance(10_000);
  expect(await report('Pod', 100)).toBe(2);
});

test('a gateway may tell of a thousand targets, and every five minutes that it goes on', async () => {
  expect(await report('Gateway', 1100)).toBe(1000);
  clock.advance(5 * 60_000);
  expect(await report('Gateway', 1100)).toBe(1000);
});
