/** api/policy-api.openapi.yaml against the server: its routes, the requests that it takes, and its answers. */
import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { BackendReports } from '@chaperone/control/controllers/backend-reports.ts';
import * as requests from '@chaperone/control/policy-api/requests.ts';
import { policyApiRoutes, type RouteParts } from '@chaperone/control/policy-api/routes.ts';
import { type TestPolicyApi, testPolicyApi } from '@chaperone/control/policy-api/testing.ts';
import { type RelayRouteParts, relayRoutes } from '@chaperone/control/relay/relay-routes.ts';
import { type TestDirectory, testDirectory } from '@chaperone/control/store/testing.ts';
import { TicketStore } from '@chaperone/control/tickets/ticket-store.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import Fastify from 'fastify';
import { ApiDescription, routesOf } from '../support/api-description.ts';

const api = new ApiDescription('policy-api');
const { schemas } = api.document.components;

test('every route is described, and every description is a route', async () => {
  const server = Fastify({ exposeHeadRoutes: false });
  policyApiRoutes(server, {} as RouteParts);
  relayRoutes(server, {} as RelayRouteParts);
  const described = api.operations().map(([path, method]) => `${method.toUpperCase()} ${path}`);
  expect(described.sort()).toEqual(await routesOf(server));
});

test('operation ids are unique', () => {
  const ids = api.operations().map(([, , { operationId }]) => operationId);
  expect(new Set(ids).size).toBe(ids.length);
});

test('the examples are what the schemas say', () => {
  for (const [name, schema] of Object.entries(schemas!)) {
    for (const example of (schema.examples as unknown[] | undefined) ?? []) {
      expect([name, api.problems(`/components/schemas/${name}`, example)]).toEqual([name, []]);
    }
  }
});

/** A schema without what only people read. */
function bare(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(bare);
  if (typeof schema !== 'object' || schema === null) return schema;
  const entries = Object.entries(schema).filter(
    ([key]) => !['description', 'examples'].includes(key),
  );
  return Object.fromEntries(entries.map(([key, value]) => [key, bare(value)]));
}

test.each<[string, object]>([
  ['AttestRequest', requests.attestSchema],
  ['CredentialRequest', { ...requests.credentialSchema, type: 'object' }],
  ['BackendReportRequest', requests.backendReportSchema],
  ['CertificateRequest', requests.certificateSchema],
  ['AuthenticateRequest', requests.authenticateSchema],
])('%s is described as it is enforced', (name, enforced) => {
  expect(bare(schemas![name])).toEqual(enforced);
});

const resources = `
apiVersion: chaperone.dev/v1alpha1
kind: MachineIdentity
metadata: { name: report, namespace: payments }
spec:
  owner: { team: payments, contact: payments@example.com }
  purpose: Reports
  groups: [batch]
  expiresAt: 2999-01-01T00:00:00Z
  subjects: [ { serviceAccount: { name: report } } ]
---
apiVersion: chaperone.dev/v1alpha1
kind: Target
metadata: { name: orders, namespace: data }
spec:
  protocol: PostgreSQL
  host: orders.data.svc
  aliases: [orders]
  classification: [pci]
  tls: { mode: VerifyFull, caRef: { kind: ConfigMap, name: ca, key: ca.crt } }
  credentials: { secretRef: { name: orders } }
  allowedNamespaces: { from: All }
---
apiVersion: chaperone.dev/v1alpha1
kind: Target
metadata: { name: without-secret, namespace: data }
spec:
  protocol: PostgreSQL
  host: other.data.svc
  credentials: { secretRef: { name: none } }
  allowedNamespaces: { from: All }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: ca, namespace: data }
data: { ca.crt: "-----BEGIN CERTIFICATE-----\\nAA==\\n-----END CERTIFICATE-----\\n" }
---
apiVersion: v1
kind: Secret
metadata: { name: orders, namespace: data, labels: { chaperone.dev/target: orders } }
stringData: { username: app, password: secret }
---
apiVersion: chaperone.dev/v1alpha1
kind: AccessPolicy
metadata: { name: reports, namespace: data }
spec:
  subjects: { namespaces: [payments] }
  targetRefs: [ { name: orders } ]
  session: { maxDuration: 8h, idleTimeout: 10m, recording: Full, durability: Disk }
  rules:
  - name: read
    action: Allow
    classes: [Read]
    verbs: [Select]
    resources: ["shop.**"]
    columns: { except: ["*.ssn"] }
    when: identity.groups.exists(g, g == 'batch')
    limits: { rowsPerStatement: 1000, rowsPerHour: 5000, statementsPerSecond: 10 }
---
apiVersion: chaperone.dev/v1alpha1
kind: MaskingRule
metadata: { name: ssn, namespace: data }
spec:
  targetRefs: [ { name: orders } ]
  columns: [shop.public.customers.ssn]
  transform: { type: Hash }
  exemptions:
  - { identities: [ { name: report, namespace: payments } ], reason: audit, ticket: T-1, expiresAt: 2999-01-01T00:00:00Z }
---
apiVersion: chaperone.dev/v1alpha1
kind: MaskingRule
metadata: { name: mail, namespace: data }
spec:
  targetRefs: [ { name: orders } ]
  columns: [shop.public.customers.mail]
  transform: { type: Partial, keepFirst: 1, keepLast: 2 }
`;

