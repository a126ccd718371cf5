/** The Reflector against a server that misbehaves on purpose, one fault at a time. */

import type { KubernetesObject } from '@chaperone/operator/kubernetes/object.ts';
import { type ChangeBatch, Reflector, slim } from '@chaperone/operator/kubernetes/reflector.ts';
import { resourceTypes } from '@chaperone/operator/kubernetes/resource-types.ts';
import { systemClock } from '@chaperone/runtime/clock.ts';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { surroundings, type TestSurroundings } from '../support/kubernetes.ts';
import {
  configMap,
  type Exchange,
  type ImpatientClock,
  impatientClock,
  type MisbehavingApi,
  startMisbehavingApi,
} from '../support/misbehaving-api.ts';

const inactivityMs = 90_000;

let clock: ImpatientClock;
let server: MisbehavingApi;
let around: TestSurroundings;
let reflector: Reflector;
let batches: ChangeBatch<KubernetesObject>[];
let wake: () => void;
let transform: (object: KubernetesObject) => KubernetesObject;

beforeEach(async () => {
  clock = impatientClock(systemClock());
  server = await startMisbehavingApi(clock);
  around = surroundings(clock);
  batches = [];
  wake = () => {};
  transform = slim;
  reflector = new Reflector({
    api: server.api,
    type: resourceTypes.ConfigMap,
    transform: (object) => transform(object),
    ...around,
  });
  reflector.subscribe((batch) => {
    batches.push(batch);
    wake();
  });
  reflector.start();
});

afterEach(async () => {
  await reflector.stop();
  await server.close();
});

/** `Modified a@12`, in the order of arrival. */
const told = (): string[] =>
  batches.flatMap(({ changes }) =>
    changes.map(
      ({ type, object: { metadata } }) => `${type} ${metadata.name}@${metadata.resourceVersion}`,
    ),
  );

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) {
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
}

const takeList = async (): Promise<Exchange> => {
  const exchange = await server.take();
  expect(exchange.query.get('watch')).toBeNull();
  return exchange;
};

const takeWatch = async (resourceVersion: string): Promise<Exchange> => {
  const exchange = await server.take();
  expect(exchange.query.get('watch')).toBe('true');
  expect(exchange.query.get('resourceVersion')).toBe(resourceVersion);
  return exchange;
};

/** A first list of `a` and `b` at version 10, and the open watch from there. */
async function begin(): Promise<Exchange> {
  (await takeList()).list([configMap('a', '3'), configMap('b', '7')], '10');
  const watch = await takeWatch('10');
  watch.open();
  return watch;
}

const expired = {
  kind: 'Status',
  code: 410,
  reason: 'Expired',
  message: 'too old resource version',
};

describe('as it should be', () => {
  test('lists page by page, then watches from the version of the list with bookmarks', async () => {
    expect(reflector.hasSynced).toBe(false);
    const first = await takeList();
    expect(first.query.get('limit')).toBe('500');
    first.list([configMap('a', '3')], '10', 'more');
    const second = await takeList();
    expect(second.query.get('continue')).toBe('more');
    expect(reflector.hasSynced).toBe(false);
    expect(reflector.health()).toMatchObject({ synced: false, ageMs: undefined });
    second.list([configMap('b', '7')], '10');
    const watch = await takeWatch('10');
    expect(watch.query.get('allowWatchBookmarks')).toBe('true');
    expect(watch.query.get('timeoutSeconds')).toBe('450'); // in the middle of 300 to 600
    await reflector.synced();
    expect(batches).toHaveLength(1);
    expect(told()).toEqual(['Added a@3', 'Added b@7']);
    expect(reflector.get('ns', 'a')).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap' });
    expect(reflector.list('elsewhere')).toEqual([]);
  });

  test('tells each change once, a deletion with its own version', async () => {
    const watch = await begin();
    watch.event('ADDED', configMap('c', '11'));
    watch.event('MODIFIED', configMap('a', '12'));
    watch.event('DELETED', configMap('b', '13'));
    watch.event('DELETED', configMap('unknown', '14'));
    await until(() => reflector.resourceVersion === '14');
    expect(told().slice(2)).toEqual(['Added c@11', 'Modified a@12', 'Deleted b@13']);
    expect(batches.at(-2)?.changes[0]?.previous?.metadata.resourceVersion).toBe('7');
    expect(reflector.list().map(({ metadata }) => metadata.name)).toEqual(['a', 'c']);
  });

  test('a subscriber that comes late gets everything at once', async () => {
    await begin();
    const names: string[] = [];
    reflector.subscribe(({ changes }) => {
      for (const { object } of changes) names.push(object.metadata.name);
    });
    expect(names).toEqual(['a', 'b']);
  });

  test('what only the API server needs is not kept', () => {
    const { metadata } = slim({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: {
        ...configMap('a', '1').metadata,
        managedFields: [{ manager: 'kubectl' }],
        annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{}', mine: 'x' },
      } as never,
    });
    expect(metadata).toEqual({ ...configMap('a', '1').metadata, annotations: { mine: 'x' } });
  });
});

