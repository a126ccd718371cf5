/** `chaperone policy-api`: what it makes at its first start, and what a gateway gets by it. */
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { createTicket } from '@chaperone/cli/commands/ticket.ts';
import { readPolicyApiConfig } from '@chaperone/cli/policy-api/config.ts';
import {
  type DirectoryPolicyApi,
  startDirectoryPolicyApi,
} from '@chaperone/cli/policy-api/start.ts';
import { systemClock } from '@chaperone/runtime/clock.ts';
import { HttpClient } from '@chaperone/runtime/http/client.ts';
import { createLogger } from '@chaperone/runtime/logging/logger.ts';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

const clock = systemClock();
let base: string;
let running: DirectoryPolicyApi[];

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'chaperone-policy-api-'));
  mkdirSync(join(base, 'resources'));
  cpSync('examples/quickstart', join(base, 'resources'), { recursive: true });
  running = [];
});

afterEach(async () => {
  for (const api of running) await api.close();
  rmSync(base, { recursive: true, force: true });
});

const at = (...path: string[]): string => join(base, 'resources', '.chaperone', ...path);
const read = (...path: string[]): string => readFileSync(at(...path), 'utf8');

async function start(...args: string[]): Promise<DirectoryPolicyApi> {
  const directory = join(base, 'resources');
  const ports = ['--listen-port=0', '--ops-port=0'];
  const config = readPolicyApiConfig([directory, ...ports, ...args], {})!;
  const logger = createLogger({ program: 'policy-api', level: 'silent', clock });
  const api = await startDirectoryPolicyApi(config, { version: 'test', clock, logger });
  running.push(api);
  return api;
}

const program = { program: { name: 'gateway', version: '1' }, bundleVersions: [1] };

async function post(api: DirectoryPolicyApi, path: string, token: string, body: unknown) {
  const client = new HttpClient({ baseUrl: api.url, ca: read('gateway', 'ca.crt'), clock });
  const response = await client.request({
    method: 'POST',
    path,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  client.close();
  return { status: response.status, body: JSON.parse(response.body.toString('utf8')) };
}

/** Files below a directory that others than their owner may read. */
function readable(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .filter(({ parentPath, name }) => (statSync(join(parentPath, name)).mode & 0o077) !== 0)
    .map(({ name }) => name);
}

describe('chaperone policy-api', () => {
  test('makes what a gateway and the collector need, and nothing secret that others may read', async () => {
    const api = await start();
    expect([api.gatewayDirectory, api.collectorDirectory]).toEqual([
      at('gateway'),
      at('collector'),
    ]);
    expect(readdirSync(at('gateway')).sort()).toEqual(['ca.crt', 'token']);
    expect(readdirSync(at('collector')).sort()).toEqual(['ca.crt', 'tls.crt', 'tls.key']);
    expect(new Set(readable(at()))).toEqual(new Set(['ca.crt', 'tls.crt']));
    expect(statSync(at()).mode & 0o777).toBe(0o700);
    const leaf = new X509Certificate(read('collector', 'tls.crt'));
    const root = new X509Certificate(read('collector', 'ca.crt'));
    expect(leaf.verify(root.publicKey)).toBe(true);
    expect(leaf.subjectAltName).toBe('DNS:localhost, DNS:collector, IP Address:127.0.0.1');
    expect((await fetch(`${api.opsUrl}/readyz`)).status).toBe(200);
    expect(await (await fetch(`${api.opsUrl}/metrics`)).text()).toContain(
      'chaperone_policy_api_streams',
    );
  });

  test('recognises a gateway by its token, and callers by their tickets', async () => {
    const api = await start('--gateway-names=gateway.example.com');
    const token = read('gateway', 'token').trim();
    expect((await post(api, '/v1/attest', `${token}x`, program)).status).toBe(403);
    const { status, body } = await post(api, '/v1/attest', token, program);
    expect([status, body.role]).toEqual([200, 'Gateway']);
    const [target] = api.state.targets();
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const certificate = await post(api, '/v1/certificates', body.controlToken, {
      publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    });
    expect(certificate.status).toBe(200);
    expect(new X509Certificate(certificate.body.certificateChain).subjectAltName).toContain(
      'DNS:gateway.example.com',
    );
    const lines: string[] = [];
    const output = new Writable({
      write(chunk, _encoding, done) {
        lines.push(String(chunk));
        done();
      },
    });
    await createTicket(
      'payments/nightly-report',
      {
        directory: join(base, 'resources'),
        target: 'data/orders-db',
        ttl: 60_000,
        host: 'gateway.example.com',
        port: 6432,
        output: 'json',
      },
      output,
    );
    const ticket = JSON.parse(lines.join(''));
    const authenticate = (secret: string) =>
      post(api, '/v1/authenticate', body.controlToken, {
        user: ticket.user,
        secret,
        targetUid: target!.metadata.uid,
      });
    expect(await authenticate(ticket.password)).toMatchObject({
      status: 200,
      body: { proof: { method: 'Ticket', ticket: ticket.id } },
    });
    expect((await authenticate(`${ticket.password}x`)).body.code).toBe('CHP-2001');
  });

  test('keeps keys, certificates and tokens over a restart', async () => {
    const first = await start();
    const token = read('gateway', 'token');
    const { body } = await post(first, '/v1/attest', token.trim(), program);
    const files = ['ca.crt', 'tls.crt', 'tls.key'].map((name) => read('collector', name));
    await first.close();
    const second = await start();
    expect(read('gateway', 'token')).toBe(token);
    expect(['ca.crt', 'tls.crt', 'tls.key'].map((name) => read('collector', name))).toEqual(files);
    const targetUid = second.state.targets()[0]!.metadata.uid;
    const answer = await post(second, '/v1/authenticate', body.controlToken, {
      user: 'nobody',
      secret: 'x',
      targetUid,
    });
    expect(answer.body.code).toBe('CHP-2001');
  });

  test('makes a new certificate for other names', async () => {
    const first = await start();
    const before = read('collector', 'tls.crt');
    await first.close();
    await start('--collector-names=record.example.com');
    expect(read('collector', 'tls.crt')).not.toBe(before);
    expect(new X509Certificate(read('collector', 'tls.crt')).subjectAltName).toContain(
      'record.example.com',
    );
  });

  test('serves with a certificate that it is given', async () => {
    await (await start()).close();
    const given = join(base, 'given');
    cpSync(at('certificates', 'policy-api'), given, { recursive: true });
    writeFileSync(join(given, 'ca.crt'), read('certificates', 'ca.crt'));
    rmSync(at(), { recursive: true });
    const api = await start(`--tls-directory=${given}`);
    const token = read('gateway', 'token').trim();
    expect((await post(api, '/v1/attest', token, program)).status).toBe(200);
    rmSync(join(given, 'ca.crt'));
    await expect(start(`--tls-directory=${given}`)).rejects.toMatchObject({ code: 'CHP-1004' });
  });

  test.each<[string, string[], string]>([
    ['no directory', [], 'CHP-1003'],
    ['a name that is none', ['x', '--host-names=a b'], 'CHP-1002'],
    ['an unknown option', ['x', '--nothing=1'], 'CHP-1001'],
    ['a policy age that is too short', ['x', '--max-policy-age=1s'], 'CHP-1002'],
  ])('%s is refused', (_, args, code) => {
    expect(() => readPolicyApiConfig(args, {})).toThrow(expect.objectContaining({ code }));
  });

  test('a directory that is not there is refused', async () => {
    rmSync(join(base, 'resources'), { recursive: true });
    await expect(start()).rejects.toMatchObject({ code: 'CHP-1004' });
  });
});