describe('what the policy API answers is what is described', () => {
  let directory: TestDirectory;
  let server: TestPolicyApi;
  let backends: BackendReports;
  let fresh = true;
  const tokens: Record<string, string> = {};
  let targetUid: string;
  let withoutSecretUid: string;
  let identityUid: string;
  let ticket: string;

  beforeAll(async () => {
    directory = testDirectory({ 'all.yaml': resources });
    const tickets = new TicketStore(directory.database, Date.now);
    backends = new BackendReports(Date.now);
    server = await testPolicyApi(directory.state, await directory.open(), {
      tickets,
      backends,
      fresh: () => fresh,
      relay: {
        directory: join(directory.state, 'relay'),
        maxBytes: 1 << 20,
        collectorUrl: 'https://127.0.0.1:1', // nobody
        caFile: join(directory.state, 'tls', 'tls.crt'),
      },
    });
    const attested = await server.request('POST', '/v1/attest', {
      token: 'pod.payments.report.u4',
      body: attest(),
    });
    tokens.ingest = (attested.body as { ingestToken: string }).ingestToken;
    tokens.pod = await server.attest('pod.payments.report.u1');
    tokens.stranger = await server.attest('pod.payments.other.u2');
    tokens.flood = await server.attest('pod.payments.report.u3');
    tokens.gateway = await server.attest('gateway');
    [targetUid, withoutSecretUid] = server.state.targets().map(({ metadata }) => metadata.uid) as [
      string,
      string,
    ];
    identityUid = server.state.identityOf('payments', 'report')!.metadata.uid;
    ticket = tickets.create(
      {
        identity: { uid: identityUid, namespace: 'payments', name: 'report' },
        target: { uid: targetUid, namespace: 'data', name: 'orders' },
      },
      60_000,
    ).secret;
  });
  afterAll(async () => {
    await server.close();
    await directory.close();
  });

  const publicKey = (bits: number): string =>
    generateKeyPairSync('rsa', { modulusLength: bits })
      .publicKey.export({ type: 'spki', format: 'pem' })
      .toString();
  const attest = (over: object = {}) => ({
    program: { name: 'sidecar', version: '1' },
    bundleVersions: [1],
    ...over,
  });
  const authenticate = (secret: string) => ({ user: 'report', secret, targetUid });
  const long = 'x'.repeat(100_000);

  interface Case {
    /** Of `tokens`, or a platform's. */
    readonly token?: string;
    readonly body?: () => unknown;
    /** Instead of a body in JSON. */
    readonly raw?: Buffer;
    readonly path?: () => string;
    readonly headers?: Record<string, string>;
    readonly stale?: true;
    /** Another replica takes reports. */
    readonly follows?: true;
    /** How often it is asked before the answer that is looked at. */
    readonly before?: number;
  }
  const ndjson = { 'content-type': 'application/x-ndjson', 'content-encoding': 'gzip' };
  const relayed = (kind: string, session = '01890a5d-ac96-774b-bcce-b302099a8057') => ({
    path: () => `/v1/relay/${kind}/${session}/events`,
    headers: ndjson,
    raw: Buffer.alloc(10),
  });
  const relayedSnapshot = {
    path: () => `/v1/relay/snapshots/${'a'.repeat(64)}`,
    headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
    raw: Buffer.alloc(10),
  };
  const lease = () => `/v1/credentials/${targetUid}`;
  const backend = () => `/v1/backends/${targetUid}`;
  const outcome = (over: object = {}) => ({
    outcome: 'Connected',
    targetGeneration: server.state.target(targetUid)!.metadata.generation,
    credentialVersion: server.state.lease(identityUid, { uid: targetUid }).version,
    ...over,
  });
  const cases: readonly (readonly [method: string, path: string, status: number, Case])[] = [
    ['post', '/v1/attest', 200, { token: 'pod.a.b.c', body: attest }],
    ['post', '/v1/attest', 400, { token: 'pod.a.b.c', body: () => attest({ more: 1 }) }],
    ['post', '/v1/attest', 401, { body: attest }],
    ['post', '/v1/attest', 403, { token: 'nobody', body: attest }],
    [
      'post',
      '/v1/attest',
      409,
      { token: 'pod.a.b.c', body: () => attest({ bundleVersions: [9] }) },
    ],
    ['post', '/v1/attest', 413, { token: 'pod.a.b.c', body: () => attest({ more: long }) }],
    [
      'post',
      '/v1/attest',
      415,
      { token: 'pod.a.b.c', body: attest, headers: { 'content-type': 'text/html' } },
    ],
    ['post', '/v1/attest', 429, { token: 'busy', body: attest }],
    ['post', '/v1/attest', 503, { token: 'broken', body: attest }],
    ['get', '/v1/policy', 400, { token: 'pod', path: () => '/v1/policy?identity=x' }],
    ['get', '/v1/policy', 401, {}],
    ['get', '/v1/policy', 503, { token: 'pod', stale: true }],
    ['get', '/v1/targets', 400, { token: 'gateway', headers: { 'last-event-id': 'x' } }],
    ['get', '/v1/targets', 401, {}],
    ['get', '/v1/targets', 403, { token: 'pod' }],
    ['get', '/v1/targets', 503, { token: 'gateway', stale: true }],
    ['post', '/v1/credentials/{targetUid}', 200, { token: 'pod', path: lease }],
    [
      'post',
      '/v1/credentials/{targetUid}',
      200,
      { token: 'gateway', path: lease, body: () => ({ identityUid }) },
    ],
    ['post', '/v1/credentials/{targetUid}', 400, { token: 'gateway', path: lease }],
    ['post', '/v1/credentials/{targetUid}', 401, { path: lease }],
    [
      'post',
      '/v1/credentials/{targetUid}',
      409,
      { token: 'pod', path: () => `/v1/credentials/${withoutSecretUid}` },
    ],
    ['post', '/v1/credentials/{targetUid}', 403, { token: 'stranger', path: lease }],
    [
      'post',
      '/v1/credentials/{targetUid}',
      413,
      { token: 'gateway', path: lease, body: () => ({ identityUid: long }) },
    ],
    [
      'post',
      '/v1/credentials/{targetUid}',
      415,
      { token: 'pod', path: lease, body: () => 1, headers: { 'content-type': 'text/html' } },
    ],
    ['post', '/v1/credentials/{targetUid}', 503, { token: 'pod', path: lease, stale: true }],
    ...(
      [
        [202, { token: 'pod', path: backend, body: outcome }],
        [202, { token: 'gateway', path: backend, body: outcome }],
        [400, { token: 'pod', path: backend, body: () => outcome({ outcome: 'Anything' }) }],
        [401, { path: backend, body: outcome }],
        [403, { token: 'stranger', path: backend, body: outcome }],
        [409, { token: 'pod', path: backend, body: () => outcome({ targetGeneration: 99 }) }],
        [413, { token: 'pod', path: backend, body: () => outcome({ outcome: long }) }],
        [
          415,
          { token: 'pod', path: backend, body: () => 1, headers: { 'content-type': 'text/html' } },
        ],
        [429, { token: 'flood', path: backend, body: outcome, before: 60 }],
        [503, { token: 'pod', path: backend, body: outcome, follows: true }],
      ] as readonly (readonly [number, Case])[]
    ).map(([status, one]) => ['post', '/v1/backends/{targetUid}', status, one] as const),
    [
      'post',
      '/v1/certificates',
      200,
      { token: 'pod', body: () => ({ publicKey: publicKey(2048) }) },
    ],
    ['post', '/v1/certificates', 400, { token: 'pod', body: () => ({}) }],
    ['post', '/v1/certificates', 401, { body: () => ({ publicKey: 'x' }) }],
    [
      'post',
      '/v1/certificates',
      409,
      { token: 'pod', body: () => ({ publicKey: publicKey(1024) }) },
    ],
    ['post', '/v1/certificates', 413, { token: 'pod', body: () => ({ publicKey: long }) }],
    [
      'post',
      '/v1/certificates',
      415,
      { token: 'pod', body: () => 1, headers: { 'content-type': 'text/html' } },
    ],
    [
      'post',
      '/v1/certificates',
      503,
      { token: 'pod', body: () => ({ publicKey: 'x' }), stale: true },
    ],
    ['post', '/v1/authenticate', 200, { token: 'gateway', body: () => authenticate(ticket) }],
    [
      'post',
      '/v1/authenticate',
      200,
      { token: 'gateway', body: () => authenticate('sa.payments.report') },
    ],
    ['post', '/v1/authenticate', 400, { token: 'gateway', body: () => ({}) }],
    ['post', '/v1/authenticate', 401, { token: 'gateway', body: () => authenticate('wrong') }],
    ['post', '/v1/authenticate', 403, { token: 'pod', body: () => authenticate('wrong') }],
    ['post', '/v1/authenticate', 429, { token: 'gateway', body: () => authenticate('busy') }],
    ['post', '/v1/authenticate', 413, { token: 'gateway', body: () => authenticate(long) }],
    [
      'post',
      '/v1/authenticate',
      415,
      { token: 'gateway', body: () => 1, headers: { 'content-type': 'text/html' } },
    ],
    [
      'post',
      '/v1/authenticate',
      503,
      { token: 'gateway', body: () => authenticate('x'), stale: true },
    ],
    ...(
      [
        [202, { token: 'ingest' }],
        [400, { token: 'ingest', path: () => '/v1/relay/snapshots/x' }],
        [401, { token: 'pod' }],
        [413, { token: 'ingest', raw: Buffer.alloc(2 << 20) }],
        [415, { token: 'ingest', headers: ndjson }],
        [507, { token: 'ingest', raw: Buffer.alloc(1 << 20) }],
      ] as readonly (readonly [number, Case])[]
    ).map(
      ([status, one]) =>
        ['put', '/v1/relay/snapshots/{digest}', status, { ...relayedSnapshot, ...one }] as const,
    ),
    ...(['sessions', 'gaps'] as const).flatMap((kind) =>
      (
        [
          [202, { token: 'ingest' }],
          [400, { token: 'ingest', ...relayed(kind, 'x') }],
          [401, { token: 'pod' }],
          [413, { token: 'ingest', raw: Buffer.alloc(5 << 20) }],
          [415, { token: 'ingest', headers: { 'content-type': 'application/json' } }],
          kind === 'sessions'
            ? [507, { token: 'ingest', raw: Buffer.alloc(1 << 20) }]
            : [507, { token: 'ingest', raw: Buffer.alloc(30 << 10), before: 2 }],
        ] as readonly (readonly [number, Case])[]
      ).map(
        ([status, one]) =>
          ['post', `/v1/relay/${kind}/{id}/events`, status, { ...relayed(kind), ...one }] as const,
      ),
    ),
    ['get', '/v1/jwks', 200, {}],
  ];

  test.each(cases)(
    '%s %s: %i',
    async (method, path, status, {
      token,
      body,
      raw,
      headers,
      stale,
      follows,
      before = 0,
      ...rest
    }) => {
      fresh = stale !== true;
      backends.stop();
      if (follows !== true) backends.start(() => {});
      const ask = () =>
        server.request(method.toUpperCase(), rest.path?.() ?? path, {
          ...(token !== undefined && { token: tokens[token] ?? token }),
          ...(body !== undefined && { body: body() }),
          ...(raw !== undefined && { raw }),
          ...(headers !== undefined && { headers }),
        });
      for (let at = 0; at < before; at += 1) await ask();
      const answer = await ask();
      fresh = true;
      expect([answer.status, answer.text]).toEqual([status, expect.any(String)]);
      const type = String(answer.headers['content-type']).split(';')[0]!;
      expect(type).toBe('application/json');
      expect(api.answerProblems(path, method, status, type, answer.body)).toEqual([]);
    },
  );

  test('every status that is described was tried, but for the streams’ own', () => {
    const tried = new Set(cases.map(([method, path, status]) => `${method} ${path} ${status}`));
    const described = api
      .operations()
      .flatMap(([path, method, { responses }]) =>
        Object.keys(responses).map((status) => `${method} ${path} ${status}`),
      )
      .filter((one) => !['get /v1/policy 200', 'get /v1/targets 200'].includes(one));
    expect([...tried].sort()).toEqual(described.sort());
  });

  test.each([
    ['/v1/policy', 'pod', 'policy', 'PolicyEvent'],
    ['/v1/policy', 'stranger', 'policy', 'PolicyEvent'],
    ['/v1/targets', 'gateway', 'targets', 'TargetsEvent'],
  ])('events of %s for a %s', async (path, token, event, schema) => {
    const stream = await server.stream(path, tokens[token]!);
    expect(stream.status).toBe(200);
    const data = JSON.parse((await stream.next(event)).data);
    expect(api.problems(`/components/schemas/${schema}`, data)).toEqual([]);
    if (token === 'pod') {
      const [target] = data.bundle.targets;
      expect([target.rules.length, target.masks.length, target.masks[1].exemptions.length]).toEqual(
        [1, 2, 1],
      );
    }
    stream.close();
  });
});
