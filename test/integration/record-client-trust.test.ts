/** What a reader of the record is told when the collector's certificate is not accepted. */
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { RecordClient } from '@chaperone/cli/record-client.ts';
import { issueServing, newAuthority, readIssuer } from '@chaperone/control/certificates/issue.ts';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

const hourMs = 60 * 60 * 1000;
let server: Server;
let root: string;
let stranger: string;

beforeAll(async () => {
  const validity = { nowMs: Date.now(), validMs: hourMs };
  const authority = await newAuthority({ commonName: 'Root', ...validity });
  root = authority.certificate;
  stranger = (await newAuthority({ commonName: 'Stranger', ...validity })).certificate;
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const { chainPem } = await issueServing(await readIssuer(root, authority.privateKey), {
    publicKey: createPublicKey(privateKey),
    commonName: 'collector',
    names: ['collector.example'],
    addresses: ['127.0.0.1'],
    ...validity,
  });
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' });
  server = createServer({ cert: chainPem, key }, (_, response) => {
    response.end('{}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterAll(async () => {
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
});

async function ask(host: string, ca?: string): Promise<unknown> {
  const { port } = server.address() as AddressInfo;
  const url = `https://${host}:${port}`;
  const client = new RecordClient({ url, token: 't', ...(ca !== undefined && { ca }) });
  try {
    return await client.session('one');
  } finally {
    client.close();
  }
}

test.each([
  ['no CA is given', '127.0.0.1', () => undefined, /^Give --ca, a PEM file/],
  ['the CA is of another', '127.0.0.1', () => stranger, /^The file of --ca does not hold the CA/],
  ['the name is another', 'localhost', () => root, /^Give --url with a name/],
])('%s: the hint says what to give', async (_, host, ca, hint) => {
  await expect(ask(host, ca())).rejects.toMatchObject({
    code: 'CHP-6009',
    hint: expect.stringMatching(hint),
  });
});

test('with the CA there is an answer', async () => {
  await expect(ask('127.0.0.1', root)).resolves.toEqual({});
});
