import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { issueServing, newAuthority, publicKeyRefusal, readIssuer } from './issue.ts';

const nowMs = Date.UTC(2026, 0, 1);
const hourMs = 3_600_000;

async function chain() {
  const root = await newAuthority({ commonName: 'test root', nowMs, validMs: 100 * hourMs });
  const parent = await readIssuer(root.certificate, root.privateKey);
  const middle = await newAuthority({
    commonName: 'test middle',
    nowMs,
    validMs: 50 * hourMs,
    parent,
  });
  return { root, issuer: await readIssuer(middle.certificate, middle.privateKey) };
}

describe('certificates', () => {
  test.each<[string, () => ReturnType<typeof generateKeyPairSync>]>([
    ['P-256', () => generateKeyPairSync('ec', { namedCurve: 'P-256' })],
    ['P-384', () => generateKeyPairSync('ec', { namedCurve: 'P-384' })],
    ['RSA', () => generateKeyPairSync('rsa', { modulusLength: 2048 })],
  ])('a leaf for a key on %s has its names and a chain to the root', async (_, make) => {
    const { root, issuer } = await chain();
    const publicKey = createPublicKey(make().privateKey);
    expect(publicKeyRefusal(publicKey)).toBeUndefined();
    const { chainPem, expiresMs } = await issueServing(issuer, {
      publicKey,
      commonName: 'server',
      names: ['db.example.com', 'db'],
      nowMs,
      validMs: 24 * hourMs,
    });
    const [leaf, middle, ...rest] = chainPem
      .split(/(?<=-----END CERTIFICATE-----\n)/)
      .map((pem) => new X509Certificate(pem));
    const top = new X509Certificate(root.certificate);
    expect(rest).toEqual([]);
    expect(leaf!.verify(middle!.publicKey) && middle!.verify(top.publicKey)).toBe(true);
    expect(leaf!.checkIssued(middle!) && middle!.checkIssued(top)).toBe(true);
    expect(leaf!.subjectAltName).toBe('DNS:db.example.com, DNS:db');
    expect(leaf!.ca).toBe(false);
    expect([middle!.ca, top.ca]).toEqual([true, true]);
    expect(leaf!.publicKey.equals(publicKey)).toBe(true);
    expect(expiresMs).toBe(nowMs + 24 * hourMs);
    expect(leaf!.validToDate.getTime()).toBe(expiresMs);
  });

  test('nothing outlives its issuer', async () => {
    const { issuer } = await chain();
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { expiresMs } = await issueServing(issuer, {
      publicKey,
      commonName: 'server',
      names: ['a'],
      nowMs: nowMs + 49 * hourMs,
      validMs: 24 * hourMs,
    });
    expect(expiresMs).toBe(nowMs + 50 * hourMs);
  });

  test.each([
    ['a short RSA key', generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey],
    ['another curve', generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey],
    ['another algorithm', generateKeyPairSync('ed25519').publicKey],
  ])('%s is refused', (_, key) => {
    expect(publicKeyRefusal(key)).toEqual(expect.any(String));
  });

  test('an issuer needs its own key, and the right to sign', async () => {
    const a = await newAuthority({ commonName: 'a', nowMs, validMs: hourMs });
    const b = await newAuthority({ commonName: 'b', nowMs, validMs: hourMs });
    await expect(readIssuer(a.certificate, b.privateKey)).rejects.toThrow('not that of');
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const leaf = await issueServing(await readIssuer(a.certificate, a.privateKey), {
      publicKey: pair.publicKey,
      commonName: 'server',
      names: ['a'],
      nowMs,
      validMs: hourMs,
    });
    const key = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    await expect(readIssuer(leaf.chainPem, key)).rejects.toThrow('may not sign');
  });
});
