/** AdmissionReview of admission.k8s.io/v1: what the API server asks, and what it is answered. */
import type { JsonPatchOperation } from '../injection/json-patch.ts';

export interface AdmissionRequest {
  readonly uid: string;
  readonly kind: { readonly group: string; readonly version: string; readonly kind: string };
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';
  /** Empty for objects without one. */
  readonly namespace: string;
  /** Empty where the API server has yet to give one. */
  readonly name: string;
  readonly dryRun: boolean;
  /** Not looked at yet. */
  readonly object: unknown;
  readonly oldObject: unknown;
}

export interface AdmissionVerdict {
  readonly allowed: boolean;
  /** Why not. */
  readonly message?: string;
  /** HTTP status of a refusal; default 403. */
  readonly code?: number;
  readonly patch?: readonly JsonPatchOperation[];
  readonly warnings?: readonly string[];
}

const apiVersion = 'admission.k8s.io/v1';
const kind = 'AdmissionReview';
const operations = ['CREATE', 'UPDATE', 'DELETE', 'CONNECT'] as const;
const maxTextChars = 512;
/** The API server cuts them, and all of them together. */
const maxWarningChars = 256;
const maxWarnings = 12;

/** What is no review; `message` is fit for whoever sent it. */
export class ReviewProblem extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ReviewProblem';
  }
}

/** Throws ReviewProblem. */
export function readReview(body: unknown): AdmissionRequest {
  const review = objectOf(body, 'the body');
  if (review.apiVersion !== apiVersion || review.kind !== kind) {
    throw new ReviewProblem(`the body is no ${kind} of ${apiVersion}`);
  }
  const request = objectOf(review.request, 'request');
  const of = objectOf(request.kind, 'request.kind');
  const operation = operations.find((one) => one === request.operation);
  if (operation === undefined) {
    throw new ReviewProblem(`request.operation is none of ${operations.join(', ')}`);
  }
  const uid = textOf(request.uid, 'request.uid');
  if (uid === '') throw new ReviewProblem('request.uid is empty');
  return {
    uid,
    kind: {
      group: textOf(of.group ?? '', 'request.kind.group'),
      version: textOf(of.version, 'request.kind.version'),
      kind: textOf(of.kind, 'request.kind.kind'),
    },
    operation,
    namespace: textOf(request.namespace ?? '', 'request.namespace'),
    name: textOf(request.name ?? '', 'request.name'),
    dryRun: request.dryRun === true,
    object: request.object ?? undefined,
    oldObject: request.oldObject ?? undefined,
  };
}

function objectOf(value: unknown, path: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ReviewProblem(`${path} is no object`);
  }
  return value as Readonly<Record<string, unknown>>;
}

function textOf(value: unknown, path: string): string {
  if (typeof value === 'string' && value.length <= maxTextChars) return value;
  throw new ReviewProblem(`${path} is no text of up to ${maxTextChars} characters`);
}

/** The review that answers a request. */
export function answerReview(uid: string, verdict: AdmissionVerdict): object {
  const { allowed, message, code = 403, patch = [], warnings = [] } = verdict;
  const shown = warnings.slice(0, maxWarnings).map((text) => text.slice(0, maxWarningChars));
  return {
    apiVersion,
    kind,
    response: {
      uid,
      allowed,
      ...(!allowed && {
        status: { code, reason: code === 403 ? 'Forbidden' : 'InternalError', message },
      }),
      ...(allowed &&
        patch.length > 0 && {
          patchType: 'JSONPatch',
          patch: Buffer.from(JSON.stringify(patch)).toString('base64'),
        }),
      ...(shown.length > 0 && { warnings: shown }),
    },
  };
}
