/** The collector as a program: whose tokens it takes, and what is replaced under it while it runs. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { connect, type PeerCertificate } from 'node:tls';
import { bodies, ndjson, shipped, uuid } from '@chaperone/collector/testing/events.ts';
import { ingestAudience, tokenIssuer } from '@chaperone/core/control/tokens.ts';
import { systemClock } from '@chaperone/runtime/clock.ts';
import { HttpClient, type HttpResponse } from '@chaperone/runtime/http/client.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { exportJWK, SignJWT } from 'jose';
import { certificateAuthority } from '../support/certificates.ts';
import { ProgramProcess } from '../support/program-process.ts';

const program = resolve(import.meta.dirname, '../../collector/src/main.ts');
const authority = certificateAuthority('ecdsa-sha384');

/** Serves public keys as the policy API does. */
class Keys {
  readonly #pairs = new Map<string, { publicKey: KeyObject; privateKey: KeyObject }>();
  #server: https.Server;
  asked = 0;
  port = 0;

  constructor() {
    const leaf = authority.issue(['IP:127.0.0.1']);
    this.#server = https.createServer(leaf, async (_request, response) => {
      this.asked += 1;
      const keys = await Promise.all(
        [...this.#pairs].map(async ([kid, { publicKey }]) => ({
          ...(await exportJWK(publicKey)),
          ...{ kid, alg: 'ES256', use: 'sig' },
        })),
      );
      response.end(JSON.stringify({ keys }));
    });
  }

  async start(): Promise<void> {
    await new Promise<void>((done) => this.#server.listen(this.port, '127.0.0.1', done));
    this.port = (this.#server.address() as AddressInfo).port;
  }

  add(kid: string): void {
    this.#pairs.set(kid, generateKeyPairSync('ec', { namedCurve: 'P-256' }));
  }

  token(kid: string, changes: Record<string, unknown> = {}, key?: KeyObject): Promise<string> {
    const nowSeconds = Math.floor(Date.now() / 1000);
    const claims = {
      iss: tokenIssuer,
      aud: ingestAudience,
      sub: 'pod-1',
      iat: nowSeconds,
      exp: nowSeconds + 600,
      ...changes,
    };
    return new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', kid })
      .sign(key ?? this.#pairs.get(kid)!.privateKey);
  }

  stop(): Promise<unknown> {
    this.#server.closeAllConnections();
    return new Promise((done) => this.#server.close(done));
  }
}

const keys = new Keys();
let files: string;
let collector: ProgramProcess;
let url: string;
let http: HttpClient;

beforeAll(async () => {
  files = mkdtempSync(join(tmpdir(), 'chaperone-collector-program-'));
  mkdirSync(join(files, 'tls'));
  writeFileSync(join(files, 'tls/ca.crt'), authority.ca.cert);
  writeCertificate(['IP:127.0.0.1', 'DNS:first.test']);
  keys.add('k1');
  await keys.start();
  await keys.stop(); // it has an address, and is away
  collector = new ProgramProcess(program, ['--listen-port', '0'], {
    CHAPERONE_DIRECTORY: join(files, 'record'),
    CHAPERONE_LISTEN_HOST: '127.0.0.1',
    CHAPERONE_TLS_DIRECTORY: join(files, 'tls'),
    CHAPERONE_CA_FILE: join(files, 'tls/ca.crt'),
    CHAPERONE_POLICY_API_URL: `https://127.0.0.1:${keys.port}`,
    CHAPERONE_OPS_HOST: '127.0.0.1',
    CHAPERONE_OPS_PORT: '0',
  });
  url = (await collector.logged('serving')).url as string;
  http = new HttpClient({ baseUrl: url, ca: authority.ca.cert, clock: systemClock() });
});
afterAll(async () => {
  http?.close();
  await collector?.end('SIGKILL');
  await keys.stop();
  rmSync(files, { recursive: true, force: true });
});

let sessions = 0;
const nextSession = (): string => uuid((sessions += 1));

function writeCertificate(names: readonly string[]): void {
  const { cert, key } = authority.issue(names);
  writeFileSync(join(files, 'tls/tls.crt'), cert);
  writeFileSync(join(files, 'tls/tls.key'), key);
}

function ship(token: string, session = nextSession()): Promise<HttpResponse> {
  const event = shipped(session, 1, bodies.opened());
  return http.request({
    method: 'POST',
    path: `/v1/sessions/${session}/events`,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/x-ndjson' },
    body: ndjson([event]),
  });
}

const opsUrl = async (path: string): Promise<string> =>
  `http://127.0.0.1:${(await collector.logged('serving')).opsPort}${path}`;

test('while the keys cannot be fetched, tokens are neither taken nor refused', async () => {
  const { status, body } = await ship(await keys.token('k1'));
  expect(status).toBe(503);
  expect(JSON.parse(body.toString())).toMatchObject({ code: 'CHP-6012' });
  expect((await fetch(await opsUrl('/readyz'))).status).toBe(200);
});

describe('tokens', () => {
  beforeAll(async () => {
    await keys.start();
    // It asks again when some time has passed, however many tokens come meanwhile.
    let status = 503;
    while (status === 503) {
      ({ status } = await ship(await keys.token('k1')));
      await new Promise((next) => setTimeout(next, 100));
    }
    expect(status).toBe(200);
  });

  test('one of the policy API is taken', async () => {
    const { status, body } = await ship(await keys.token('k1'));
    expect(status).toBe(200);
    expect(JSON.parse(body.toString())).toEqual({ acknowledged: 1 });
  });

  const now = (): number => Math.floor(Date.now() / 1000);
  test.each<[string, () => Promise<string>]>([
    ['for the policy API', () => keys.token('k1', { aud: 'policy-api' })],
    ['of another issuer', () => keys.token('k1', { iss: 'https://kubernetes.default.svc' })],
    ['that is over', () => keys.token('k1', { exp: now() - 60 })],
    ['without an end', () => keys.token('k1', { exp: undefined })],
    ['of nobody', () => keys.token('k1', { sub: undefined })],
    ['of an empty name', () => keys.token('k1', { sub: '' })],
    [
      'signed by another key',
      () => keys.token('k1', {}, generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey),
    ],
    ['that is none', async () => 'a.b.c'],
  ])('one %s is refused', async (_name, make) => {
    const { status, body } = await ship(await make());
    expect(status).toBe(403);
    expect(JSON.parse(body.toString())).toMatchObject({ code: 'CHP-6004' });
  });

  test('without any: refused', async () => {
    const { status } = await http.request({
      method: 'POST',
      path: `/v1/sessions/${nextSession()}/events`,
    });
    expect(status).toBe(401);
  });

  test('many of unknown keys do not make it ask the policy API each time', async () => {
    const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    const before = keys.asked;
    const statuses = await Promise.all(
      Array.from(
        { length: 20 },
        async (_, n) => (await ship(await keys.token(`x${n}`, {}, stranger))).status,
      ),
    );
    expect(new Set(statuses)).toEqual(new Set([403]));
    expect(keys.asked - before).toBeLessThanOrEqual(1);
  });

  test('a session belongs to the pod that shipped it first', async () => {
    const session = nextSession();
    expect((await ship(await keys.token('k1'), session)).status).toBe(200);
    expect((await ship(await keys.token('k1', { sub: 'pod-2' }), session)).status).toBe(403);
  });
});

test('is read with a token of its own directory, made at the first start', async () => {
  const path = join(files, 'record/reader.token');
  expect(existsSync(path)).toBe(true);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const read = (token: string): Promise<HttpResponse> =>
    http.request({
      method: 'GET',
      path: '/v1/sessions',
      headers: { authorization: `Bearer ${token}` },
    });
  const { status, body } = await read(readFileSync(path, 'utf8').trim());
  expect(status).toBe(200);
  const sources = JSON.parse(body.toString()).sessions.map(
    ({ source }: { source: string }) => source,
  );
  expect(sources).toContain('pod:pod-1');
  expect((await read(await keys.token('k1'))).status).toBe(403);
});

test('metrics and health stand on a port of their own alone', async () => {
  for (const path of ['/metrics', '/healthz', '/readyz']) {
    expect((await fetch(await opsUrl(path))).status).toBe(200);
    expect((await http.request({ method: 'GET', path })).status).toBe(404);
  }
});

test('a certificate that is replaced is shown to whoever connects from then on', async () => {
  const shown = (): Promise<PeerCertificate> =>
    new Promise((done, fail) => {
      const socket = connect({
        port: Number(new URL(url).port),
        host: '127.0.0.1',
        ca: authority.ca.cert,
      });
      socket.once('error', fail).once('secureConnect', () => {
        done(socket.getPeerCertificate());
        socket.destroy();
      });
    });
  expect((await shown()).subjectaltname).toContain('first.test');
  // Half of a change is not taken up.
  writeFileSync(join(files, 'tls/tls.key'), 'no key');
  await collector.logged('the certificate before is kept');
  expect((await shown()).subjectaltname).toContain('first.test');
  writeCertificate(['IP:127.0.0.1', 'DNS:second.test']);
  let names = '';
  while (!names.includes('second.test')) {
    names = (await shown()).subjectaltname ?? '';
    await new Promise((next) => setTimeout(next, 50));
  }
});

test('SIGTERM ends it', async () => {
  expect(await collector.end('SIGTERM')).toBe(0);
});
