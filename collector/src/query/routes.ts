import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import { maxChunkBytes } from '@chaperone/core/events/recording.ts';
import { isUuid } from '@chaperone/core/events/uuid.ts';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type AuthorizeRead, bearerToken, type Reader, scopeOf } from '../http/access.ts';
import { Problem } from '../http/problem.ts';
import type { RecordingFiles } from '../ingest/recordings.ts';
import type { OwnRecord } from '../record/own-record.ts';
import type { Page, Store, StoredEvent, StoredSession } from '../store/types.ts';
import { encodeCursor, readEventQuestion, readQuery, readSessionQuestion } from './params.ts';
import { renderEvent, viewAlert, viewPart, viewSession, viewSource } from './render.ts';

const decompress = promisify(zstdDecompress);
const digestForm = /^[0-9a-f]{64}$/;
/** Missing ranges and alerts in one answer of /v1/integrity. */
const integrityLimit = 1000;

const readers = new WeakMap<FastifyRequest, Reader>();

export interface QueryParts {
  readonly store: Store;
  readonly files: RecordingFiles;
  readonly record: OwnRecord;
  readonly authorize: AuthorizeRead;
}

function notFound(what: string): Problem {
  return new Problem(404, 'CHP-6007', `there is no such ${what} here, or none that you may see`);
}

function purged(what: string): Problem {
  return new Problem(410, 'CHP-6007', `the ${what} was purged when its time was over`);
}

/** One page as JSON, or as NDJSON where `Accept` asks for it: then the cursor is in `chaperone-next`. */
function sendPage(
  request: FastifyRequest,
  reply: FastifyReply,
  name: 'events' | 'sessions',
  items: readonly string[],
  next: Page<unknown>['next'],
): FastifyReply {
  const cursor = next && encodeCursor(next);
  if (cursor !== undefined) reply.header('chaperone-next', cursor);
  if (request.headers.accept?.includes('application/x-ndjson')) {
    return reply.type('application/x-ndjson').send(items.map((item) => `${item}\n`).join(''));
  }
  const tail = cursor === undefined ? '' : `,"next":${JSON.stringify(cursor)}`;
  return reply.type('application/json').send(`{"${name}":[${items.join(',')}]${tail}}`);
}

/**
 * The questions that the record answers. Each answer is itself recorded, durably, before it goes out: no
 * record, no answer.
 */
