/** Requests that nobody in his right mind sends: each is answered, and none is the server's fault. */
import { connect } from 'node:tls';
import { type TestPolicyApi, testPolicyApi } from '@chaperone/control/policy-api/testing.ts';
import { type TestDirectory, testDirectory } from '@chaperone/control/store/testing.ts';
import { TicketStore } from '@chaperone/control/tickets/ticket-store.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

const resources = `
apiVersion: chaperone.dev/v1alpha1
kind: MachineIdentity
metadata: { name: report, namespace: payments }
spec:
  owner: { team: payments }
  purpose: Reports
  subjects: [ { serviceAccount: { name: report } } ]
---
apiVersion: chaperone.dev/v1alpha1
kind: Target
metadata: { name: orders, namespace: data }
spec:
  protocol: PostgreSQL
  host: orders.data.svc
  credentials: { secretRef: { name: orders } }
  allowedNamespaces: { from: All }
`;

let directory: TestDirectory;
let api: TestPolicyApi;
let bearers: string[];
let targetUid: string;
let identityUid: string;

beforeAll(async () => {
  directory = testDirectory({ 'all.yaml': resources });
  api = await testPolicyApi(directory.state, await directory.open(), {
    tickets: new TicketStore(directory.database, Date.now),
  });
  bearers = [await api.attest('pod.payments.report.u1'), await api.attest('gateway')];
  targetUid = api.state.targets()[0]!.metadata.uid;
  identityUid = api.state.identityOf('payments', 'report')!.metadata.uid;
});

afterAll(async () => {
  await api.close();
  await directory.close();
});

/** What may stand in a header. */
const headerText = fc.string({
  unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
  maxLength: 60,
});
/** Who is asked, by index or as a text. */
const bearer = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(0, 1) },
  { weight: 1, arbitrary: headerText },
  { weight: 1, arbitrary: fc.constant(undefined) },
);
const uid = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom('TARGET', 'IDENTITY', '__proto__', 'constructor') },
  { weight: 1, arbitrary: fc.string({ maxLength: 200 }) },
);
const query = fc.oneof(
  { weight: 3, arbitrary: fc.constant('') },
  { weight: 2, arbitrary: uid.map((value) => `?identity=${encodeURIComponent(value)}`) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '?identity=a&identity=b',
      '?identity[]=a',
      '?__proto__=1',
      '?%',
      '?x=%ff',
    ),
  },
  { weight: 1, arbitrary: fc.webQueryParameters().map((text) => `?${text}`) },
);
const path = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.constantFrom(
      '/v1/attest',
      '/v1/policy',
      '/v1/targets',
      '/v1/certificates',
      '/v1/authenticate',
      '/v1/jwks',
    ),
  },
  { weight: 3, arbitrary: uid.map((value) => `/v1/credentials/${encodeURIComponent(value)}`) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '/',
      '/v1',
      '/v1/credentials/',
      '/v1/attest/',
      '//v1/policy',
      '/v1/%00',
      '/v1/credentials/%',
      '/v1/credentials/..%2f..%2fx',
    ),
  },
  { weight: 1, arbitrary: fc.webPath().filter((text) => text.startsWith('/')) },
);
const leaf = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.constant(null),
  fc.boolean(),
  fc.constantFrom('sidecar', 'gateway', 'report', 'payments/report'),
);
/** Bodies that are nearly right, and any. */
const body = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record(
      {
        program: fc.oneof(leaf, fc.record({ name: leaf, version: leaf }, { requiredKeys: [] })),
        bundleVersions: fc.oneof(leaf, fc.array(fc.oneof(leaf, fc.constant(1)), { maxLength: 40 })),
        identityUid: fc.oneof(uid, leaf),
        publicKey: fc.oneof(
          leaf,
          fc
            .string()
            .map((text) => `-----BEGIN PUBLIC KEY-----\n${text}\n-----END PUBLIC KEY-----`),
        ),
        user: fc.oneof(leaf, fc.string({ maxLength: 600 })),
        secret: fc.oneof(
          leaf,
          fc.constantFrom(
            'sa.payments.report',
            `chpt_${'0'.repeat(16)}_${'0'.repeat(64)}`,
            'a.b.c',
          ),
        ),
        targetUid: fc.oneof(uid, leaf),
      },
      { requiredKeys: [] },
    ),
  },
  { weight: 2, arbitrary: fc.jsonValue() },
);
const payload = fc.oneof(
  { weight: 6, arbitrary: body.map((value) => JSON.stringify(value)) },
  { weight: 1, arbitrary: fc.string() },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '',
      '{',
      '{"__proto__":{"x":1}}',
      '['.repeat(5000),
      '{"a":'.repeat(3000),
      '\u0000',
      '1e999',
      `"${'x'.repeat(70_000)}"`,
    ),
  },
);

