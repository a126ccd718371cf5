import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ScramClient, ScramError, type ScramOptions } from './scram.ts';

// RFC 7677 §3.
const nonce = 'rOprNGfwEbeRWgbNEkqO';
const serverNonce = `${nonce}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0`;
const serverFirst = `r=${serverNonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`;
const clientFinal = `c=biws,r=${serverNonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`;
const serverFinal = 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=';

function client(options: Partial<ScramOptions> = {}): ScramClient {
  return new ScramClient({
    password: 'pencil',
    username: 'user',
    channelBinding: 'None',
    minIterations: 1,
    maxIterations: 1_000_000,
    nonce,
    ...options,
  });
}

async function codeOf(action: () => unknown): Promise<ScramError['code'] | undefined> {
  try {
    await action();
  } catch (error) {
    if (error instanceof ScramError) return error.code;
    throw error;
  }
  return undefined;
}

test('the example of RFC 7677', async () => {
  const scram = client();
  expect(scram.first().toString()).toBe(`n,,n=user,r=${nonce}`);
  expect((await scram.final(Buffer.from(serverFirst))).toString()).toBe(clientFinal);
  expect(() => scram.verify(Buffer.from(serverFinal))).not.toThrow();
});

describe('channel binding', () => {
  test.each([
    ['None', 'n,,', 'biws'],
    ['NotOffered', 'y,,', 'eSws'],
    [{ data: Buffer.of(1, 2, 3) }, 'p=tls-server-end-point,,', undefined],
  ] as const)('%j', async (channelBinding, header, encoded) => {
    const scram = client({ channelBinding });
    expect(scram.first().toString().startsWith(`${header}n=`)).toBe(true);
    const final = (await scram.final(Buffer.from(serverFirst))).toString();
    const binding =
      encoded ?? Buffer.concat([Buffer.from(header), Buffer.of(1, 2, 3)]).toString('base64');
    expect(final.startsWith(`c=${binding},r=`)).toBe(true);
  });
});

describe('a hostile server-first-message', () => {
  const salt = 'W22ZaJ0SNY7soEsUEjb6gQ==';
  test.each([
    ['empty', '', 'Malformed'],
    ['of garbage', '\xff\xfe\x00garbage', 'Malformed'],
    ['with an extension', `${serverFirst},x=1`, 'Malformed'],
    ['with a mandatory extension', `m=1,${serverFirst}`, 'Malformed'],
    ['with another nonce', `r=other,s=${salt},i=4096`, 'Nonce'],
    ['with our own nonce', `r=${nonce},s=${salt},i=4096`, 'Nonce'],
    ['with a comma within the nonce', `r=${nonce},,s=${salt},i=4096`, 'Malformed'],
    ['without salt', `r=${serverNonce},s=,i=4096`, 'Malformed'],
    ['with a salt that is not base64', `r=${serverNonce},s=W=2Z,i=4096`, 'Malformed'],
    ['with a salt spelt otherwise', `r=${serverNonce},s=AB==,i=4096`, 'Malformed'],
    ['with 0 iterations', `r=${serverNonce},s=${salt},i=0`, 'Malformed'],
    ['with -1 iterations', `r=${serverNonce},s=${salt},i=-1`, 'Malformed'],
    ['with 2³² + 1 iterations', `r=${serverNonce},s=${salt},i=4294967297`, 'Iterations'],
    ['with 2³¹ - 1 iterations', `r=${serverNonce},s=${salt},i=2147483647`, 'Iterations'],
    ['with 10^400 iterations', `r=${serverNonce},s=${salt},i=1${'0'.repeat(400)}`, 'Malformed'],
    ['with iterations below the bound', `r=${serverNonce},s=${salt},i=99`, 'Iterations'],
    ['of 64 KiB', `r=${nonce}${'x'.repeat(65_000)},s=${salt},i=4096`, 'Malformed'],
  ])('%s', async (_, message, code) => {
    const scram = client({ minIterations: 100 });
    scram.first();
    expect(await codeOf(() => scram.final(Buffer.from(message, 'latin1')))).toBe(code);
  });

  test('cut at every offset', async () => {
    for (let end = 0; end < serverFirst.length - 4; end += 1) {
      const scram = client();
      scram.first();
      expect(await codeOf(() => scram.final(Buffer.from(serverFirst.slice(0, end))))).toBeDefined();
    }
  });

  test('random bytes end in a ScramError', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        const scram = client();
        scram.first();
        expect(await codeOf(() => scram.final(Buffer.from(bytes)))).toBeDefined();
      }),
    );
  });
});

describe('a hostile server-final-message', () => {
  test.each([
    ['empty', '', 'Malformed'],
    ['an error', 'e=invalid-proof', 'Rejected'],
    ['no signature', 'v=', 'Malformed'],
    ['another signature', `v=${Buffer.alloc(32).toString('base64')}`, 'Signature'],
    ['a short signature', 'v=6rri', 'Signature'],
    ['a signature and more', `${serverFinal},x=1`, 'Malformed'],
    ['the signature spelt otherwise', `${serverFinal}=`, 'Malformed'],
  ])('%s', async (_, message, code) => {
    const scram = client();
    scram.first();
    await scram.final(Buffer.from(serverFirst));
    expect(await codeOf(() => scram.verify(Buffer.from(message)))).toBe(code);
  });

  test('the right one for another password', async () => {
    const scram = client({ password: 'pencil2' });
    scram.first();
    await scram.final(Buffer.from(serverFirst));
    expect(await codeOf(() => scram.verify(Buffer.from(serverFinal)))).toBe('Signature');
  });
});

test('no step can be skipped or repeated', async () => {
  const scram = client();
  const first = Buffer.from(serverFirst);
  const final = Buffer.from(serverFinal);
  expect(await codeOf(() => scram.final(first))).toBe('OutOfOrder');
  expect(await codeOf(() => scram.verify(final))).toBe('OutOfOrder');
  scram.first();
  expect(await codeOf(() => scram.first())).toBe('OutOfOrder');
  expect(await codeOf(() => scram.verify(final))).toBe('OutOfOrder');
  const answer = scram.final(first);
  expect(await codeOf(() => scram.final(first))).toBe('OutOfOrder');
  await answer;
  scram.verify(final);
  expect(await codeOf(() => scram.verify(final))).toBe('OutOfOrder');
});

test('nonces are fresh', () => {
  const firsts = new Set<string>();
  for (let count = 0; count < 100; count += 1) {
    const scram = new ScramClient({
      password: 'p',
      channelBinding: 'None',
      minIterations: 1,
      maxIterations: 1,
    });
    firsts.add(scram.first().toString());
  }
  expect(firsts.size).toBe(100);
});
