/** For tests: a policy API over a directory, and a client of it. */

import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { ControlRefusal } from '@chaperone/core/control/types.ts';
import type { AttestedSource, VersionVector } from '@chaperone/core/control/wire.ts';
import { systemClock } from '@chaperone/runtime/clock.ts';
import { EventStreamParser, type ServerEvent } from '@chaperone/runtime/http/event-stream.ts';
import { createLogger } from '@chaperone/runtime/logging/logger.ts';
import { createRegistry } from '@chaperone/runtime/metrics/metrics.ts';
import { issueServing, newAuthority, readIssuer } from '../certificates/issue.ts';
import type { ResourceStore } from '../store/resource-store.ts';
import { type Attestor, type AuthenticatedWorkload, NotYetKnown, TooMany } from './attestor.ts';
import { type PolicyApi, type PolicyApiOptions, startPolicyApi } from './server.ts';
import { ensureSigningKey } from './signing-keys.ts';

const dayMs = 24 * 60 * 60 * 1000;

/** Tokens of pods are `pod.NAMESPACE.SERVICEACCOUNT.UID`, of those with name servers of their own `resolving.…`; a gateway’s is `gateway`; of workloads `sa.NAMESPACE.NAME`. */
export const plainAttestor: Attestor = {
  async attest(token) {
    const [kind, namespace = '', serviceAccount = '', uid = ''] = token.split('.');
    const source = (name: string): AttestedSource => ({
      namespace,
      serviceAccount,
      pod: { name, uid },
    });
    if (kind === 'pod' && uid !== '') {
      return { role: 'Pod', source: { ...source(`pod-${uid}`), address: '10.1.2.3' } };
    }
    if (kind === 'resolving') {
      return { role: 'Pod', source: source(`pod-${uid}`), ownNameServers: true };
    }
    if (kind === 'gateway') {
      return {
        role: 'Gateway',
        source: {
          namespace: 'chaperone-system',
          serviceAccount: 'chaperone-gateway',
          pod: { name: 'gateway-0', uid: 'gateway-0' },
        },
      };
    }
    if (kind === 'starting') throw new NotYetKnown('the pod has no address yet');
    if (kind === 'busy') throw new TooMany('too many tokens');
    if (kind === 'broken') throw new Error('the API server is away');
    throw new ControlRefusal('CHP-2006', 'Not one of ours.', 'Be one.', 'the token is unknown');
  },
  async authenticate(token): Promise<AuthenticatedWorkload | undefined> {
    const [kind, namespace = '', serviceAccount = ''] = token.split('.');
    if (kind === 'busy') throw new TooMany('too many tokens');
    if (kind !== 'sa') return undefined;
    return { issuer: 'https://issuer.example', namespace, serviceAccount };
  },
  stillThere: async () => true,
  isGone: () => false,
};

export interface TestPolicyApi extends PolicyApi {
  /** PEM of the root that its certificates come from. */
  readonly ca: string;
  readonly signingKeys: string;
  readonly tls: string;
  /** Resolves with the whole answer; with the beginning of a stream, which is then left. */
  request(
    method: string,
    path: string,
    options?: {
      token?: string;
      body?: unknown;
      raw?: string | Buffer;
      headers?: Record<string, string>;
    },
  ): Promise<{ status: number; headers: Record<string, unknown>; body: unknown; text: string }>;
  /** Serial number of the certificate that a new connection is shown. */
  certificate(): Promise<string>;
  /** Replaces the serving certificate's files. */
  renewCertificate(): Promise<void>;
  /** The control token of an attested program. */
  attest(token: string): Promise<string>;
  stream(path: string, token: string, held?: VersionVector): Promise<TestStream>;
}

/** One open stream; `next` resolves with its next event of that name, or rejects when it ends. */
export interface TestStream {
  readonly status: number;
  next(event?: string): Promise<ServerEvent>;
  /** Everything received so far. */
  readonly events: readonly ServerEvent[];
  readonly ended: Promise<void>;
  /** Takes nothing any more, or takes again. */
  pause(paused: boolean): void;
  close(): void;
}

