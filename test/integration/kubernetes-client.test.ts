/** The client, the Contact and the EventRecorder against a server that misbehaves on purpose. */
import { ApiError, toApiError } from '@chaperone/operator/kubernetes/api-error.ts';
import { Contact } from '@chaperone/operator/kubernetes/contact.ts';
import { EventRecorder } from '@chaperone/operator/kubernetes/event-recorder.ts';
import { pathOf, resourceTypes } from '@chaperone/operator/kubernetes/resource-types.ts';
import { systemClock } from '@chaperone/runtime/clock.ts';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ApiException, CoreV1Api } from '@kubernetes/client-node';
import { surroundings, type TestSurroundings } from '../support/kubernetes.ts';
import {
  configMap,
  type Exchange,
  type ImpatientClock,
  impatientClock,
  type MisbehavingApi,
  startMisbehavingApi,
} from '../support/misbehaving-api.ts';

let clock: ImpatientClock;
let server: MisbehavingApi;
let around: TestSurroundings;

beforeEach(async () => {
  clock = impatientClock(systemClock(), 3000);
  server = await startMisbehavingApi(clock);
  around = surroundings(clock);
});

afterEach(() => server.close());

const failure = (promise: Promise<unknown>): Promise<ApiError> =>
  promise.then(
    () => {
      throw new Error('it did not fail');
    },
    (error: unknown) => {
      expect(error).toBeInstanceOf(ApiError);
      return error as ApiError;
    },
  );

describe('KubernetesApi', () => {
  const get = (): Promise<unknown> => server.api.get(resourceTypes.ConfigMap, 'ns', 'a');

  test.each<[number, string, Partial<ApiError>]>([
    [404, 'NotFound', { isNotFound: true, isNetwork: false }],
    [409, 'Conflict', { isConflict: true, isAlreadyExists: false }],
    [409, 'AlreadyExists', { isConflict: false, isAlreadyExists: true }],
    [410, 'Expired', { isExpired: true }],
    [422, 'Invalid', { isInvalid: true }],
  ])('%i %s is told by its reason', async (code, reason, expected) => {
    const failed = failure(get());
    (await server.take()).status(code, reason, 'because');
    const error = await failed;
    expect(error).toMatchObject({ code, reason });
    expect(error.message).toBe(
      `GET /api/v1/namespaces/ns/configmaps/a: ${code} ${reason}: because`,
    );
    for (const [name, value] of Object.entries(expected)) {
      expect([name, error[name as keyof ApiError]]).toEqual([name, value]);
    }
  });

  test('an answer without a Status is told by its code', async () => {
    const failed = failure(get());
    (await server.take()).raw(502, '<html>bad gateway</html>');
    expect(await failed).toMatchObject({ code: 502, reason: 'HTTP502' });
  });

  test('what is wrong with which field is kept', async () => {
    const failed = failure(get());
    (await server.take()).json(
      {
        kind: 'Status',
        reason: 'Invalid',
        message: 'no',
        details: { causes: [{ field: 'spec.a', message: 'must be b' }] },
      },
      422,
    );
    expect((await failed).causes).toEqual([{ field: 'spec.a', message: 'must be b' }]);
  });

  test('no answer: given up after 30 s', async () => {
    const failed = failure(get());
    const exchange = await server.take();
    expect(clock.fire(30_000)).toBe(1);
    expect(await failed).toMatchObject({ code: 0, reason: 'RequestTimeout', isNetwork: true });
    await exchange.closed;
  });

  test('half an answer: given up after 30 s', async () => {
    const failed = failure(get());
    const exchange = await server.take();
    exchange.open();
    exchange.write('{"metadata":');
    clock.fire(30_000);
    expect(await failed).toMatchObject({ reason: 'RequestTimeout' });
    await exchange.closed;
  });

  test('a server that is away', async () => {
    await server.down();
    expect(await failure(get())).toMatchObject({ code: 0, reason: 'NetworkError' });
    expect((await failure(get())).message).toMatch(/ECONNREFUSED/);
  });

  test('find: undefined for what does not exist, and an error for all else', async () => {
    const found = server.api.find(resourceTypes.ConfigMap, 'ns', 'a');
    (await server.take()).status(404, 'NotFound', 'no');
    expect(await found).toBeUndefined();
    const failed = failure(server.api.find(resourceTypes.ConfigMap, 'ns', 'a'));
    (await server.take()).status(403, 'Forbidden', 'no');
    expect(await failed).toMatchObject({ reason: 'Forbidden' });
  });

  test('writes name their manager, are strict, and patches have their content type', async () => {
    const { ConfigMap, MachineIdentity } = resourceTypes;
    const object = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { namespace: 'ns', name: 'a' },
    };
    const calls: [() => Promise<unknown>, string, string, string | undefined][] = [
      [
        () => server.api.create(ConfigMap, object, { fieldManager: 'us' }),
        'POST /api/v1/namespaces/ns/configmaps',
        'fieldManager=us&fieldValidation=Strict',
        'application/json',
      ],
      [
        () => server.api.replace(ConfigMap, object as never, { fieldManager: 'us', dryRun: true }),
        'PUT /api/v1/namespaces/ns/configmaps/a',
        'fieldManager=us&dryRun=All&fieldValidation=Strict',
        'application/json',
      ],
      [
        () =>
          server.api.mergePatch(
            MachineIdentity,
            { namespace: 'ns', name: 'a', subresource: 'status' },
            {},
            { fieldManager: 'us' },
          ),
        'PATCH /apis/chaperone.dev/v1alpha1/namespaces/ns/machineidentities/a/status',
        'fieldManager=us&fieldValidation=Strict',
        'application/merge-patch+json',
      ],
      [
        () => server.api.apply(ConfigMap, object, { fieldManager: 'us' }),
        'PATCH /api/v1/namespaces/ns/configmaps/a',
        'fieldManager=us&fieldValidation=Strict&force=true',
        'application/apply-patch+yaml',
      ],
      [
        () => server.api.jsonPatch(ConfigMap, { namespace: 'ns', name: 'a' }, []),
        'PATCH /api/v1/namespaces/ns/configmaps/a',
        'fieldValidation=Strict',
        'application/json-patch+json',
      ],
    ];
    for (const [call, request, query, contentType] of calls) {
      const done = call();
      const exchange = await server.take();
      expect(`${exchange.method} ${exchange.path}`).toBe(request);
      expect(exchange.query.toString()).toBe(query);
      expect(exchange.headers['content-type']).toBe(contentType);
      exchange.json(configMap('a', '1'));
      await done;
    }
  });

  test('all calls, and those of client-node itself, share connections', async () => {
    const core = server.api.config.makeApiClient(CoreV1Api);
    for (let round = 0; round < 50; round += 1) {
      const call =
        round % 2 === 0 ? get() : core.readNamespacedConfigMap({ namespace: 'ns', name: 'a' });
      (await server.take()).json(configMap('a', '1'));
      await call;
    }
    expect(server.connections()).toBeLessThanOrEqual(2);
  });

  test('names that would lead elsewhere are refused or escaped', () => {
    for (const name of ['', '.', '..']) {
      expect(() => pathOf(resourceTypes.ConfigMap, { namespace: 'ns', name })).toThrow(TypeError);
    }
    expect(pathOf(resourceTypes.ConfigMap, { namespace: 'ns', name: '../../secrets?x#y' })).toBe(
      '/api/v1/namespaces/ns/configmaps/..%2F..%2Fsecrets%3Fx%23y',
    );
  });

  test("errors of client-node's own classes are told alike", () => {
    const body = JSON.stringify({
      kind: 'Status',
      reason: 'AlreadyExists',
      message: 'it is there',
    });
    expect(toApiError(new ApiException(409, 'no', body, {}))).toMatchObject({
      code: 409,
      reason: 'AlreadyExists',
      isAlreadyExists: true,
    });
    const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
    expect(toApiError(new TypeError('fetch failed', { cause: refused }))).toMatchObject({
      code: 0,
      reason: 'NetworkError',
      message: 'request: fetch failed: connect: ECONNREFUSED',
    });
  });
});