describe('watches that end', () => {
  test('one that the server closes is resumed where it was, without a list', async () => {
    const watch = await begin();
    watch.event('MODIFIED', configMap('a', '12'));
    await until(() => reflector.resourceVersion === '12');
    watch.end();
    const next = await takeWatch('12');
    next.open();
    // Deleted in between: a server that is asked from a version tells it.
    next.event('DELETED', configMap('b', '13'));
    await until(() => told().includes('Deleted b@13'));
    expect(told()).toHaveLength(4);
  });

  test('a bookmark is where it is resumed', async () => {
    const watch = await begin();
    watch.event('BOOKMARK', { metadata: { resourceVersion: '99' } });
    await until(() => reflector.resourceVersion === '99');
    expect(batches.at(-1)).toEqual({ changes: [], resourceVersion: '99' });
    watch.end();
    (await takeWatch('99')).open();
  });

  test('a connection that breaks is resumed where it was', async () => {
    const watch = await begin();
    watch.event('MODIFIED', configMap('a', '12'));
    await until(() => reflector.resourceVersion === '12');
    watch.destroy();
    (await takeWatch('12')).open();
    expect(told()).toHaveLength(3);
  });

  test('a server that closes each watch at once is asked ever more rarely', async () => {
    await takeList().then((list) => list.list([], '10'));
    const before = clock.delays.length;
    for (let round = 0; round < 9; round += 1) {
      const watch = await takeWatch('10');
      watch.open();
      watch.end();
    }
    await takeWatch('10');
    expect(clock.delays.slice(before)).toEqual([
      150, 300, 600, 1200, 2400, 4800, 9600, 19200, 22500,
    ]);
  });

  test('one over which nothing comes for 90 s is given up', async () => {
    const watch = await begin();
    await until(() => clock.held(inactivityMs) === 1);
    const asked = clock.asked(inactivityMs);
    watch.event('MODIFIED', configMap('a', '12'));
    await until(() => reflector.resourceVersion === '12');
    expect(clock.asked(inactivityMs)).toBeGreaterThan(asked); // counted from there
    expect(clock.fire(inactivityMs)).toBe(1);
    await watch.closed;
    (await takeWatch('12')).open();
    expect(around.logged).toContainEqual(
      expect.objectContaining({
        err: expect.objectContaining({ message: 'watch configmaps: no answer for 90000 ms' }),
      }),
    );
  });

  test('a server that is away and comes back is found again', async () => {
    const watch = await begin();
    await server.down();
    await watch.closed;
    await server.up();
    const next = await takeWatch('10');
    next.open();
    next.event('ADDED', configMap('c', '11'));
    await until(() => told().includes('Added c@11'));
    expect(reflector.health().problem).toBeUndefined();
  });
});

describe('versions that are too old', () => {
  const relisted = async (): Promise<void> => {
    const list = await takeList();
    expect(list.query.get('resourceVersion')).toBeNull(); // consistent, never from before
    list.list([configMap('a', '15'), configMap('c', '16')], '20');
    await takeWatch('20');
    expect(told().slice(2)).toEqual(['Deleted b@20', 'Modified a@15', 'Added c@16']);
    expect(batches.at(-1)?.changes).toHaveLength(3); // in force together
  };

  test('410 as an event: listed anew, deletions told with the version of the list', async () => {
    const watch = await begin();
    watch.event('ERROR', expired);
    watch.end();
    await relisted();
  });

  test('410 as an answer: the same', async () => {
    const watch = await begin();
    watch.event('BOOKMARK', { metadata: { resourceVersion: '11' } });
    await until(() => reflector.resourceVersion === '11');
    watch.end();
    (await takeWatch('11')).status(410, 'Expired', 'too old resource version');
    await relisted();
  });

  test('a server that finds its own newest list too old is not asked in a loop', async () => {
    for (let round = 0; round < 4; round += 1) {
      (await takeList()).list([], '10');
      const watch = await takeWatch('10');
      watch.open();
      watch.event('ERROR', expired);
      watch.end();
    }
    await takeList();
    expect(clock.delays).toEqual([150, 300, 600]); // the first time at once
  });

  test('410 in the middle of the pages: listed in one page', async () => {
    (await takeList()).list([configMap('a', '3')], '10', 'more');
    (await takeList()).status(410, 'Expired', 'The provided continue parameter is too old');
    const whole = await takeList();
    expect(whole.query.get('limit')).toBe('0');
    expect(whole.query.get('continue')).toBeNull();
    whole.list([configMap('b', '12')], '12');
    await takeWatch('12');
    expect(told()).toEqual(['Added b@12']);
  });

  test('what was deleted and made anew meanwhile is told as both', async () => {
    const watch = await begin();
    watch.event('ERROR', expired);
    watch.end();
    (await takeList()).list([configMap('a', '3'), configMap('b', '15', { uid: 'other' })], '20');
    await takeWatch('20');
    expect(told().slice(2)).toEqual(['Deleted b@20', 'Added b@15']);
  });
});

