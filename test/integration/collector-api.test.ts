import { hash, randomBytes } from 'node:crypto';
import { buildServer, type ServerParts } from '@chaperone/collector/http/server.ts';
import { bodies, shipped, uuid } from '@chaperone/collector/testing/events.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ApiDescription, type Content, routesOf } from '../support/api-description.ts';
import { silent, TestCollector } from '../support/collector.ts';

const description = new ApiDescription('collector');
const { document: api } = description;

/** The collector's server, as far as its routes are concerned. */
function serverOfRoutes() {
  const limits = { concurrentBatches: 1, concurrentRecordings: 1 };
  return buildServer({
    logger: silent,
    limits,
    query: {},
    servesOps: true,
  } as unknown as ServerParts);
}

test('every route is described, and every description is a route', async () => {
  const described = description
    .operations()
    .map(([route, method]) => `${method.toUpperCase()} ${route}`);
  expect(described.sort()).toEqual(await routesOf(serverOfRoutes()));
});

test('operation ids are unique', () => {
  const ids = description.operations().map(([, , { operationId }]) => operationId);
  expect(new Set(ids).size).toBe(ids.length);
});

test('the examples are what the schemas say', () => {
  let examples = 0;
  for (const [name, schema] of Object.entries(api.components.schemas!)) {
    for (const example of (schema.examples as unknown[] | undefined) ?? []) {
      examples += 1;
      expect([name, description.problems(`/components/schemas/${name}`, example)]).toEqual([
        name,
        [],
      ]);
    }
  }
  const visit = (value: unknown, pointer: string) => {
    if (typeof value !== 'object' || value === null) return;
    const { example, schema } = value as { example?: unknown; schema?: unknown };
    if (example !== undefined && schema !== undefined) {
      examples += 1;
      expect([pointer, description.problems(`${pointer}/schema`, example)]).toEqual([pointer, []]);
    }
    for (const [key, inner] of Object.entries(value)) {
      visit(
        inner,
        `${pointer}/${encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1'))}`,
      );
    }
  };
  visit(api.paths, '/paths');
  visit(api.components.responses, '/components/responses');
  expect(examples).toBeGreaterThan(10);
});

