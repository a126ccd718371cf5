/** The policy API over HTTPS: pods that are gone, and callers who ask for too much. */
import type { Attestor } from '@chaperone/control/policy-api/attestor.ts';
import { TooMany } from '@chaperone/control/policy-api/attestor.ts';
import {
  plainAttestor,
  type TestPolicyApi,
  type TestStream,
  testPolicyApi,
} from '@chaperone/control/policy-api/testing.ts';
import { type TestDirectory, testDirectory } from '@chaperone/control/store/testing.ts';
import { manualClock } from '@chaperone/runtime/clock.ts';
import { afterEach, describe, expect, test } from '@jest/globals';

let directory: TestDirectory;
let api: TestPolicyApi;
let opened: TestStream | undefined;

afterEach(async () => {
  opened?.close();
  opened = undefined;
  await api?.close();
  await directory?.close();
});

async function start(attestor: Partial<Attestor>, options: object = {}): Promise<void> {
  directory = testDirectory({});
  api = await testPolicyApi(directory.state, await directory.open(), {
    attestor: { ...plainAttestor, ...attestor },
    ...options,
  });
}

type Answer = Awaited<ReturnType<TestPolicyApi['request']>>;
const codeOf = ({ status, body }: Answer): string =>
  `${status} ${(body as { code?: string }).code}`;

describe('a control token whose pod is gone', () => {
  const calls = [
    ['GET', '/v1/policy'],
    ['POST', '/v1/credentials/some-target', {}],
    ['POST', '/v1/certificates', { publicKey: 'x' }],
    ['GET', '/v1/targets'],
    ['POST', '/v1/authenticate', { user: 'a', secret: 'b', targetUid: 'c' }],
    ['GET', '/v1/policy?identity=some-identity'],
  ] as const;

  test('is good for nothing, while others are', async () => {
    const gone = new Set<string>();
    await start({ stillThere: async ({ uid }) => !gone.has(uid) });
    const pods = [await api.attest('pod.payments.report.u1'), await api.attest('gateway')];
    gone.add('u1').add('gateway-0');
    for (const token of pods) {
      for (const [method, path, body] of calls) {
        const answer = await api.request(method, path, { token, body });
        expect([path, codeOf(answer)]).toEqual([path, '401 CHP-2007']);
      }
    }
    const other = await api.attest('pod.payments.report.u2');
    opened = await api.stream('/v1/policy', other);
    expect((await opened.next()).event).toBe('policy');
  });

  test('is asked about by the name that it was made for', async () => {
    const asked: unknown[] = [];
    await start({
      stillThere: async (pod) => {
        asked.push(pod);
        return true;
      },
    });
    const token = await api.attest('pod.payments.report.u1');
    await api.request('POST', '/v1/certificates', { token, body: { publicKey: 'x' } });
    expect(asked).toEqual([{ namespace: 'payments', name: 'pod-u1', uid: 'u1' }]);
  });

  test('is not good, and not bad, while nobody can tell', async () => {
    await start({
      stillThere: async () => {
        throw new Error('the API server is away');
      },
    });
    const token = await api.attest('pod.payments.report.u1');
    const answer = await api.request('POST', '/v1/credentials/some-target', { token, body: {} });
    expect(codeOf(answer)).toBe('503 CHP-7003');
    expect(answer.headers['retry-after']).toBe('1');
    expect(answer.text).not.toContain('is away');
  });

  test('ends its stream that is open', async () => {
    const clock = manualClock(Date.now());
    let gone = false;
    await start({ isGone: () => gone }, { clock });
    opened = await api.stream('/v1/policy', await api.attest('pod.payments.report.u1'));
    await opened.next();
    clock.advance(1000);
    gone = true;
    clock.advance(1000);
    await opened.ended;
  });
});

describe('who asks for too much', () => {
  const attest = (token: string) =>
    api.request('POST', '/v1/attest', {
      token,
      body: { program: { name: 'sidecar', version: '1' }, bundleVersions: [1] },
    });

  test('attests so often from one address and is then told to wait', async () => {
    let reviews = 0;
    const clock = manualClock(Date.now());
    await start(
      {
        attest: async (token, address) => {
          reviews += 1;
          return plainAttestor.attest(token, address);
        },
      },
      { clock },
    );
    const answers: Answer[] = [];
    for (let count = 0; count < 40; count += 1) answers.push(await attest('nobody'));
    expect(answers.map(codeOf)).toEqual([
      ...Array(30).fill('403 CHP-2006'),
      ...Array(10).fill('429 CHP-7002'),
    ]);
    expect(answers.at(-1)!.headers['retry-after']).toBe('1');
    expect(reviews).toBe(30);
    clock.advance(1000);
    expect(codeOf(await attest('nobody'))).toBe('403 CHP-2006');
  });

  test('is not told from others where all share an address', async () => {
    await start({}, { sharedAddresses: true, clock: manualClock(Date.now()) });
    for (let count = 0; count < 40; count += 1) {
      expect(codeOf(await attest('nobody'))).toBe('403 CHP-2006');
    }
  });

  test('has some attestations under way at once, and the rest waits', async () => {
    let under = 0;
    const waiting: (() => void)[] = [];
    const begun = Promise.withResolvers<void>();
    await start({
      attest: async (token, address) => {
        under += 1;
        if (under === 8) begun.resolve();
        await new Promise<void>((resolve) => waiting.push(resolve));
        return plainAttestor.attest(token, address);
      },
    });
    const all = Array.from({ length: 20 }, (_, index) => attest(`pod.payments.report.u${index}`));
    await begun.promise;
    // One more request has been answered behind them: they have all been looked at.
    await api.request('GET', '/v1/jwks');
    expect(under).toBe(8);
    let done = false;
    const end = Promise.all(all).then((answers) => {
      done = true;
      return answers;
    });
    while (!done) {
      for (const resolve of waiting.splice(0)) resolve();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await end).every(({ status }) => status === 200)).toBe(true);
  });

  test('of a caller’s tokens is told so, and no ticket is tried instead', async () => {
    let shown: unknown[] = [];
    await start({
      authenticate: async (token, gateway) => {
        shown = [token, gateway];
        throw new TooMany('too many');
      },
    });
    const answer = await api.request('POST', '/v1/authenticate', {
      token: await api.attest('gateway'),
      body: { user: 'report', secret: 'x', targetUid: 'y' },
    });
    expect(codeOf(answer)).toBe('429 CHP-7002');
    expect(shown).toEqual(['x', 'gateway-0']);
  });
});