describe('answers that are none', () => {
  const refusals: readonly [string, (exchange: Exchange) => void, string][] = [
    ['401', (each) => each.status(401, 'Unauthorized', 'who are you'), 'who are you'],
    ['403', (each) => each.status(403, 'Forbidden', 'no list here'), 'no list here'],
    ['404', (each) => each.raw(404, '404 page not found\n'), '404 page not found'],
    ['500', (each) => each.status(500, 'InternalError', 'etcd is away'), 'etcd is away'],
    ['an empty answer', (each) => each.raw(200, ''), 'the answer is no JSON'],
    ['another object', (each) => each.json({ kind: 'Pod' }), 'the answer is no list'],
    ['half an answer', (each) => each.half('{"item'), 'terminated'],
    ['a broken connection', (each) => each.destroy(), 'fetch failed'],
  ];

  test.each(refusals)('%s to a list: tried again, and the log says why', async (_, refuse, why) => {
    refuse(await takeList());
    const again = await takeList();
    expect(reflector.hasSynced).toBe(false);
    expect(reflector.health().problem).toContain(why);
    expect(JSON.stringify(around.logged)).toContain(why);
    again.list([], '10');
    (await takeWatch('10')).open();
    await reflector.synced();
  });

  test('a watch refused with an explanation: the explanation is kept', async () => {
    const watch = await begin();
    watch.end();
    (await takeWatch('10')).status(403, 'Forbidden', 'no watch for you');
    const again = await takeWatch('10');
    expect(reflector.health().problem).toBe('watch configmaps: 403 Forbidden: no watch for you');
    again.open();
    again.event('ADDED', configMap('c', '11'));
    await until(() => told().includes('Added c@11'));
    expect(reflector.health().problem).toBeUndefined();
  });

  test('429: not before the time that the server asks for', async () => {
    (await takeList()).status(429, 'TooManyRequests', 'later', { 'Retry-After': '7' });
    (await takeList()).list([], '10');
    expect(clock.delays).toContain(7000);
  });

  test('a version that the server does not know, as after a restore of etcd: listed anew', async () => {
    const watch = await begin();
    watch.end();
    for (let round = 0; round < 3; round += 1) {
      (await takeWatch('10')).status(504, 'Timeout', 'Too large resource version');
    }
    (await takeList()).list([], '5');
    await takeWatch('5');
    expect(reflector.size).toBe(0);
  });

  test('an ERROR event of another kind: resumed where it was', async () => {
    const watch = await begin();
    watch.event('ERROR', { kind: 'Status', code: 500, reason: 'InternalError', message: 'oops' });
    (await takeWatch('10')).open();
  });

  const garbage: readonly [string, string][] = [
    ['no JSON', '{"type": "ADDED", "obj\n'],
    ['null', 'null\n'],
    ['no event', '{"hello": "world"}\n'],
    ['an unknown type', `${JSON.stringify({ type: 'MOVED', object: configMap('a', '11') })}\n`],
    ['an object without a version', '{"type":"ADDED","object":{"metadata":{"name":"x"}}}\n'],
    [
      'an object without a name',
      '{"type":"ADDED","object":{"metadata":{"resourceVersion":"11"}}}\n',
    ],
  ];

  test.each(garbage)(
    '%s in a watch: listed anew, as it is not known what was meant',
    async (_, line) => {
      const watch = await begin();
      watch.write(line);
      const list = await takeList();
      list.list([configMap('b', '7')], '11');
      (await takeWatch('11')).open();
      expect(told().slice(2)).toEqual(['Deleted a@11']);
    },
  );

  test('an event in pieces, a character cut in two: put together', async () => {
    const watch = await begin();
    const object = configMap('c', '11', { data: { text: 'päß 🔑' } });
    for (const byte of Buffer.from(`${JSON.stringify({ type: 'ADDED', object })}\n\n`)) {
      watch.write(Uint8Array.of(byte));
    }
    await until(() => told().includes('Added c@11'));
    expect(reflector.get('ns', 'c')).toMatchObject({ data: { text: 'päß 🔑' } });
  });

  test('a page that comes again and again: an error, not a loop', async () => {
    (await takeList()).list([configMap('a', '3')], '10', 'more');
    (await takeList()).list([configMap('a', '3')], '10', 'more');
    const again = await takeList();
    expect(again.query.get('continue')).toBeNull();
    expect(reflector.health().problem).toContain('the same page is offered again');
  });

  test('ten thousand objects in one page, though 500 were asked for', async () => {
    const items = Array.from({ length: 10_000 }, (_, index) => configMap(`m${index}`, `${index}`));
    (await takeList()).list(items, '10000');
    await reflector.synced();
    expect(reflector.size).toBe(10_000);
    expect(batches).toHaveLength(1);
  });
});