const known = (text: string): string =>
  text.replaceAll('TARGET', targetUid).replaceAll('IDENTITY', identityUid);

describe('whatever is asked', () => {
  test('is answered, with a problem where it is refused', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('GET', 'POST', 'HEAD', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'),
        path,
        query,
        bearer,
        fc.option(payload, { nil: undefined }),
        fc.constantFrom(
          'application/json',
          'application/json; charset=utf-8',
          'text/plain',
          'application/xml',
          'x',
        ),
        fc.option(
          fc.oneof(
            headerText,
            fc
              .dictionary(fc.string(), fc.integer())
              .map((value) => JSON.stringify(value).replace(/[^\x20-\x7e]/g, '?')),
          ),
          { nil: undefined },
        ),
        async (method, at, search, whose, given, type, held) => {
          const token = typeof whose === 'number' ? bearers[whose] : whose;
          const answer = await api.request(method, known(at + search), {
            ...(token !== undefined && { token }),
            ...(given !== undefined && { raw: known(given) }),
            headers: {
              ...(given !== undefined && { 'content-type': type }),
              ...(held !== undefined && { 'last-event-id': held }),
            },
          });
          expect(answer.status).toBeGreaterThanOrEqual(200);
          expect(answer.status).toBeLessThan(500);
          if (answer.status < 300 || method === 'HEAD') return;
          expect(answer.body).toEqual({
            code: expect.stringMatching(/^CHP-[0-9]{4}$/),
            message: expect.any(String),
            hint: expect.any(String),
          });
        },
      ),
      { numRuns: 500 },
    );
  });

  test('as the right program’s nearly right request is answered, too', async () => {
    const posts = ['/v1/attest', '/v1/certificates', '/v1/authenticate', '/v1/credentials/TARGET'];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...posts),
        fc.constantFrom(0, 1),
        body,
        async (at, whose, given) => {
          const answer = await api.request('POST', known(at), {
            token: bearers[whose]!,
            raw: known(JSON.stringify(given)),
          });
          expect([at, answer.status]).toEqual([at, expect.any(Number)]);
          expect(answer.status).toBeLessThan(500);
        },
      ),
      { numRuns: 300 },
    );
  });

  test.each([
    ['no HTTP', 'what is this\r\n\r\n'],
    ['two lengths', 'POST /v1/attest HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx'],
    ['a header that is too long', `GET /v1/jwks HTTP/1.1\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`],
  ])('%s is answered, and the connection ends', async (_, text) => {
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port: api.port, ca: api.ca }, () => {
        socket.write(text);
      });
      const chunks: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => chunks.push(chunk));
      socket.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
      socket.on('error', reject);
    });
    expect(answer).toMatch(/^HTTP\/1.1 400 /);
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))).toMatchObject({
      code: 'CHP-7001',
    });
  });

  test('and the server serves on', async () => {
    const stream = await api.stream('/v1/policy', bearers[0]!);
    expect(JSON.parse((await stream.next()).data).bundle.identity.name).toBe('report');
    stream.close();
  });
});