describe('what the collector answers is what is described', () => {
  const server = new TestCollector();
  const session = uuid(1);
  const bytes = Buffer.concat([randomBytes(16), Buffer.of(0), Buffer.from('rows')]);
  const digest = hash('sha256', bytes, 'hex');
  const snapshot = '{"bundleVersion":1}';
  const snapshotDigest = hash('sha256', snapshot, 'hex');
  const put = (route: string, token: string, type: string, body: string | Uint8Array) =>
    fetch(server.url + route, {
      method: 'PUT',
      headers: { authorization: `Bearer ${token}`, 'content-type': type },
      body: typeof body === 'string' ? body : new Uint8Array(body),
    });
  const recorded = () =>
    put(`/v1/recordings/${digest}`, 'ship-one', 'application/octet-stream', bytes);
  const stored = () =>
    put(`/v1/snapshots/${snapshotDigest}`, 'ship-one', 'application/json', snapshot);

  beforeAll(async () => {
    await server.start();
    await recorded();
    await stored();
    const decided = shipped(session, 2, bodies.decided(), {
      statement: 'select 1',
      parameters: '["1"]',
    });
    const batch = [
      shipped(session, 1, bodies.opened()),
      decided,
      shipped(session, 3, bodies.completed(2, [digest])),
      shipped(session, 4, bodies.completed(2), { result: 'cm93cw==' }),
      shipped(session, 5, bodies.closed(5)),
      shipped(session, 9, bodies.heartbeat({ [uuid(2)]: 3 })),
    ];
    await server.ship(session, batch);
    await server.ship(session, [shipped(session, 2, bodies.decided('Deny'))]);
  });
  afterAll(() => server.remove());

  const ask = (route: string, token?: string) => () => server.get(route, token);
  const cases: readonly (readonly [string, string, () => Promise<Response>])[] = [
    [
      'post /v1/sessions/{id}/events',
      '200',
      () => server.post(session, [shipped(session, 1, bodies.opened())]),
    ],
    ['post /v1/sessions/{id}/events', '400', () => server.post(session, 'x')],
    [
      'post /v1/sessions/{id}/events',
      '403',
      () => server.post(session, 'x', { authorization: 'Bearer x' }),
    ],
    ['get /v1/sessions/{id}/events', '200', ask(`/v1/sessions/${session}/events?exact=true`)],
    ['get /v1/sessions/{id}/events', '200', ask(`/v1/sessions/${session}/events`, 'operator')],
    [
      'get /v1/sessions/{id}/events',
      '401',
      () => fetch(`${server.url}/v1/sessions/${session}/events`),
    ],
    ['get /v1/events', '200', ask('/v1/events?limit=2')],
    ['get /v1/events', '400', ask('/v1/events?limit=x')],
    ['get /v1/sessions', '200', ask('/v1/sessions?limit=2')],
    ['get /v1/sessions', '200', ask(`/v1/sessions?id=${session.slice(0, 13)}`)],
    ['get /v1/sessions', '400', ask('/v1/sessions?id=SELECT')],
    ['get /v1/sessions/{id}', '200', ask(`/v1/sessions/${session}`)],
    ['get /v1/sessions/{id}', '200', ask(`/v1/sessions/${uuid(2)}`)],
    ['get /v1/sessions/{id}', '404', ask(`/v1/sessions/${uuid(3)}`)],
    [
      'put /v1/sessions/{id}/hold',
      '204',
      () =>
        put(
          `/v1/sessions/${session}/hold`,
          'auditor',
          'application/json',
          '{"hold":true,"reason":"r"}',
        ),
    ],
    [
      'put /v1/sessions/{id}/hold',
      '403',
      () =>
        put(
          `/v1/sessions/${session}/hold`,
          'owner',
          'application/json',
          '{"hold":true,"reason":"r"}',
        ),
    ],
    [
      'put /v1/sessions/{id}/hold',
      '415',
      () => put(`/v1/sessions/${session}/hold`, 'auditor', 'text/html', 'x'),
    ],
    [
      'get /v1/sessions/{id}/events/{seq}/result',
      '200',
      ask(`/v1/sessions/${session}/events/4/result`),
    ],
    [
      'get /v1/sessions/{id}/events/{seq}/result',
      '404',
      ask(`/v1/sessions/${session}/events/3/result`),
    ],
    ['put /v1/recordings/{sha256}', '204', recorded],
    ['get /v1/recordings/{sha256}', '200', ask(`/v1/recordings/${digest}`)],
    ['get /v1/recordings/{sha256}', '404', ask(`/v1/recordings/${'0'.repeat(64)}`)],
    ['put /v1/snapshots/{digest}', '204', stored],
    ['get /v1/snapshots/{digest}', '200', ask(`/v1/snapshots/${snapshotDigest}`)],
    ['get /v1/integrity', '200', ask('/v1/integrity')],
    ['get /v1/integrity', '403', ask('/v1/integrity', 'owner')],
    ['get /healthz', '200', ask('/healthz')],
    ['get /readyz', '200', ask('/readyz')],
    ['get /metrics', '200', ask('/metrics')],
  ];
  test.each(cases)('%s: %s', async (name, status, send) => {
    const answer = await send();
    expect(String(answer.status)).toBe(status);
    const [method, route] = name.split(' ') as [string, string];
    const described = api.paths[route]![method]!.responses[status]!;
    const reference = described.$ref?.slice(1);
    const response = reference
      ? (api.components.responses![reference.split('/').at(-1)!] as { content?: Content })
      : described;
    const type = answer.headers.get('content-type')?.split(';')[0];
    expect(Object.keys(response.content ?? {}).some((one) => one === type)).toBe(
      response.content !== undefined,
    );
    if (type === undefined || !type.endsWith('json')) return void (await answer.arrayBuffer());
    const body: unknown = await answer.json();
    expect(description.answerProblems(route, method, answer.status, type, body)).toEqual([]);
  });

  test('every operation was tried', () => {
    const tried = new Set(cases.map(([name]) => name));
    expect(description.operations().map(([route, method]) => `${method} ${route}`)).toEqual(
      expect.arrayContaining([...tried]),
    );
    expect(tried.size).toBe(description.operations().length);
  });

  test('the parameters described are the parameters taken', async () => {
    for (const [route, method, { parameters = [] }] of description.operations()) {
      if (method !== 'get' || !route.startsWith('/v1/')) continue;
      const names = parameters.map((parameter) => {
        if (parameter.$ref === undefined) return parameter.name!;
        const name = parameter.$ref.split('/').at(-1)!;
        return api.components.parameters![name]!.name as string;
      });
      const known = [
        ...['from', 'to', 'identity', 'owner', 'target', 'limit', 'cursor', 'order', 'session'],
        ...['type', 'verdict', 'verb', 'resource', 'rule', 'q', 'exact'],
      ];
      const url = route
        .replace('{id}', session)
        .replace('{sha256}', digest)
        .replace('{digest}', snapshotDigest);
      for (const name of known) {
        // An empty value is refused for every parameter that there is, and by another message than for none.
        const { detail } = (await (await server.get(`${url}?${name}=`)).json()) as {
          detail: string;
        };
        const taken = !detail.startsWith('there is no parameter');
        // The path names the session already.
        const isDescribed =
          names.includes(name) || (name === 'session' && route.endsWith('/events'));
        expect([route, name, taken]).toEqual([route, name, isDescribed]);
      }
    }
  });
});