/** Starts one whose files stand in `directory`. */
export async function testPolicyApi(
  directory: string,
  store: ResourceStore,
  options: Partial<PolicyApiOptions> = {},
): Promise<TestPolicyApi> {
  const clock = options.clock ?? systemClock();
  const nowMs = clock.nowMs();
  const [tls, issuer, signingKeys] = ['tls', 'issuer', 'keys'].map((name) => join(directory, name));
  for (const path of [tls!, issuer!]) mkdirSync(path, { recursive: true });
  const root = await newAuthority({ commonName: 'test', nowMs, validMs: 9 * dayMs });
  const parent = await readIssuer(root.certificate, root.privateKey);
  const between = await newAuthority({
    commonName: 'test workloads',
    nowMs,
    validMs: 8 * dayMs,
    parent,
  });
  writeFileSync(join(issuer!, 'tls.crt'), between.certificate);
  writeFileSync(join(issuer!, 'tls.key'), between.privateKey);
  await writeServing(tls!, parent, nowMs);
  await ensureSigningKey(signingKeys!);
  const api = await startPolicyApi({
    host: '127.0.0.1',
    port: 0,
    tlsDirectory: tls!,
    issuerDirectory: issuer!,
    signingKeysDirectory: signingKeys!,
    installationKey: Buffer.alloc(32, 7),
    store,
    attestor: plainAttestor,
    maxPolicyAgeMs: 3_600_000,
    fresh: () => true,
    clock,
    logger: createLogger({ program: 'policy-api', level: 'silent', clock }),
    registry: createRegistry('policy-api', 'test'),
    ...options,
  });
  const agent = new https.Agent({ ca: root.certificate, keepAlive: true });
  const client = clientOf(api.url, agent);
  return {
    ...api,
    ...client,
    ca: root.certificate,
    signingKeys: signingKeys!,
    tls: tls!,
    renewCertificate: () => writeServing(tls!, parent, clock.nowMs()),
    certificate: () =>
      new Promise((resolve, reject) => {
        const socket = connect({ host: '127.0.0.1', port: api.port, ca: root.certificate }, () => {
          resolve(socket.getPeerCertificate().serialNumber);
          socket.destroy();
        });
        socket.on('error', reject);
      }),
    async close() {
      await api.close();
      agent.destroy();
    },
  };
}

/** A new serving certificate for 127.0.0.1. */
async function writeServing(
  directory: string,
  issuer: Awaited<ReturnType<typeof readIssuer>>,
  nowMs: number,
): Promise<void> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { chainPem } = await issueServing(issuer, {
    publicKey: createPublicKey(privateKey),
    commonName: 'policy api',
    names: ['localhost'],
    addresses: ['127.0.0.1'],
    nowMs,
    validMs: dayMs,
  });
  writeFileSync(join(directory, 'tls.crt'), chainPem);
  writeFileSync(
    join(directory, 'tls.key'),
    privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  );
}

function clientOf(
  url: string,
  agent: https.Agent,
): Pick<TestPolicyApi, 'request' | 'attest' | 'stream'> {
  const request: TestPolicyApi['request'] = (method, path, { token, body, raw, headers } = {}) =>
    new Promise((resolve, reject) => {
      const text = raw ?? (body === undefined ? undefined : JSON.stringify(body));
      const outgoing = https.request(`${url}${path}`, {
        agent,
        method,
        headers: {
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
          ...(text !== undefined && { 'content-type': 'application/json' }),
          ...(text !== undefined && { 'content-length': String(Buffer.byteLength(text)) }),
          ...headers,
        },
      });
      outgoing.on('error', reject);
      outgoing.on('response', (response) => {
        const { statusCode = 0, headers: answered } = response;
        if (answered['content-type'] === 'text/event-stream') {
          // It would not end.
          response.destroy();
          resolve({ status: statusCode, headers: answered, body: undefined, text: '' });
          return;
        }
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const answer = Buffer.concat(chunks).toString('utf8');
          let json: unknown;
          try {
            json = JSON.parse(answer);
          } catch {
            json = undefined;
          }
          resolve({ status: statusCode, headers: answered, body: json, text: answer });
        });
      });
      outgoing.end(text);
    });

  return {
    request,
    async attest(token) {
      const { status, body, text } = await request('POST', '/v1/attest', {
        token,
        body: {
          program: { name: token.startsWith('gateway') ? 'gateway' : 'sidecar', version: '1' },
          bundleVersions: [1],
        },
      });
      if (status !== 200) throw new Error(`${status} ${text}`);
      return (body as { controlToken: string }).controlToken;
    },
    stream: (path, token, held) => openStream(`${url}${path}`, agent, token, held),
  };
}

function openStream(
  url: string,
  agent: https.Agent,
  token: string,
  held: VersionVector | undefined,
): Promise<TestStream> {
  return new Promise((resolve, reject) => {
    const outgoing = https.get(url, {
      agent,
      headers: {
        authorization: `Bearer ${token}`,
        ...(held !== undefined && { 'last-event-id': JSON.stringify(held) }),
      },
    });
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      const events: ServerEvent[] = [];
      const taken = new Set<ServerEvent>();
      const waiting = new Set<() => void>();
      const parser = new EventStreamParser((event) => events.push(event), 1 << 24);
      let over = false;
      const wake = (): void => {
        for (const waiter of [...waiting]) waiter();
      };
      response.on('data', (chunk: Buffer) => {
        parser.feed(chunk);
        wake();
      });
      const ended = new Promise<void>((done) => {
        const end = (): void => {
          over = true;
          wake();
          done();
        };
        response.on('end', end).on('error', end).on('close', end);
      });
      resolve({
        status: response.statusCode ?? 0,
        events,
        ended,
        next: (name = 'policy') =>
          new Promise((found, failed) => {
            const look = (): void => {
              const event = events.find((one) => one.event === name && !taken.has(one));
              if (event === undefined && !over) return;
              waiting.delete(look);
              if (event === undefined) failed(new Error('the stream ended'));
              else {
                taken.add(event);
                found(event);
              }
            };
            waiting.add(look);
            look();
          }),
        pause: (paused) => void (paused ? response.pause() : response.resume()),
        close: () => outgoing.destroy(),
      });
    });
  });
}
