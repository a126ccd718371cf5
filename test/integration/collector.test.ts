import { type ChildProcess, fork } from 'node:child_process';
import { createHmac, hash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { constants, gzipSync, zstdCompressSync } from 'node:zlib';
import { bodies, ndjson, shipped, uuid } from '@chaperone/collector/testing/events.ts';
import { chunkKinds } from '@chaperone/core/events/recording.ts';
import { uuidToBytes } from '@chaperone/core/events/uuid.ts';
import { manualClock } from '@chaperone/runtime/clock.ts';
import { FrameBatch, framesMediaType } from '@chaperone/runtime/recorder/frame.ts';
import type { ShippedEvent } from '@chaperone/runtime/recorder/transport.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { TestCollector } from '../support/collector.ts';

let next = 0;
/** A session that no other test uses. */
const newSession = () => uuid(0x1000 + ++next);

function chunk(content: Uint8Array, kind: number = chunkKinds.data) {
  const bytes = Buffer.concat([randomBytes(16), Buffer.of(kind), content]);
  return { bytes, digest: hash('sha256', bytes, 'hex') };
}

/** The same as `ndjson`, as frames of the spool. */
function frames(events: readonly ShippedEvent[], session: string): Buffer {
  const batch = new FrameBatch();
  for (const { seq, line, parts } of events) {
    batch.begin(uuidToBytes(session), seq);
    for (const { name, salt, content } of parts) {
      const bytes = Buffer.from(content);
      batch.part(name, Buffer.from(salt, 'base64'), 0, bytes, 0, bytes.length);
    }
    batch.text(line);
    batch.end();
  }
  return batch.buffer.subarray(0, batch.length);
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

describe('a collector', () => {
  const server = new TestCollector();
  beforeAll(() => server.start());
  afterAll(() => server.remove());

  const events = async (session: string) =>
    (await server.json(`/v1/sessions/${session}/events?exact=true`)).events as {
      event: { seq: number };
      line: string;
      parts: Record<string, { state: string; content: string; salt: string }>;
    }[];

  const putRecording = (digest: string, body: Uint8Array, headers: Record<string, string> = {}) =>
    fetch(`${server.url}/v1/recordings/${digest}`, {
      method: 'PUT',
      headers: {
        authorization: 'Bearer ship-one',
        'content-type': 'application/octet-stream',
        ...headers,
      },
      body: new Uint8Array(body),
    });

  describe('ingest', () => {
    test.each([
      ['NDJSON, gzip', gzipSync, ndjson, 'application/x-ndjson'],
      ['NDJSON, zstd', zstdCompressSync, ndjson, 'application/x-ndjson'],
      ['frames, zstd', zstdCompressSync, frames, framesMediaType],
    ] as const)('gives back exactly what was shipped as %s', async (name, compress, form, type) => {
      const session = newSession();
      const batch = [
        shipped(session, 1, bodies.opened()),
        shipped(session, 2, bodies.decided(), {
          statement: "select '\u0000Grüße\n\u001b[31m😀\u2028'",
          parameters: '["1",null]',
        }),
      ];
      const zipped = new Uint8Array(compress(form(batch, session)));
      const headers = { 'content-encoding': name.split(', ')[1]!, 'content-type': type };
      const answer = await server.post(session, zipped, headers);
      expect([answer.status, await answer.json()]).toEqual([200, { acknowledged: 2 }]);
      const found = await events(session);
      expect(found.map(({ line }) => line)).toEqual(batch.map(({ line }) => line));
      expect(found[1]?.parts).toEqual(
        Object.fromEntries(
          batch[1]!.parts.map(({ name, salt, content }) => [
            name,
            { state: 'Kept', salt, content },
          ]),
        ),
      );
    });

    test('an identical duplicate is acknowledged and kept once', async () => {
      const session = newSession();
      const batch = [shipped(session, 1, bodies.opened()), shipped(session, 2, bodies.decided())];
      expect(await server.ship(session, batch)).toBe(2);
      expect(await server.ship(session, batch)).toBe(2);
      expect(await events(session)).toHaveLength(2);
    });

    test('a contradiction is acknowledged, kept, and told', async () => {
      const session = newSession();
      const first = shipped(session, 1, bodies.decided('Deny'));
      const second = shipped(session, 1, bodies.decided('Allow'));
      await server.ship(session, [first]);
      expect(await server.ship(session, [second])).toBe(1);
      expect((await events(session)).map(({ line }) => line)).toEqual([first.line]);
      const { alerts } = await server.json('/v1/integrity');
      expect(alerts).toContainEqual(
        expect.objectContaining({ kind: 'Contradiction', session, line: second.line }),
      );
      const metrics = await (await server.get('/metrics')).text();
      expect(metrics).toMatch(/chaperone_ingest_alerts_total\{kind="Contradiction"\} [1-9]/);
    });

    test('a gap holds the acknowledgement back, and shows', async () => {
      const session = newSession();
      const batch = [1, 2, 3, 4].map((seq) => shipped(session, seq, bodies.decided()));
      expect(await server.ship(session, [batch[0]!, batch[3]!])).toBe(1);
      const { sources } = await server.json('/v1/integrity');
      expect(sources.flatMap(({ missing }: { missing: unknown[] }) => missing)).toContainEqual({
        session,
        from: 2,
        to: 3,
        state: 'Awaited',
      });
      expect(await server.ship(session, batch.slice(1, 3))).toBe(4);
    });

    test('a session is its first source’s alone', async () => {
      const session = newSession();
      await server.ship(session, [shipped(session, 1, bodies.opened())]);
      const other = await server.post(session, [shipped(session, 2, bodies.decided())], {
        authorization: 'Bearer ship-two',
      });
      expect([other.status, ((await other.json()) as { code: string }).code]).toEqual([
        403,
        'CHP-6004',
      ]);
      const itself = await server.post(newSession(), [], {
        authorization: 'Bearer ship-collector',
      });
      expect(itself.status).toBe(403);
    });

    test('a bad event in a batch: none of it is kept', async () => {
      const session = newSession();
      const good = shipped(session, 1, bodies.decided(), { statement: 'select 1' });
      const other = newSession();
      const parts = good.parts.map((part) => ({ ...part, content: 'select 2' }));
      const salted = good.parts.map((part) => ({ ...part, salt: `${part.salt}`.slice(4) }));
      const relined = (change: (line: string) => string) => ({ ...good, line: change(good.line) });
      const bad: Record<string, unknown> = {
        'another content than its HMAC': { ...good, parts },
        'a short salt': { ...good, parts: salted },
        'a part missing': { ...good, parts: [] },
        'a part twice': { ...good, parts: [...good.parts, ...good.parts] },
        'a part that the line does not name': {
          ...shipped(session, 2, bodies.decided()),
          parts: good.parts,
        },
        'a result that is not base64': shipped(session, 2, bodies.completed(1), {
          result: 'rows!',
        }),
        'a result in base64 without its padding': shipped(session, 2, bodies.completed(1), {
          result: 'cm93cw',
        }),
        'a result in base64 with bits that say nothing': shipped(session, 2, bodies.completed(1), {
          result: 'cm93cx==',
        }),
        'another seq than its line': { ...good, seq: 2 },
        'seq 0': { ...good, seq: 0 },
        'a fractional seq': { ...good, seq: 1.5 },
        'another session': shipped(other, 2, bodies.decided()),
        'no object': 7,
        'a further key': { ...good, extra: 1 },
        'no parts': { seq: 1, line: good.line },
        'a line that is not JSON': relined(() => '{'),
        'a key twice in the line': relined((line) => line.replace('{', '{"type":"x",')),
        'deep nesting': relined((line) =>
          line.replace('{', `{"x":${'['.repeat(100)}${']'.repeat(100)},`),
        ),
        'a newer version': relined((line) => line.replace('"eventVersion":1', '"eventVersion":2')),
        'a time that is none': relined((line) => line.replace(/"time":"[^"]*"/, '"time":"today"')),
        'a salt with something between its digits': {
          ...good,
          parts: good.parts.map((part) => ({
            ...part,
            salt: `${part.salt.slice(0, 4)}\n${part.salt.slice(4)}`,
          })),
        },
        // The same bytes in UTF-8, so the same HMAC; another text all the same.
        'a lone surrogate': JSON.stringify(
          shipped(session, 4, bodies.decided(), { statement: '\ufffd' }),
        ).replace('\ufffd', '\\ud800'),
      };
      for (const [name, event] of Object.entries(bad)) {
        const text = typeof event === 'string' ? event : JSON.stringify(event);
        const first = shipped(session, 3, bodies.decided());
        const answer = await server.post(session, `${JSON.stringify(first)}\n${text}\n`);
        expect([name, answer.status]).toEqual([name, 400]);
        expect(answer.headers.get('content-type')).toBe('application/problem+json');
        expect(await answer.json()).toMatchObject({ status: 400, code: 'CHP-6001' });
      }
      expect((await server.get(`/v1/sessions/${session}`)).status).toBe(404);
      expect(await server.ship(session, [good])).toBe(1);
    });

    const session = newSession();
    const one = () => ndjson([shipped(session, 1, bodies.decided())]);
    const malformed: readonly (readonly [string, () => string | Uint8Array, object, number])[] = [
      ['nothing', () => '', {}, 400],
      ['not JSON', () => 'hello\n', {}, 400],
      ['an empty line', () => `${one()}\n${one()}`, {}, 400],
      ['not UTF-8', () => Buffer.from([0x7b, 0xff, 0xfe]), {}, 400],
      ['not gzip', () => 'hello', { 'content-encoding': 'gzip' }, 400],
      [
        'gzip cut short',
        () => gzipSync(one()).subarray(0, 30),
        { 'content-encoding': 'gzip' },
        400,
      ],
      ['not zstd', () => 'hello', { 'content-encoding': 'zstd' }, 400],
      [
        'zstd cut short',
        () => zstdCompressSync(one()).subarray(0, 30),
        { 'content-encoding': 'zstd' },
        400,
      ],
      [
        'bytes behind a zstd frame',
        () => Buffer.concat([zstdCompressSync(one()), zstdCompressSync(one())]),
        { 'content-encoding': 'zstd' },
        400,
      ],
      [
        'a zstd frame that asks for much memory',
        () =>
          zstdCompressSync(`${one().trimEnd()}${' '.repeat(16 << 20)}\n`, {
            params: { [constants.ZSTD_c_windowLog]: 27, [constants.ZSTD_c_compressionLevel]: 19 },
          }),
        { 'content-encoding': 'zstd' },
        400,
      ],
      ['a name of every object', one, { 'content-encoding': 'constructor' }, 415],
      ['another encoding', one, { 'content-encoding': 'br' }, 415],
      ['another type', one, { 'content-type': 'text/plain' }, 415],
      ['a type of a neighbour', one, { 'content-type': 'application/json' }, 415],
      ['no token', one, { authorization: '' }, 401],
      ['a wrong token', one, { authorization: 'Bearer nobody' }, 403],
      ['a reader’s token', one, { authorization: 'Bearer auditor' }, 403],
      ['too many events', () => 'x\n'.repeat(10_001), {}, 413],
      ['too much', () => Buffer.alloc(17 << 20, 0x20), {}, 413],
      ['a gzip bomb', () => gzipSync(Buffer.alloc(200 << 20)), { 'content-encoding': 'gzip' }, 413],
      [
        'a zstd bomb',
        () => zstdCompressSync(Buffer.alloc(200 << 20)),
        { 'content-encoding': 'zstd' },
        413,
      ],
    ];
    test.each(malformed)('refuses %s', async (_name, body, headers, status) => {
      const content = body();
      const answer = await server.post(
        session,
        typeof content === 'string' ? content : new Uint8Array(content),
        headers as Record<string, string>,
      );
      expect(answer.status).toBe(status);
      expect(answer.headers.get('content-type')).toBe('application/problem+json');
      expect((await server.get(`/v1/sessions/${session}`)).status).toBe(404);
    });

    test('a body that declares itself too large is refused before it is read', async () => {
      const { hostname, port } = new URL(server.url);
      const post = request({
        hostname,
        port,
        method: 'POST',
        path: `/v1/sessions/${session}/events`,
        headers: {
          authorization: 'Bearer ship-one',
          'content-type': 'application/x-ndjson',
          'content-length': String(1 << 30),
        },
      });
      post.on('error', () => {}); // the collector closes the connection
      post.flushHeaders();
      const [response] = await once(post, 'response');
      expect(response.statusCode).toBe(413);
      post.destroy();
    });

    test('a body that breaks off is not kept, and the slot is free again', async () => {
      const { hostname, port } = new URL(server.url);
      for (let round = 0; round < 20; round += 1) {
        const post = request({
          hostname,
          port,
          method: 'POST',
          path: `/v1/sessions/${session}/events`,
          headers: { authorization: 'Bearer ship-one', 'content-type': 'application/x-ndjson' },
        });
        post.on('error', () => {});
        await new Promise<void>((sent) => post.write(one(), () => sent()));
        const closed = new Promise((done) => post.once('close', done));
        post.destroy();
        await closed;
      }
      const after = newSession();
      expect(await server.ship(after, [shipped(after, 1, bodies.decided())])).toBe(1);
      expect((await server.get(`/v1/sessions/${session}`)).status).toBe(404);
    });

    test('a newline in a statement stays in its event', async () => {
      const about = newSession();
      const statement = 'select 1\n{"seq":9,"line":"forged","parts":[]}';
      await server.ship(about, [shipped(about, 1, bodies.decided(), { statement })]);
      const answer = await server.get(`/v1/sessions/${about}/events`, 'auditor', {
        accept: 'application/x-ndjson',
      });
      expect(answer.headers.get('content-type')).toMatch(/^application\/x-ndjson/);
      const lines = (await answer.text()).trimEnd().split('\n');
      expect(lines.map((line) => JSON.parse(line).parts.statement.content)).toEqual([statement]);
    });
  });

  describe('recordings', () => {
    test('are kept by the digest of their content, and given back', async () => {
      const { bytes, digest } = chunk(Buffer.from('rows'));
      const zstd = zstdCompressSync(bytes);
      const put = () => putRecording(digest, zstd, { 'content-encoding': 'zstd' });
      expect((await put()).status).toBe(201);
      expect((await put()).status).toBe(204);
      const found = await server.get(`/v1/recordings/${digest}`);
      expect(Buffer.from(await found.arrayBuffer())).toEqual(bytes);
      const plain = chunk(Buffer.from('plain'));
      expect((await putRecording(plain.digest, plain.bytes)).status).toBe(201);
    });

    test('what is not the chunk of that digest is refused', async () => {
      const { bytes, digest } = chunk(Buffer.from('rows'));
      const zstd = { 'content-encoding': 'zstd' };
      const bomb = zstdCompressSync(Buffer.alloc(64 << 20));
      const cases: readonly (readonly [string, Uint8Array, Record<string, string>, number])[] = [
        [digest, Buffer.from('other bytes, more than 16 of them'), {}, 422],
        [digest, bytes, zstd, 422],
        [digest, bomb, zstd, 422],
        [hash('sha256', bomb, 'hex'), bomb, zstd, 422],
        [digest, Buffer.alloc(1 << 20), {}, 413],
        ['abc', bytes, {}, 400],
        ['..%2f..%2fetc', bytes, {}, 400],
        [digest, bytes, { 'content-encoding': 'gzip' }, 415],
        [digest, bytes, { authorization: 'Bearer auditor' }, 403],
      ];
      for (const [name, body, headers, status] of cases) {
        expect((await putRecording(name, body, headers)).status).toBe(status);
      }
      expect((await server.get(`/v1/recordings/${digest}`)).status).toBe(404);
    });

    test('snapshots by the digest of their bytes, and never with a key', async () => {
      const put = (digest: string, body: string) =>
        fetch(`${server.url}/v1/snapshots/${digest}`, {
          method: 'PUT',
          headers: { authorization: 'Bearer ship-one', 'content-type': 'application/json' },
          body,
        });
      const content = '{"bundleVersion":1,"targets":[]}';
      const digest = hash('sha256', content, 'hex');
      expect((await put(digest, content)).status).toBe(204);
      expect(await (await server.get(`/v1/snapshots/${digest}`)).text()).toBe(content);
      expect((await put(digest, '{}')).status).toBe(422);
      const secret = '{"targets":[{"masks":[{"key":"c2VjcmV0"}]}]}';
      expect((await put(hash('sha256', secret, 'hex'), secret)).status).toBe(422);
      const deep = '['.repeat(200_000) + ']'.repeat(200_000);
      expect((await put(hash('sha256', deep, 'hex'), deep)).status).toBe(400);
    });
  });

  describe('roles', () => {
    const session = newSession();
    const { bytes, digest } = chunk(Buffer.from('rows'));
    beforeAll(async () => {
      await putRecording(digest, bytes);
      await server.ship(session, [
        shipped(session, 1, bodies.opened()),
        shipped(session, 2, bodies.decided(), { statement: 'select secret' }),
        shipped(session, 3, bodies.completed(2, [digest])),
        shipped(session, 4, bodies.completed(2), { result: 'c2VjcmV0IHJvd3M=' }),
      ]);
    });
    const path = `/v1/sessions/${session}/events`;
    const result = `${path}/4/result`;

    test('an operator sees no payloads', async () => {
      const { events: found } = await server.json(path, 'operator');
      expect(found[1].parts).toEqual({ statement: { state: 'Withheld' } });
      expect((await server.json('/v1/events?q=secret', 'operator')).events).toEqual([]);
      expect((await server.get(`/v1/recordings/${digest}`, 'operator')).status).toBe(404);
      expect(found[3].parts).toEqual({ result: { state: 'Withheld' } });
      expect((await server.get(result, 'operator')).status).toBe(404);
    });

    test('a result is in no list of events, and each reading of it is recorded', async () => {
      for (const route of [path, `${path}?exact=true`, '/v1/events?type=OperationCompleted']) {
        const listed = await (await server.get(route)).text();
        expect(listed).toContain('"result":{"state":"Apart"}');
        expect(listed).not.toContain('c2VjcmV0IHJvd3M=');
      }
      expect((await server.json('/v1/events?q=rows')).events).toEqual([]);
      const read = await server.json(result, 'owner');
      expect(read).toEqual({
        state: 'Kept',
        content: 'c2VjcmV0IHJvd3M=',
        salt: expect.any(String),
      });
      const [, , , { event }] = (await server.json(path)).events;
      const hmac = createHmac('sha256', Buffer.from(read.salt, 'base64'));
      expect(hmac.update(read.content).digest('hex')).toBe(event.parts.result);
      const reads = (await server.json('/v1/events?type=RecordRead&limit=1000')).events.filter(
        (view: { event: { route: string } }) => view.event.route.endsWith('/result'),
      );
      expect(reads.at(-1).event).toMatchObject({
        role: 'owner',
        route: '/v1/sessions/:id/events/:seq/result',
        query: { session, seq: '4' },
        results: 1,
      });
    });

    test.each(['0', '04', '5', '1e0', '-4', '9'.repeat(20), '4%00', '4/'])(
      'no event %s',
      async (seq) => {
        expect((await server.get(`${path}/${seq}/result`)).status).toBe(404);
      },
    );

    test('an owner sees its own, another one nothing', async () => {
      expect((await server.json(path, 'owner')).events).toHaveLength(4);
      expect((await server.get(`/v1/recordings/${digest}`, 'owner')).status).toBe(200);
      expect((await server.get(result, 'owner')).status).toBe(200);
      expect((await server.get(result, 'stranger')).status).toBe(404);
      expect((await server.json(path, 'stranger')).events).toEqual([]);
      expect((await server.get(`/v1/sessions/${session}`, 'stranger')).status).toBe(404);
      expect((await server.get(`/v1/recordings/${digest}`, 'stranger')).status).toBe(404);
      expect((await server.get('/v1/integrity', 'owner')).status).toBe(403);
    });

    test('without a good token there is nothing', async () => {
      for (const route of ['/v1/sessions', '/v1/events', path, '/v1/integrity']) {
        expect((await fetch(server.url + route)).status).toBe(401);
        expect((await server.get(route, 'ship-one')).status).toBe(403);
      }
    });

    test('only an auditor holds a session, and says why', async () => {
      const hold = (token: string, body: unknown) =>
        fetch(`${server.url}/v1/sessions/${session}/hold`, {
          method: 'PUT',
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          body: JSON.stringify(body),
        });
      expect((await hold('owner', { hold: true, reason: 'no' })).status).toBe(403);
      expect((await hold('auditor', { hold: true })).status).toBe(400);
      expect((await hold('auditor', { hold: true, reason: 'case 7' })).status).toBe(204);
      expect((await server.json(`/v1/sessions/${session}`)).hold).toBe(true);
      const told = await server.json('/v1/events?type=LegalHoldChanged');
      expect(told.events[0].event).toMatchObject({ heldSession: session, reader: 'alice' });
    });
  });

  describe('questions', () => {
    test.each([
      'limit=0',
      'limit=1001',
      'limit=abc',
      'cursor=%21',
      'cursor=e30',
      'cursor=WzEsMl0',
      'from=yesterday',
      'order=random',
      'nonsense=1',
      'type=a&type=b',
      'q=',
      'q=%00',
      'resource=a.**.b',
      'rule=a/b/c/d',
      'session=7',
      'exact=maybe',
    ])('refuses %s', async (query) => {
      const answer = await server.get(`/v1/events?${query}`);
      expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([
        400,
        'CHP-6007',
      ]);
    });

    test('search syntax is only words', async () => {
      for (const text of ['"', 'a OR', 'NEAR(', '*', '-', "'; drop table events", 'col:x', '^a']) {
        const answer = await server.get(`/v1/events?q=${encodeURIComponent(text)}`);
        expect([text, answer.status]).toEqual([text, 200]);
      }
    });

    test('reading is itself recorded, and a reader that pages comes to an end', async () => {
      const seen = new Set<string>();
      let cursor = '';
      do {
        const page = await server.json(
          `/v1/events?limit=3${cursor && `&cursor=${cursor}`}`,
          'operator',
        );
        for (const { event } of page.events) {
          expect(seen).not.toContain(event.id);
          seen.add(`${event.session} ${event.seq}`);
        }
        cursor = page.next ?? '';
      } while (cursor !== '');
      const reads = await server.json('/v1/events?type=RecordRead&order=newest&limit=1');
      expect(reads.events[0].event).toMatchObject({
        reader: 'olga',
        role: 'operator',
        route: '/v1/events',
        query: expect.objectContaining({ limit: '3' }),
      });
    });

    test('an unknown path and method are problems, too', async () => {
      for (const answer of [
        await server.get('/v1/nothing'),
        await fetch(`${server.url}/v1/events`, { method: 'DELETE' }),
      ]) {
        expect(answer.status).toBe(404);
        expect(answer.headers.get('content-type')).toBe('application/problem+json');
      }
    });

    test('health, readiness and metrics need no token and hold no payload', async () => {
      for (const route of ['/healthz', '/readyz', '/metrics']) {
        expect((await fetch(server.url + route)).status).toBe(200);
      }
    });
  });
});

describe('the life of a record', () => {
  const children = new Set<ChildProcess>();
  afterAll(() => {
    for (const child of children) child.kill('SIGKILL');
  });

  test('a restart in the middle of a session', async () => {
    const server = await new TestCollector().start();
    const session = newSession();
    const batch = [1, 2, 3, 4].map((seq) => shipped(session, seq, bodies.decided()));
    expect(await server.ship(session, batch.slice(0, 2))).toBe(2);
    await server.restart();
    expect(await server.ship(session, batch)).toBe(4);
    const { events } = await server.json(`/v1/sessions/${session}/events?exact=true`);
    expect(events.map(({ line }: { line: string }) => line)).toEqual(batch.map(({ line }) => line));
    const { alerts } = await server.json('/v1/integrity');
    expect(alerts).toEqual([]);
    await server.remove();
  });

  test('what stays missing becomes an alert when the grace time is over', async () => {
    const clock = manualClock();
    const server = await new TestCollector({ clock, gapGraceMs: 10_000 }).start();
    const session = newSession();
    const event = (seq: number) => shipped(session, seq, bodies.decided());
    expect(await server.ship(session, [event(1), event(3)])).toBe(1);
    clock.advance(5000);
    expect((await server.json('/v1/integrity')).alerts).toEqual([]);
    clock.advance(5000);
    expect((await server.json('/v1/integrity')).alerts).toMatchObject([
      { kind: 'Gap', session, fromSeq: 2, toSeq: 2 },
    ]);
    expect(await server.ship(session, [event(3)])).toBe(3);
    await server.remove();
  });

  test('retention by class, told as events; a held session stays', async () => {
    const dayMs = 24 * 60 * 60 * 1000;
    const clock = manualClock();
    const server = await new TestCollector({ clock }).start();
    const [gone, held] = [newSession(), newSession()];
    const recorded: Record<string, string> = {};
    for (const session of [gone, held]) {
      const { bytes, digest } = chunk(Buffer.from(session));
      recorded[session] = digest;
      await server.collector.transport.putRecording(
        digest,
        zstdCompressSync(bytes),
        new AbortController().signal,
      );
      await server.ship(session, [
        shipped(session, 1, bodies.opened()),
        shipped(session, 2, bodies.decided(), { statement: 'select 1' }),
        shipped(session, 3, bodies.completed(2, [digest])),
        shipped(session, 4, bodies.completed(2), { result: 'cm93cw==' }),
      ]);
    }
    await fetch(`${server.url}/v1/sessions/${held}/hold`, {
      method: 'PUT',
      headers: { authorization: 'Bearer auditor', 'content-type': 'application/json' },
      body: '{"hold":true,"reason":"case 7"}',
    });
    const statusOf = async (session: string) =>
      (await server.get(`/v1/recordings/${recorded[session]}`)).status;
    const purged = async () =>
      (await server.json('/v1/events?type=RecordPurged')).events.map(
        ({ event }: { event: { class: string; count: number } }) => [event.class, event.count],
      );
    /** The hourly purge runs once, and is over when a later event of the collector is durable. */
    const passDays = async (days: number) => {
      clock.setWallMs(clock.nowMs() + days * dayMs);
      clock.advance(60 * 60 * 1000);
      for (let round = 0; round < 3; round += 1) await server.json('/v1/integrity');
    };
    await passDays(31);
    expect(await purged()).toEqual([['Recordings', 2]]);
    expect([await statusOf(gone), await statusOf(held)]).toEqual([410, 200]);
    const resultOf = async (session: string) =>
      (await server.get(`/v1/sessions/${session}/events/4/result`)).status;
    expect([await resultOf(gone), await resultOf(held)]).toEqual([410, 200]);
    await passDays(60);
    expect(await purged()).toEqual([
      ['Recordings', 2],
      ['Statements', 1],
    ]);
    const parts = async (session: string) =>
      (await server.json(`/v1/sessions/${session}/events`)).events[1].parts.statement.state;
    expect([await parts(gone), await parts(held)]).toEqual(['Purged', 'Kept']);
    await passDays(310);
    expect((await server.json(`/v1/sessions/${gone}/events`)).events).toEqual([]);
    expect((await server.json(`/v1/sessions/${held}/events`)).events).toHaveLength(4);
    await server.remove();
  });

  test('killed in the middle of ingest: what was acknowledged is there, once', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'chaperone-killed-'));
    const child = new URL('../support/collector-child.ts', import.meta.url);
    const acknowledged = new Map<string, number>();
    const sent = new Map<string, ReturnType<typeof shipped>[]>();
    for (let round = 0; round < 4; round += 1) {
      const process = fork(child, [directory], { execArgv: [] });
      children.add(process);
      const [url] = (await once(process, 'message')) as [string];
      const exited = once(process, 'exit');
      let answers = 0;
      const one = async (at: number) => {
        const session = uuid(0x9000 + at);
        const all = sent.get(session) ?? [];
        sent.set(session, all);
        while (isRunning(process)) {
          const from = acknowledged.get(session) ?? 0;
          while (all.length < from + 5) {
            const statement = `select ${all.length}`;
            all.push(shipped(session, all.length + 1, bodies.decided(), { statement }));
          }
          try {
            const answer = await fetch(`${url}/v1/sessions/${session}/events`, {
              method: 'POST',
              headers: {
                authorization: 'Bearer ship-one',
                'content-type': 'application/x-ndjson',
              },
              // From one before: each batch repeats an event, as a shipper after a lost answer does.
              body: ndjson(all.slice(Math.max(0, from - 1), from + 5)),
            });
            const body = (await answer.json()) as { acknowledged: number };
            acknowledged.set(session, body.acknowledged);
            answers += 1;
            if (answers === 40) process.kill('SIGKILL');
          } catch {
            return; // the collector is gone
          }
        }
      };
      await Promise.all([0, 1, 2, 3].map(one));
      await exited;
    }
    const database = new DatabaseSync(join(directory, 'record.db'));
    let total = 0;
    for (const [session, upTo] of acknowledged) {
      const rows = database
        .prepare('SELECT seq, line FROM events WHERE session = ? ORDER BY seq')
        .all(session) as { seq: number; line: string }[];
      expect(rows.length).toBeGreaterThanOrEqual(upTo);
      expect(rows.map(({ seq }) => seq)).toEqual(rows.map((_, at) => at + 1));
      const lines = sent.get(session)!.map(({ line }) => line);
      expect(rows.map(({ line }) => line)).toEqual(lines.slice(0, rows.length));
      const parts = database
        .prepare('SELECT count(*) AS n FROM part_statement WHERE session = ?')
        .get(session);
      expect(parts).toMatchObject({ n: rows.length });
      total += upTo;
    }
    expect(total).toBeGreaterThan(400);
    expect(database.prepare('SELECT count(*) AS n FROM alerts').get()).toMatchObject({ n: 0 });
    expect(database.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
    database.close();
    rmSync(directory, { recursive: true });
  }, 60_000);

  test('a full store refuses, says so on /readyz, and loses nothing', async () => {
    const server = await new TestCollector({ maxStoreBytes: 1 << 20 }).start();
    const session = newSession();
    const statement = 'x'.repeat(100_000);
    let seq = 0;
    let status = 200;
    while (status === 200) {
      seq += 1;
      const event = shipped(session, seq, bodies.decided(), { statement });
      const answer = await server.post(session, [event]);
      status = answer.status;
      if (status !== 200) {
        expect(answer.headers.get('retry-after')).toBe('5');
        expect(await answer.json()).toMatchObject({ status: 503, code: 'CHP-6006' });
      }
    }
    expect(seq).toBeGreaterThan(2);
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
    expect((await fetch(`${server.url}/readyz`)).status).toBe(503);
    await server.remove();
  });

  test('too many bodies at once are told to come again', async () => {
    const server = await new TestCollector({ limits: { concurrentBatches: 1 } }).start();
    const { hostname, port } = new URL(server.url);
    const session = newSession();
    const text = ndjson([shipped(session, 1, bodies.decided())]);
    const slow = request({
      hostname,
      port,
      method: 'POST',
      path: `/v1/sessions/${session}/events`,
      headers: {
        authorization: 'Bearer ship-one',
        'content-type': 'application/x-ndjson',
        expect: '100-continue',
      },
    });
    slow.flushHeaders();
    await once(slow, 'continue');
    slow.write(text.slice(0, 10));
    // The first body holds the only slot once its handler runs; until then the other one may pass.
    let refused: Response;
    const other = newSession();
    let seq = 0;
    do {
      seq += 1;
      refused = await server.post(other, [shipped(other, seq, bodies.decided())]);
    } while (refused.status === 200);
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
    slow.end(text.slice(10));
    const [response] = await once(slow, 'response');
    expect(response.statusCode).toBe(200);
    response.resume();
    await once(response, 'end');
    expect(await server.ship(other, [shipped(other, seq, bodies.decided())])).toBe(seq);
    await server.remove();
  });
});
