/** The admission webhooks over HTTPS. Whatever goes wrong, the answer is a refusal that says so. */
import type { Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import {
  followCertificate,
  type ServingPair,
  servingFiles,
} from '@chaperone/control/policy-api/serving-certificate.ts';
import type { Clock } from '@chaperone/runtime/clock.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { limitConnections } from '@chaperone/runtime/http/connection-limit.ts';
import type { Logger } from '@chaperone/runtime/logging/logger.ts';
import type { admissionMetrics } from '@chaperone/runtime/metrics/catalogue.ts';
import type { MetricSet } from '@chaperone/runtime/metrics/metrics.ts';
import Fastify, { type FastifyError, type FastifyInstance } from 'fastify';
import type { PodAdmission } from './pods.ts';
import { reviewResource } from './resources.ts';
import {
  type AdmissionRequest,
  type AdmissionVerdict,
  answerReview,
  ReviewProblem,
  readReview,
} from './review.ts';
import type { AdmissionState } from './state.ts';

export interface WebhookServerOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Holds tls.crt and tls.key; read again when they change, without dropping connections. */
  readonly tlsDirectory: string;
  readonly state: AdmissionState;
  readonly pods: PodAdmission;
  readonly metrics: MetricSet<typeof admissionMetrics>;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface WebhookServer {
  readonly port: number;
  /** Answers what is under way, and stops. */
  close(): Promise<void>;
}

type Webhook = 'mutate' | 'verify' | 'validate';

/** A pod has up to 1.5 MiB in etcd, and JSON may be longer; of an update there are two. */
const maxBodyBytes = 8 * 1024 * 1024;
const requestTimeoutMs = 10_000;
const maxConnections = 1024;
/** What is under way when it closes gets this long. */
const closeTimeoutMs = 5000;

/** Starts it; it listens when this resolves. Throws ChaperoneError CHP-1004 or CHP-1020. */
export async function startWebhookServer(options: WebhookServerOptions): Promise<WebhookServer> {
  const { host, port, state, pods, metrics, clock, logger } = options;
  const certificate = servingFiles(options.tlsDirectory, (problem) => {
    metrics.certificateFailures.inc();
    logger.error({ err: problem }, 'the changed certificate cannot be used; the one before stays');
  });
  const server = buildServer(certificate.current());
  const nowMs = (): number => clock.nowMs();

  const route = (
    path: string,
    webhook: Webhook,
    review: (request: AdmissionRequest) => AdmissionVerdict | Promise<AdmissionVerdict>,
  ): void => {
    server.post(path, async ({ body }, reply) => {
      const startUs = clock.monotonicUs();
      const request = readReview(body);
      let verdict: AdmissionVerdict;
      let result: 'Allowed' | 'Denied' | 'Failed';
      try {
        const unready = state.unready();
        if (unready !== undefined) throw new Error(unready);
        verdict = await review(request);
        result = verdict.allowed ? 'Allowed' : 'Denied';
      } catch (failure) {
        if (failure instanceof ReviewProblem) throw failure;
        result = 'Failed';
        verdict = failed();
        const { namespace, name, kind } = request;
        logger.error({ err: failure, webhook, kind: kind.kind, namespace, name }, 'review failed');
      }
      metrics.reviews.inc({ webhook, result });
      metrics.reviewSeconds.observe({ webhook }, (clock.monotonicUs() - startUs) / 1e6);
      return reply.send(answerReview(request.uid, verdict));
    });
  };
  for (const entry of ['namespace', 'pod'] as const) {
    route(`/mutate/${entry}`, 'mutate', (request) => pods.mutate(request, entry));
    route(`/verify/${entry}`, 'verify', (request) => pods.verify(request, entry));
  }
  route('/validate', 'validate', (request) => reviewResource(request, state, nowMs()));

  server.setErrorHandler((problem: FastifyError | ReviewProblem, request, reply) => {
    const status = problem instanceof ReviewProblem ? 400 : (problem.statusCode ?? 500);
    const webhook = /^\/(mutate|verify|validate)/.exec(request.url)?.[1];
    if (webhook !== undefined) metrics.reviews.inc({ webhook, result: 'Malformed' });
    if (status >= 500) logger.error({ err: problem }, 'a request could not be answered');
    else logger.info({ webhook, why: problem.message }, 'no admission review');
    const message = status >= 500 ? 'internal error' : problem.message;
    return reply.code(status).send({ code: 'CHP-8004', message });
  });

  const stopFollowing = followCertificate(server.server as unknown as Server, certificate, clock);
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    stopFollowing();
    const timer = clock.setTimer(closeTimeoutMs, () => server.server.closeAllConnections());
    await server.close();
    timer.cancel();
  };
  try {
    await server.listen({ host, port });
  } catch (cause) {
    await close();
    throw new ChaperoneError('CHP-1020', `the webhook cannot listen on ${host}:${port}`, { cause });
  }
  return {
    port: (server.server.address() as AddressInfo).port,
    close: () => (closing ??= close()),
  };
}

/** Nothing was decided: what comes of it must not depend on how the API server takes a fault. */
const failed = (): AdmissionVerdict => ({
  allowed: false,
  code: 500,
  message:
    'CHP-8003 Chaperone could not review this object, so it is refused. Try again; if it lasts, look into the log of the webhook.',
});

function buildServer(pair: ServingPair): FastifyInstance {
  const server = Fastify({
    logger: false,
    bodyLimit: maxBodyBytes,
    requestTimeout: requestTimeoutMs,
    forceCloseConnections: 'idle',
    https: { ...pair, minVersion: 'TLSv1.2' },
  }) as unknown as FastifyInstance;
  limitConnections(server.server, maxConnections);
  return server;
}
