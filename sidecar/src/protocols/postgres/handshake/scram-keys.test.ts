import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { ScramClient } from './scram.ts';
import { isRemembered, rememberScramKeys, scramKeys } from './scram-keys.ts';

// RFC 7677 §3.
const nonce = 'rOprNGfwEbeRWgbNEkqO';
const serverNonce = `${nonce}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0`;
const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');
const serverFirst = Buffer.from(`r=${serverNonce},s=${salt.toString('base64')},i=4096`);
const serverFinal = Buffer.from('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=');

async function exchange(password: string): Promise<{ proof: string; verify: () => void }> {
  const scram = new ScramClient({
    password,
    username: 'user',
    channelBinding: 'None',
    minIterations: 1,
    maxIterations: 1_000_000,
    nonce,
  });
  scram.first();
  const proof = (await scram.final(serverFirst)).toString();
  return { proof, verify: () => scram.verify(serverFinal) };
}

test('a login that succeeded is remembered, and the next one proves the same', async () => {
  const first = await exchange('pencil');
  expect(isRemembered(await scramKeys('pencil', salt, 4096))).toBe(false);
  first.verify();
  expect(isRemembered(await scramKeys('pencil', salt, 4096))).toBe(true);
  const second = await exchange('pencil');
  expect(second.proof).toBe(first.proof);
  expect(second.verify).not.toThrow();
});

test('a server that does not know the password leaves nothing behind', async () => {
  const { verify } = await exchange('another');
  expect(verify).toThrow('does not know');
  expect(isRemembered(await scramKeys('another', salt, 4096))).toBe(false);
});

test('another password, salt or count is another derivation', async () => {
  rememberScramKeys(await scramKeys('pencil', salt, 16));
  for (const [password, bytes, iterations] of [
    ['pencil', salt, 16],
    ['pencil', salt, 17],
    ['pencil', Buffer.from('other'), 16],
    ['pencil2', salt, 16],
  ] as const) {
    const { clientKey, storedKey, serverKey } = await scramKeys(password, bytes, iterations);
    // RFC 5802 §3.
    const salted = pbkdf2Sync(password, bytes, iterations, 32, 'sha256');
    const keyOf = (what: string): Buffer => createHmac('sha256', salted).update(what).digest();
    expect(clientKey).toEqual(keyOf('Client Key'));
    expect(storedKey.export()).toEqual(createHash('sha256').update(clientKey).digest());
    expect(serverKey.export()).toEqual(keyOf('Server Key'));
  }
});

test('a hostile server with ever new salts takes no more memory than some', async () => {
  const salts = Array.from({ length: 200 }, (_, index) => Buffer.from(`salt ${index}`));
  const made = await Promise.all(salts.map((one) => scramKeys('pencil', one, 1)));
  made.forEach(rememberScramKeys);
  expect(made.filter(isRemembered)).toEqual(made.slice(-64));
});
