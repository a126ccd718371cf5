/** The routes of the policy API; `api/policy-api.openapi.yaml` describes them. */
import { ControlRefusal } from '@chaperone/core/control/types.ts';
import type {
  AttestRequest,
  AuthenticateRequest,
  BackendReportRequest,
  CertificateRequest,
  CredentialRequest,
  VersionVector,
} from '@chaperone/core/control/wire.ts';
import type { Clock } from '@chaperone/runtime/clock.ts';
import { RateLimits } from '@chaperone/runtime/limits/rate-limits.ts';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Attestor, NotYetKnown, TooMany } from './attestor.ts';
import { BoundedCalls } from './bounded-calls.ts';
import type { StreamContent, StreamName } from './event-stream.ts';
import { RequestProblem } from './problems.ts';
import {
  attestSchema,
  authenticateSchema,
  backendReportSchema,
  certificateSchema,
  credentialSchema,
  noQuerySchema,
  policyQuerySchema,
  targetParamsSchema,
} from './requests.ts';
import type { PolicyService } from './service.ts';
import type { SigningKeys } from './signing-keys.ts';
import type { StreamHub } from './stream-hub.ts';
import { notValid, podOf, type TokenBearer, type Tokens } from './tokens.ts';
import { parseVersions } from './versions.ts';

export type Route =
  | 'attest'
  | 'policy'
  | 'targets'
  | 'credentials'
  | 'backends'
  | 'certificates'
  | 'authenticate'
  | 'relay'
  | 'jwks';

export interface RouteParts {
  readonly service: PolicyService;
  readonly tokens: Tokens;
  readonly keys: SigningKeys;
  readonly hub: StreamHub;
  readonly attestor: Pick<Attestor, 'stillThere' | 'isGone'>;
  /** Programs come from addresses that others come from, too: no address has a share of its own. */
  readonly sharedAddresses: boolean;
  readonly clock: Clock;
  readonly fresh: () => boolean;
  readonly onAttested: (outcome: 'Pod' | 'Gateway' | 'Refused' | 'Failed') => void;
  readonly onStream: (name: StreamName) => void;
  readonly onSnapshot: (name: StreamName) => void;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    route?: Route;
  }
}

/** A pod's sidecar needs one; a second one while it reconnects. */
const maxPodStreams = 4;
/** One for each identity that has sessions through a gateway. */
const maxGatewayStreams = 4096;
/** Each is a question or two to the API server. */
const attestSlots = { slots: 64, perKey: 8, waiting: 512 };
/** Of one pod: it attests every few minutes, and more often while it starts. */
const attestRate = { burst: 30, perSecond: 1 };
/** Of one gateway half, lest one that is hammered keep others out. */
const authenticateSlots = { slots: 64, perKey: 32, waiting: 1024 };
const attestBodyBytes = 4096;
/**
 * A program tells of each target what changes, and that it goes on every five minutes; more only if something is
 * wrong. A pod connects to a few, a gateway to up to a thousand.
 */
const reportRates = {
  Pod: { burst: 60, perSecond: 0.2 },
  Gateway: { burst: 1000, perSecond: 5 },
};
const reportBodyBytes = 1024;
const jwksMaxAgeSeconds = 60;

