import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { manualClock, systemClock } from '@chaperone/runtime/clock.ts';
import { HttpClient } from '@chaperone/runtime/http/client.ts';
import { startOpsServer } from '@chaperone/runtime/http/ops-server.ts';
import { Readiness } from '@chaperone/runtime/http/readiness.ts';
import { createRegistry } from '@chaperone/runtime/metrics/metrics.ts';
import { httpTransport } from '@chaperone/runtime/recorder/http-transport.ts';
import { batchOf, someSession } from '@chaperone/runtime/recorder/testing.ts';
import { afterEach, describe, expect, test } from '@jest/globals';

const clock = systemClock();
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** Serves `handler` and returns the base URL: on loopback, or at a socket's path. */
async function serve(handler: http.RequestListener, path?: string): Promise<string> {
  const server = http.createServer(handler);
  await new Promise<void>((resolve) => {
    if (path === undefined) server.listen(0, '127.0.0.1', resolve);
    else server.listen(path, resolve);
  });
  closing.push(
    () => new Promise((resolve) => server.close(resolve)),
    () => server.closeAllConnections(),
  );
  return path === undefined
    ? `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    : `unix:${path}`;
}

async function readAll(request: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function client(baseUrl: string, options: object = {}): HttpClient {
  const made = new HttpClient({ baseUrl, clock, ...options });
  closing.push(() => made.close());
  return made;
}

describe('HttpClient', () => {
  test('does not follow a redirect', async () => {
    const asked: string[] = [];
    const url = await serve((request, response) => {
      asked.push(request.url!);
      response.writeHead(302, { location: '/elsewhere' }).end();
    });
    const { status } = await client(url).request({ method: 'GET', path: '/here' });
    expect([status, asked]).toEqual([302, ['/here']]);
  });

  test('gives up an answer that is too long', async () => {
    const url = await serve((_request, response) => response.end('x'.repeat(5000)));
    await expect(
      client(url, { maxResponseBytes: 4096 }).request({ method: 'GET', path: '/' }),
    ).rejects.toMatchObject({ code: 'CHP-6009', message: expect.stringContaining('4096') });
  });

  test('gives up an answer that does not end in time', async () => {
    const hands = manualClock();
    const url = await serve((_request, response) => {
      response.write('the beginning');
      hands.advance(10_000);
    });
    await expect(
      client(url, { clock: hands }).request({ method: 'GET', path: '/' }),
    ).rejects.toMatchObject({ message: expect.stringContaining('within 10000 ms') });
    expect(hands.pendingTimers()).toBe(0);
  });

  test('an error of the server is told with its detail, made safe', async () => {
    const url = await serve((_request, response) =>
      response.writeHead(403).end(JSON.stringify({ detail: 'no\nentry\u001b[31m' })),
    );
    await expect(client(url).json({ method: 'GET', path: '/x' })).rejects.toMatchObject({
      message: `GET ${url}/x: 403: no entry [31m`,
    });
  });

  test.each(['ftp://host', 'https://user:pw@host', 'host:80', ''])('%j is no base URL', (url) => {
    expect(() => client(url)).toThrow(expect.objectContaining({ code: 'CHP-1002' }));
  });
});

describe('httpTransport', () => {
  const { signal } = new AbortController();
  const transport = (baseUrl: string) => {
    const made = httpTransport({ baseUrl, clock, token: () => 'ingest-token' });
    closing.push(() => made.close());
    return made;
  };

  test.each([false, true])('ships frames with the token (UNIX socket: %j)', async (unix) => {
    const directory = mkdtempSync(join(tmpdir(), 'ship-'));
    closing.push(() => rmSync(directory, { recursive: true }));
    let seen: unknown;
    const url = await serve(
      async (request, response) => {
        const { authorization, 'content-type': type } = request.headers;
        const frames = await readAll(request);
        seen = [request.method, request.url, authorization, type, frames];
        response.end('{"acknowledged":2}');
      },
      unix ? join(directory, 's') : undefined,
    );
    const events = batchOf(someSession, [1, 2]);
    expect(await transport(url).ship(events, signal)).toBe(2);
    expect(seen).toEqual([
      'POST',
      `/v1/sessions/${someSession}/events`,
      'Bearer ingest-token',
      'application/vnd.chaperone.frames',
      events.frames(),
    ]);
  });

  test.each([
    [400, 'ShipRefused', 'CHP-4009'],
    [413, 'ShipRefused', 'CHP-4009'],
    [422, 'ShipRefused', 'CHP-4009'],
    [401, 'ChaperoneError', 'CHP-6004'],
    [403, 'ChaperoneError', 'CHP-6004'],
    [302, 'ChaperoneError', 'CHP-6009'],
    [404, 'ChaperoneError', 'CHP-6009'],
    [429, 'ChaperoneError', 'CHP-6009'],
    [503, 'ChaperoneError', 'CHP-6009'],
  ])('an answer of %i is a %s', async (status, name, code) => {
    const url = await serve((_request, response) => response.writeHead(status).end());
    const shipped = transport(url).ship(batchOf(someSession, [1]), signal);
    await expect(shipped).rejects.toMatchObject({ code });
    await expect(shipped.catch((error: Error) => error.constructor.name)).resolves.toBe(name);
  });

  test.each([
    '',
    'null',
    '{}',
    '{"acknowledged":"5"}',
    '{"acknowledged":-1}',
    '{"acknowledged":1.5}',
  ])('%j acknowledges nothing', async (body) => {
    const url = await serve((_request, response) => response.end(body));
    await expect(transport(url).ship(batchOf(someSession, [1]), signal)).rejects.toMatchObject({
      code: 'CHP-6009',
    });
  });
});

describe('the operations server', () => {
  test('serves metrics, liveness and readiness, and nothing else', async () => {
    const readiness = new Readiness();
    const registry = createRegistry('test', '0');
    const server = await startOpsServer({ host: '127.0.0.1', port: 0, registry, readiness });
    closing.push(() => server.close());
    const url = `http://127.0.0.1:${server.port}`;
    const get = async (path: string, method: 'GET' | 'POST' = 'GET') => {
      const { status, body } = await client(url).request({ method, path });
      return [status, body.toString()];
    };
    expect(await get('/healthz')).toEqual([200, 'ok\n']);
    expect(await get('/readyz')).toEqual([200, 'ok\n']);
    const policy = readiness.gate('policy');
    let spool: string | undefined = 'full';
    readiness.check('spool', () => spool);
    expect(await get('/readyz')).toEqual([503, 'policy: starting\nspool: full\n']);
    spool = undefined;
    policy.ready();
    expect(await get('/readyz')).toEqual([200, 'ok\n']);
    policy.notReady('too old');
    expect(await get('/readyz?verbose')).toEqual([503, 'policy: too old\n']);
    expect((await get('/metrics'))[1]).toContain('chaperone_build_info');
    expect(await get('/')).toEqual([404, 'not found\n']);
    expect(await get('/metrics', 'POST')).toEqual([405, 'method not allowed\n']);
    await expect(
      startOpsServer({ host: '127.0.0.1', port: server.port, registry, readiness }),
    ).rejects.toMatchObject({ code: 'CHP-1020' });
  });
});