describe('ours', () => {
  test('a handler that throws stops neither the watch nor the other handlers', async () => {
    reflector.subscribe(() => {
      throw new Error('handler fault');
    });
    const after: string[] = [];
    reflector.subscribe(({ resourceVersion }) => after.push(resourceVersion));
    const watch = await begin();
    watch.event('ADDED', configMap('c', '11'));
    await until(() => told().includes('Added c@11'));
    await until(() => after.length === 2);
    expect(JSON.stringify(around.logged)).toContain('handler fault');
    expect(await around.registry.metrics()).toContain(
      'chaperone_cache_handler_errors_total{name="configmaps"} 2',
    );
  });

  test('an object that cannot be transformed counts as absent', async () => {
    transform = (object) => {
      if (object.metadata.resourceVersion === '11') throw new Error('cannot read that');
      return object;
    };
    const watch = await begin();
    watch.event('MODIFIED', configMap('a', '11'));
    await until(() => told().includes('Deleted a@11'));
    watch.event('MODIFIED', configMap('a', '12'));
    await until(() => told().includes('Added a@12'));
    expect(JSON.stringify(around.logged)).toContain('cannot read that');
  });

  test('stopping ends it for good, silently', async () => {
    const watch = await begin();
    await reflector.stop();
    await watch.closed;
    reflector.start();
    expect(server.pending()).toBe(0);
    expect(around.logged.filter(({ level }) => level !== 'info' && level !== 'debug')).toEqual([]);
    expect(clock.held(inactivityMs)).toBe(0);
  });

  test('stopping does not wait for a list, a delay or a server', async () => {
    await takeList();
    await reflector.stop();
    expect(reflector.hasSynced).toBe(false);
  });

  test('reconnect opens the watch anew at once, where it was', async () => {
    const watch = await begin();
    watch.event('MODIFIED', configMap('a', '12'));
    await until(() => reflector.resourceVersion === '12');
    reflector.reconnect();
    await watch.closed;
    (await takeWatch('12')).open();
    expect(clock.delays).toEqual([]);
  });

  test('its age counts from the last word of the server, or from what the server was asked meanwhile', async () => {
    const watch = await begin();
    watch.event('BOOKMARK', { metadata: { resourceVersion: '11' } });
    await until(() => reflector.resourceVersion === '11');
    const sentUs = clock.monotonicUs();
    reflector.confirm(sentUs);
    const { ageMs } = reflector.health();
    expect(ageMs).toBeLessThanOrEqual((clock.monotonicUs() - sentUs) / 1000);
    watch.end();
    await takeWatch('11'); // not accepted yet: an answer elsewhere says nothing about it
    const before = reflector.health().ageMs!;
    reflector.confirm(clock.monotonicUs());
    expect(reflector.health().ageMs).toBeGreaterThanOrEqual(before);
  });

  test('metrics under the names that dashboards know', async () => {
    const watch = await begin();
    watch.end();
    (await takeWatch('10')).status(500, 'InternalError', 'no');
    await takeWatch('10');
    const text = await around.registry.metrics();
    expect(text).toContain('reflector_lists_total{name="configmaps"} 1');
    expect(text).toContain('reflector_watches_total{name="configmaps"} 1');
    expect(text).toContain('chaperone_cache_failures_total{name="configmaps"} 1');
    expect(text).toContain('chaperone_cache_objects{name="configmaps"} 2');
    expect(text).toMatch(/chaperone_cache_age_seconds\{name="configmaps"\} 0\.\d+/);
  });
});