describe('Contact', () => {
  let told: string[];
  let contact: Contact;
  const heard: (() => void)[] = [];

  beforeEach(() => {
    told = [];
    contact = new Contact(server.api, resourceTypes.Namespace, clock);
    const tell = (what: string): void => {
      told.push(what);
      for (const wake of heard.splice(0)) wake();
    };
    contact.follow({ confirm: () => tell('confirmed'), reconnect: () => tell('reconnect') });
    contact.start();
  });

  afterEach(() => contact.stop());

  const nextWord = (): Promise<void> => new Promise((resolve) => heard.push(resolve));

  test('each answer to a consistent read confirms', async () => {
    for (let round = 0; round < 2; round += 1) {
      const exchange = await server.take();
      expect(exchange.query.get('limit')).toBe('1');
      expect(exchange.query.get('resourceVersion')).toBeNull();
      const word = nextWord();
      exchange.list([], '1');
      await word;
    }
    expect(told).toEqual(['confirmed', 'confirmed']);
    expect(clock.delays).toContain(2000);
  });

  test('a refusal confirms nothing', async () => {
    (await server.take()).status(500, 'InternalError', 'etcd is away');
    const exchange = await server.take();
    expect(told).toEqual([]);
    const word = nextWord();
    exchange.list([], '1');
    await word;
    expect(told).toEqual(['confirmed']);
  });

  test('after a silence the watches are opened anew, as they may hang', async () => {
    const silent = nextWord();
    (await server.take()).destroy();
    await silent;
    expect(told).toEqual(['reconnect']);
    const exchange = await server.take();
    const word = nextWord();
    exchange.list([], '1');
    await word;
    expect(told).toEqual(['reconnect', 'reconnect']); // when it fell silent, and now
    const again = nextWord();
    (await server.take()).list([], '1');
    await again;
    expect(told.at(-1)).toBe('confirmed');
  });

  test('an answer on a new connection says nothing of watches on the old one', async () => {
    for (const close of [true, false]) {
      const word = nextWord();
      (await server.take()).list([], '1', undefined, close);
      await word;
    }
    expect(told).toEqual(['confirmed', 'reconnect']);
    const word = nextWord();
    (await server.take()).list([], '1');
    await word;
    expect(told.at(-1)).toBe('confirmed');
  });

  test('stopping does not wait for an answer', async () => {
    await server.take();
    await contact.stop();
    expect(told).toEqual([]);
  });
});