export function policyApiRoutes(server: FastifyInstance, parts: RouteParts): void {
  const { service, tokens, keys, hub, fresh, attestor, clock, sharedAddresses } = parts;

  const bearerOf = async (request: FastifyRequest): Promise<TokenBearer> => {
    const bearer = await tokens.verify(tokenOf(request));
    const there = await attestor.stillThere(podOf(bearer)).catch((cause: unknown) => {
      throw new RequestProblem(
        503,
        'CHP-7003',
        'It cannot be checked now whether the pod is there.',
        {
          cause,
          retryAfterSeconds: 1,
        },
      );
    });
    if (there) return bearer;
    throw notValid('its pod is gone');
  };
  const gatewayOf = async (request: FastifyRequest): Promise<TokenBearer> => {
    const bearer = await bearerOf(request);
    if (bearer.role === 'Gateway') return bearer;
    throw new ControlRefusal('CHP-2006', 'This is for gateways.', 'Attest as a gateway.');
  };
  /** What a replica that has lost touch holds may have been withdrawn: another one is to be asked. */
  const requireFresh = async (): Promise<void> => {
    if (fresh()) return;
    throw new RequestProblem(503, 'CHP-7003', 'This replica is not up to date.', {
      retryAfterSeconds: 1,
    });
  };

  const attestations = new BoundedCalls(
    sharedAddresses
      ? { ...attestSlots, perKey: attestSlots.slots, clock }
      : { ...attestSlots, rate: attestRate, clock },
  );
  server.post<{ Body: AttestRequest }>(
    '/v1/attest',
    {
      bodyLimit: attestBodyBytes,
      schema: { body: attestSchema, querystring: noQuerySchema },
      config: { route: 'attest' },
    },
    async (request) => {
      const token = tokenOf(request);
      const address = addressOf(request);
      return attestations.run(sharedAddresses ? '' : address, async () => {
        try {
          const answer = await service.attest(request.body, token, address);
          parts.onAttested(answer.role);
          return answer;
        } catch (error) {
          if (error instanceof TooMany) throw error;
          if (error instanceof NotYetKnown) {
            throw new RequestProblem(503, 'CHP-7003', 'It is not known yet who this is.', {
              cause: error,
              retryAfterSeconds: 1,
              expected: true,
            });
          }
          parts.onAttested(error instanceof ControlRefusal ? 'Refused' : 'Failed');
          if (error instanceof ControlRefusal) throw error;
          throw new RequestProblem(503, 'CHP-7003', 'It cannot be checked now who this is.', {
            cause: error,
            retryAfterSeconds: 1,
          });
        }
      });
    },
  );

  const openStream = (
    request: FastifyRequest,
    reply: FastifyReply,
    name: StreamName,
    bearer: TokenBearer,
    content: () => StreamContent,
  ): void => {
    const held = heldBy(request);
    content(); // what throws does so while it can still be answered
    reply.hijack();
    parts.onStream(name);
    hub.open(
      {
        name,
        response: reply.raw,
        source: bearer.sub,
        sourceGone: () => attestor.isGone(podOf(bearer)),
        expiresMs: bearer.expiresMs,
        held,
        content,
        onSnapshot: () => parts.onSnapshot(name),
      },
      bearer.role === 'Gateway' ? maxGatewayStreams : maxPodStreams,
    );
  };

  server.get<{ Querystring: { identity?: string } }>(
    '/v1/policy',
    {
      schema: { querystring: policyQuerySchema },
      config: { route: 'policy' },
      preHandler: requireFresh,
    },
    async (request, reply) => {
      const bearer = await bearerOf(request);
      const { identity } = request.query;
      if ((bearer.role === 'Gateway') !== (identity !== undefined)) {
        throw new RequestProblem(400, 'CHP-7001', 'A gateway names an identity, and a pod none.');
      }
      openStream(request, reply, 'policy', bearer, () => service.policyContent(bearer, identity));
    },
  );

  server.get(
    '/v1/targets',
    {
      schema: { querystring: noQuerySchema },
      config: { route: 'targets' },
      preHandler: requireFresh,
    },
    async (request, reply) => {
      const bearer = await gatewayOf(request);
      openStream(request, reply, 'targets', bearer, () => service.targetsContent());
    },
  );

  server.post<{ Params: { targetUid: string }; Body: CredentialRequest | null | undefined }>(
    '/v1/credentials/:targetUid',
    {
      schema: {
        params: targetParamsSchema,
        querystring: noQuerySchema,
        body: credentialSchema,
      },
      config: { route: 'credentials' },
      preHandler: requireFresh,
    },
    async (request) => {
      const bearer = await bearerOf(request);
      const { identityUid, targetGeneration } = request.body ?? {};
      if ((bearer.role === 'Gateway') !== (identityUid !== undefined)) {
        throw new RequestProblem(400, 'CHP-7001', 'A gateway names an identity, and a pod none.');
      }
      const { targetUid } = request.params;
      return service.lease(bearer, identityUid, { uid: targetUid, generation: targetGeneration });
    },
  );

  const reports = {
    Pod: new RateLimits(reportRates.Pod),
    Gateway: new RateLimits(reportRates.Gateway),
  };
  server.post<{ Params: { targetUid: string }; Body: BackendReportRequest }>(
    '/v1/backends/:targetUid',
    {
      bodyLimit: reportBodyBytes,
      schema: {
        params: targetParamsSchema,
        querystring: noQuerySchema,
        body: backendReportSchema,
      },
      config: { route: 'backends' },
      preHandler: requireFresh,
    },
    async (request, reply) => {
      const bearer = await bearerOf(request);
      if (!reports[bearer.role].take(bearer.sub, clock.monotonicUs() / 1000)) {
        throw new RequestProblem(429, 'CHP-7002', 'This program reports too much.', {
          retryAfterSeconds: Math.ceil(1 / reportRates[bearer.role].perSecond),
        });
      }
      service.reportBackend(bearer, {
        targetUid: request.params.targetUid,
        ...request.body,
      });
      return reply.code(202).send({});
    },
  );

  server.post<{ Body: CertificateRequest }>(
    '/v1/certificates',
    {
      schema: { body: certificateSchema, querystring: noQuerySchema },
      config: { route: 'certificates' },
      preHandler: requireFresh,
    },
    async (request) => service.certificate(await bearerOf(request), request.body.publicKey),
  );

  const authentications = new BoundedCalls({ ...authenticateSlots, clock });
  server.post<{ Body: AuthenticateRequest }>(
    '/v1/authenticate',
    {
      schema: { body: authenticateSchema, querystring: noQuerySchema },
      config: { route: 'authenticate' },
      preHandler: requireFresh,
    },
    async (request) => {
      const { sub } = await gatewayOf(request);
      return authentications.run(sub, () => service.authenticate(request.body, sub));
    },
  );

  server.get('/v1/jwks', { config: { route: 'jwks' } }, async (_request, reply) => {
    reply.header('cache-control', `public, max-age=${jwksMaxAgeSeconds}`);
    return keys.keys().jwks;
  });
}

/** Throws ControlRefusal CHP-2007 when there is none. */
export function tokenOf({ headers }: FastifyRequest): string {
  const token = /^Bearer +([\w.~+/=-]+)$/i.exec(headers.authorization ?? '')?.[1];
  if (token !== undefined) return token;
  throw new ControlRefusal(
    'CHP-2007',
    'There is no bearer token.',
    'Send the header Authorization: Bearer TOKEN.',
  );
}

/** Where the connection comes from; an IPv4 address in its own form. */
function addressOf({ socket }: FastifyRequest): string {
  return (socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/, '');
}

function heldBy({ headers }: FastifyRequest): VersionVector {
  const header = headers['last-event-id'];
  const held = parseVersions(Array.isArray(header) ? header.join() : header);
  if (held !== undefined) return held;
  throw new RequestProblem(400, 'CHP-7001', 'Last-Event-ID is no version vector.');
}
