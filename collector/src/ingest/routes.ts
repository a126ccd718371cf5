import type { Readable } from 'node:stream';
import { isUuid } from '@chaperone/core/events/uuid.ts';
import { framesMediaType } from '@chaperone/runtime/recorder/frame.ts';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type AuthorizeIngest, bearerToken, type IngestPrincipal } from '../http/access.ts';
import { Problem } from '../http/problem.ts';
import { Slots } from '../http/slots.ts';
import { ownSource } from '../record/own-record.ts';
import { parseBatch, parseFrames } from './batch.ts';
import { decodeUtf8, readBytes, readDecoded } from './body.ts';
import type { Ingest } from './ingest.ts';
import type { IngestLimits } from './limits.ts';
import { maxCompressedBytes } from './recordings.ts';

/** What a request was authorized as, before its body is read. */
const principals = new WeakMap<FastifyRequest, IngestPrincipal>();

const digestForm = /^[0-9a-f]{64}$/;

/**
 * `POST /v1/sessions/{id}/events`, `PUT /v1/recordings/{sha256}`, `PUT /v1/snapshots/{digest}`. Bodies are
 * read by the handlers, after the token was checked and a slot was free.
 */
export function ingestRoutes(
  server: FastifyInstance,
  ingest: Ingest,
  authorize: AuthorizeIngest,
  limits: IngestLimits,
): void {
  server.removeAllContentTypeParsers();
  const types = [
    'application/x-ndjson',
    framesMediaType,
    'application/octet-stream',
    'application/json',
  ];
  server.addContentTypeParser(types, (_request, body, done) => done(null, body));
  const batches = new Slots(limits.concurrentBatches);
  const recordings = new Slots(limits.concurrentRecordings);

  server.addHook('onRequest', async (request) => {
    const token = bearerToken(request, 'CHP-6004');
    const { id } = request.params as { id?: string };
    const principal = await authorize(token, id);
    if (principal === undefined) {
      throw new Problem(403, 'CHP-6004', 'the token is not good for this');
    }
    if (principal.source === ownSource) {
      throw new Problem(403, 'CHP-6004', 'nobody ships in the name of the collector itself');
    }
    principals.set(request, principal);
  });

  const expectType = (request: FastifyRequest, ...expected: string[]): string => {
    const type = request.headers['content-type']?.split(';', 1)[0]?.trim() ?? '';
    if (!expected.includes(type)) {
      throw new Problem(415, 'CHP-6001', `the content type is not ${expected.join(' or ')}`);
    }
    return type;
  };

  server.post<{ Params: { id: string }; Body: Readable }>(
    '/v1/sessions/:id/events',
    async (request) => {
      const { id } = request.params;
      const type = expectType(request, 'application/x-ndjson', framesMediaType);
      if (!isUuid(id)) throw new Problem(400, 'CHP-6001', 'the session is not a UUID');
      return batches.run(async () => {
        const bytes = await readDecoded(
          ...([request.headers, request.body] as const),
          ...([limits.maxBodyBytes, limits.maxBatchBytes] as const),
        );
        const events =
          type === framesMediaType
            ? parseFrames(bytes, id, limits)
            : parseBatch(decodeUtf8(bytes), id, limits);
        const { source } = principals.get(request)!;
        const { acknowledged } = await ingest.append(source, id, events);
        return { acknowledged };
      });
    },
  );

  server.put<{ Params: { sha256: string }; Body: Readable }>(
    '/v1/recordings/:sha256',
    async (request, reply) => {
      const { sha256 } = request.params;
      expectType(request, 'application/octet-stream');
      if (!digestForm.test(sha256)) {
        throw new Problem(400, 'CHP-6005', 'the name is not a SHA-256 digest in hex');
      }
      const encoding = request.headers['content-encoding'] ?? 'identity';
      if (encoding !== 'identity' && encoding !== 'zstd') {
        throw new Problem(415, 'CHP-6005', 'the content encoding is neither zstd nor identity');
      }
      const isNew = await recordings.run(async () => {
        const body = await readBytes(request.headers, request.body, maxCompressedBytes);
        return ingest.putRecording(sha256, body, encoding);
      });
      return reply.code(isNew ? 201 : 204).send();
    },
  );

  server.put<{ Params: { digest: string }; Body: Readable }>(
    '/v1/snapshots/:digest',
    async (request, reply) => {
      expectType(request, 'application/json');
      await batches.run(async () => {
        const bytes = await readDecoded(
          ...([request.headers, request.body] as const),
          ...([limits.maxBodyBytes, limits.maxBatchBytes] as const),
        );
        await ingest.putSnapshot(request.params.digest, decodeUtf8(bytes));
      });
      return reply.code(204).send();
    },
  );
}