export function queryRoutes(server: FastifyInstance, parts: QueryParts): void {
  const { store, files, record, authorize } = parts;

  server.addHook('onRequest', async (request) => {
    const reader = await authorize(bearerToken(request, 'CHP-6008'));
    if (reader === undefined)
      throw new Problem(403, 'CHP-6008', 'the token is not good for reading');
    readers.set(request, reader);
  });

  const readerOf = (request: FastifyRequest) => readers.get(request)!;
  const scope = (request: FastifyRequest) => scopeOf(readerOf(request));
  const recordRead = (
    request: FastifyRequest,
    results: number,
    query: Readonly<Record<string, string>> = {},
  ) => {
    const { name, role } = readerOf(request);
    const route = request.routeOptions.url ?? '';
    return record.append({ type: 'RecordRead', reader: name, role, route, query, results });
  };
  const only = (request: FastifyRequest, ...roles: readonly Reader['role'][]) => {
    if (!roles.includes(readerOf(request).role)) {
      throw new Problem(403, 'CHP-6008', `this is for the role ${roles.join(' or ')}`);
    }
  };

  server.get('/v1/sessions', async (request, reply) => {
    const { query, filter, page } = readSessionQuestion(request.query);
    const { items, next } = await store.sessions(filter, scope(request), page);
    await recordRead(request, items.length, query);
    const views = items.map((item: StoredSession) => JSON.stringify(viewSession(item)));
    return sendPage(request, reply, 'sessions', views, next);
  });

  server.get<{ Params: { id: string } }>('/v1/sessions/:id', async (request) => {
    const { id } = request.params;
    readQuery(request.query, []);
    const session = isUuid(id) ? await store.session(id, scope(request)) : undefined;
    await recordRead(request, session ? 1 : 0, { session: id });
    if (session === undefined) throw notFound('session');
    return viewSession(session);
  });

  const answerEvents = async (request: FastifyRequest, reply: FastifyReply, session?: string) => {
    const { query, filter, page, exact } = readEventQuestion(request.query, session);
    const { items, next } = await store.events(filter, scope(request), page);
    await recordRead(request, items.length, session === undefined ? query : { ...query, session });
    const views = items.map((item: StoredEvent) => renderEvent(item, exact));
    return sendPage(request, reply, 'events', views, next);
  };
  server.get('/v1/events', (request, reply) => answerEvents(request, reply));
  server.get<{ Params: { id: string } }>('/v1/sessions/:id/events', (request, reply) =>
    answerEvents(request, reply, request.params.id),
  );

  server.get<{ Params: { id: string; seq: string } }>(
    '/v1/sessions/:id/events/:seq/result',
    async (request) => {
      const { id, seq } = request.params;
      readQuery(request.query, []);
      const isName = isUuid(id) && /^[1-9]\d{0,14}$/.test(seq);
      const found = isName ? await store.result(id, Number(seq), scope(request)) : undefined;
      await recordRead(request, found?.state === 'Kept' ? 1 : 0, { session: id, seq });
      if (found === undefined) throw notFound('result');
      if (found.state === 'Purged') throw purged('result');
      return viewPart(found);
    },
  );

  server.get<{ Params: { sha256: string } }>('/v1/recordings/:sha256', async (request, reply) => {
    const { sha256 } = request.params;
    readQuery(request.query, []);
    const isDigest = digestForm.test(sha256);
    const found = isDigest ? await store.recording(sha256, scope(request)) : undefined;
    await recordRead(request, found?.state === 'Kept' ? 1 : 0, { sha256 });
    if (found === undefined) throw notFound('recording');
    const zstd = found.state === 'Kept' ? await files.read(sha256) : undefined;
    if (zstd === undefined) throw purged('recording');
    return reply
      .type('application/octet-stream')
      .send(await decompress(zstd, { maxOutputLength: maxChunkBytes }));
  });

  server.get<{ Params: { digest: string } }>('/v1/snapshots/:digest', async (request, reply) => {
    const { digest } = request.params;
    only(request, 'auditor', 'operator');
    readQuery(request.query, []);
    const content = await store.snapshot(digest);
    await recordRead(request, content === undefined ? 0 : 1, { digest });
    if (content === undefined) throw notFound('snapshot');
    return reply.type('application/json').send(content);
  });

  server.get('/v1/integrity', async (request) => {
    only(request, 'auditor', 'operator');
    readQuery(request.query, []);
    const sources = await store.integrity(integrityLimit);
    const alerts = await store.alerts(integrityLimit);
    await recordRead(request, sources.length);
    return { sources: sources.map(viewSource), alerts: alerts.map(viewAlert) };
  });

  server.put<{ Params: { id: string }; Body: { hold: boolean; reason: string } }>(
    '/v1/sessions/:id/hold',
    { schema: { body: holdBody } },
    async (request, reply) => {
      only(request, 'auditor');
      const { hold, reason } = request.body;
      const { id } = request.params;
      if (!isUuid(id) || !(await store.session(id, scope(request)))) throw notFound('session');
      // Said first: a hold that nobody can account for must not come about.
      const reader = readerOf(request).name;
      await record.append({ type: 'LegalHoldChanged', heldSession: id, hold, reader, reason });
      await store.setHold(id, hold);
      return reply.code(204).send();
    },
  );
}

const holdBody = {
  type: 'object',
  required: ['hold', 'reason'],
  additionalProperties: false,
  properties: {
    hold: { type: 'boolean' },
    reason: { type: 'string', minLength: 1, maxLength: 1000 },
  },
} as const;