describe('EventRecorder', () => {
  let recorder: EventRecorder;
  const subject = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    namespace: 'ns',
    name: 'web',
    uid: 'u',
  };
  const details = {
    type: 'Warning',
    reason: 'HostNetwork',
    action: 'Inject',
    note: 'left out',
  } as const;

  beforeEach(() => {
    recorder = new EventRecorder({
      api: server.api,
      controller: 'chaperone.dev/webhook',
      instance: 'webhook-0',
      ...around,
    });
  });

  afterEach(() => recorder.stop());

  const answer = (exchange: Exchange): Record<string, unknown> => {
    const written = JSON.parse(exchange.body) as { readonly metadata: { readonly name: string } };
    exchange.json({
      ...written,
      metadata: { ...written.metadata, resourceVersion: '1', uid: 'e' },
    });
    return written as unknown as Record<string, unknown>;
  };

  test('writes what happened to what, with a time that the server takes', async () => {
    recorder.record(subject, details);
    const exchange = await server.take();
    expect(exchange.path).toBe('/apis/events.k8s.io/v1/namespaces/ns/events');
    const event = answer(exchange);
    await recorder.flush();
    expect(event).toMatchObject({
      ...details,
      metadata: { namespace: 'ns', name: expect.stringMatching(/^web\.[0-9a-f]{16}$/) },
      regarding: subject,
      reportingController: 'chaperone.dev/webhook',
      reportingInstance: 'webhook-0',
      eventTime: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
    });
  });

  test('the same one again counts on the first', async () => {
    recorder.record(subject, details);
    const created = answer(await server.take()) as { metadata: { name: string } };
    for (let round = 0; round < 100; round += 1) recorder.record(subject, details);
    const flushed = recorder.flush();
    const exchange = await server.take();
    expect(exchange.method).toBe('PATCH');
    expect(exchange.path).toContain(created.metadata.name);
    expect(JSON.parse(exchange.body)).toEqual({
      series: { count: 101, lastObservedTime: expect.stringMatching(/\.\d{6}Z$/) },
    });
    exchange.json(configMap('e', '2'));
    await flushed;
    expect(server.pending()).toBe(0);
  });

  test('an object of no namespace has its Events in default', async () => {
    recorder.record({ apiVersion: 'v1', kind: 'Namespace', name: 'payments' }, details);
    const exchange = await server.take();
    expect(exchange.path).toContain('/namespaces/default/');
    answer(exchange);
    await recorder.flush();
  });

  test('of one object no more than 25 different ones at once; the rest is counted', async () => {
    for (let round = 0; round < 40; round += 1) {
      recorder.record(subject, { ...details, note: `note ${round}` });
    }
    for (let round = 0; round < 25; round += 1) answer(await server.take());
    await recorder.flush();
    expect(server.pending()).toBe(0);
    expect(await around.registry.metrics()).toContain(
      'chaperone_kubernetes_events_dropped_total{cause="RateLimit"} 15',
    );
  });

  test('one that cannot be written is logged and counted, and the next is written', async () => {
    recorder.record(subject, details);
    recorder.record(subject, { ...details, reason: 'Other' });
    (await server.take()).status(403, 'Forbidden', 'no events here');
    answer(await server.take());
    await recorder.flush();
    expect(JSON.stringify(around.logged)).toContain('no events here');
    expect(await around.registry.metrics()).toContain(
      'chaperone_kubernetes_events_dropped_total{cause="Failed"} 1',
    );
  });

  test('a server that does not answer holds nobody up, and what waits is bounded', async () => {
    for (let round = 0; round < 1500; round += 1) {
      recorder.record({ ...subject, name: `pod-${round}` }, details);
    }
    const exchange = await server.take();
    expect(await around.registry.metrics()).toMatch(
      /chaperone_kubernetes_events_dropped_total\{cause="QueueFull"\} (499|500)/,
    );
    await recorder.stop();
    await exchange.closed;
    expect(server.pending()).toBe(0);
  });

  test('long texts are cut, odd names are made fit', async () => {
    recorder.record(
      { ...subject, name: `${'x'.repeat(198)}.-y` },
      { ...details, note: 'n'.repeat(5000) },
    );
    const event = answer(await server.take()) as { note: string; metadata: { name: string } };
    expect(event.note).toHaveLength(1024);
    expect(event.metadata.name).toMatch(/^x{198}\.[0-9a-f]{16}$/);
    await recorder.stop();
    recorder.record(subject, details);
    expect(server.pending()).toBe(0);
  });
});
