/** The shapes of requests, as JSON Schema; what is not in them is refused. */
import { backendOutcomes } from '@chaperone/core/control/types.ts';

const text = (maxLength: number) => ({ type: 'string', minLength: 1, maxLength }) as const;
const uid = text(128);

export const attestSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['program', 'bundleVersions'],
  properties: {
    program: {
      type: 'object',
      additionalProperties: false,
      required: ['name', 'version'],
      properties: { name: { enum: ['sidecar', 'gateway'] }, version: text(128) },
    },
    bundleVersions: {
      type: 'array',
      minItems: 1,
      maxItems: 32,
      items: { type: 'integer', minimum: 1, maximum: 1_000_000 },
    },
  },
} as const;

export const policyQuerySchema = {
  type: 'object',
  additionalProperties: false,
  properties: { identity: uid },
} as const;

export const noQuerySchema = { type: 'object', additionalProperties: false } as const;

export const targetParamsSchema = {
  type: 'object',
  required: ['targetUid'],
  properties: { targetUid: uid },
} as const;

const generation = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER } as const;

/** A pod need say nothing: no body will do. */
export const credentialSchema = {
  type: ['object', 'null'],
  additionalProperties: false,
  properties: { identityUid: uid, targetGeneration: generation },
} as const;

export const backendReportSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['outcome', 'targetGeneration', 'credentialVersion'],
  properties: {
    outcome: { enum: backendOutcomes },
    targetGeneration: generation,
    credentialVersion: text(128),
  },
} as const;

export const certificateSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['publicKey'],
  properties: { publicKey: text(4096) },
} as const;

export const authenticateSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['user', 'secret', 'targetUid'],
  properties: {
    user: { type: 'string', maxLength: 512 },
    secret: { type: 'string', maxLength: 16_384 },
    targetUid: uid,
  },
} as const;
