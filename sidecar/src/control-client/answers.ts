/** What the policy API answers, checked as far as we rely on it. Each throws ChaperoneError CHP-2021. */
import { isIP } from 'node:net';
import type { AuthenticatedCaller, LeasedCredential } from '@chaperone/core/control/types.ts';
import type {
  AttestResponse,
  CertificateResponse,
  PolicyEvent,
  TargetsEvent,
} from '@chaperone/core/control/wire.ts';
import { bundleVersions } from '@chaperone/core/control/wire.ts';
import { bundleDigest } from '@chaperone/core/policy/bundle-digest.ts';
import type { PolicyBundle, TargetBundle } from '@chaperone/core/policy/types.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { bundleShapeProblem, isKnownExemption, unknownRuleField } from './bundle-shape.ts';
import { toProblem } from './policy-api.ts';
import { isVersionVector } from './versions.ts';

type Fields = Readonly<Record<string, unknown>>;

function unusable(what: string): never {
  throw new ChaperoneError('CHP-2021', `the policy API's answer cannot be used: ${what}`);
}

function fieldsOf(value: unknown, what: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return unusable(`${what} is no object`);
  }
  return value as Fields;
}

function textOf(fields: Fields, name: string): string {
  const value = fields[name];
  return typeof value === 'string' && value !== '' ? value : unusable(`${name} is missing`);
}

/** Epoch ms. */
function timeOf(fields: Fields, name: string): number {
  const ms = Date.parse(textOf(fields, name));
  return Number.isNaN(ms) ? unusable(`${name} is no time`) : ms;
}

/** `attest`, with times in epoch ms. */
export interface Attested {
  readonly role: AttestResponse['role'];
  readonly controlToken: string;
  readonly controlExpiresMs: number;
  readonly ingestToken: string;
  readonly ingestExpiresMs: number;
  readonly source: AttestResponse['source'];
  /** 32 bytes. */
  readonly recordKey: Buffer;
  readonly maxPolicyAgeMs: number;
}

export function readAttested(value: unknown): Attested {
  const fields = fieldsOf(value, 'the attestation');
  const { role, maxPolicyAgeMs } = fields;
  if (role !== 'Pod' && role !== 'Gateway') return unusable('role is not known');
  if (!Number.isSafeInteger(maxPolicyAgeMs) || (maxPolicyAgeMs as number) <= 0) {
    return unusable('maxPolicyAgeMs is no duration');
  }
  const recordKey = Buffer.from(textOf(fields, 'recordKey'), 'base64');
  if (recordKey.length !== 32) return unusable('recordKey is not 32 bytes');
  const source = fieldsOf(fields.source, 'source');
  const pod = fieldsOf(source.pod, 'source.pod');
  const { node, address } = source;
  return {
    role,
    controlToken: textOf(fields, 'controlToken'),
    controlExpiresMs: timeOf(fields, 'controlExpiresAt'),
    ingestToken: textOf(fields, 'ingestToken'),
    ingestExpiresMs: timeOf(fields, 'ingestExpiresAt'),
    source: {
      namespace: textOf(source, 'namespace'),
      serviceAccount: textOf(source, 'serviceAccount'),
      pod: { name: textOf(pod, 'name'), uid: textOf(pod, 'uid') },
      ...(typeof node === 'string' && { node }),
      ...(typeof address === 'string' && isIP(address) !== 0 && { address }),
    },
    recordKey,
    maxPolicyAgeMs: maxPolicyAgeMs as number,
  };
}

/** A lease, and until when (epoch ms) it serves new sessions. */
export interface Lease {
  readonly credential: LeasedCredential;
  readonly expiresMs: number;
}

export function readLease(value: unknown): Lease {
  const fields = fieldsOf(value, 'the lease');
  const { password } = fields;
  return {
    credential: {
      name: textOf(fields, 'name'),
      version: textOf(fields, 'version'),
      username: textOf(fields, 'username'),
      password: typeof password === 'string' ? password : unusable('password is missing'),
    },
    expiresMs: timeOf(fields, 'expiresAt'),
  };
}

export function readCertificate(
  value: unknown,
): Omit<CertificateResponse, 'expiresAt'> & { readonly expiresMs: number } {
  const fields = fieldsOf(value, 'the certificate');
  return {
    certificateChain: textOf(fields, 'certificateChain'),
    expiresMs: timeOf(fields, 'expiresAt'),
  };
}

export function readCaller(value: unknown): AuthenticatedCaller {
  const fields = fieldsOf(value, 'the caller');
  const proof = fieldsOf(fields.proof, 'proof');
  textOf(proof, 'method');
  return {
    identityUid: textOf(fields, 'identityUid'),
    // Only recorded, as the policy API says it.
    proof: proof as unknown as AuthenticatedCaller['proof'],
    ...(fields.sessionEndsAt !== undefined && {
      sessionEndsMs: timeOf(fields, 'sessionEndsAt'),
    }),
  };
}

/** Checks form, version and digest. */
export function readPolicyEvent(value: unknown): PolicyEvent {
  const fields = fieldsOf(value, 'the policy');
  const { versions, bundle } = fields;
  if (!isVersionVector(versions)) return unusable('versions is no vector');
  if (bundle !== null) return { versions, bundle: readBundle(bundle) };
  const refusal = toProblem(fields.refusal);
  return { versions, bundle, ...(refusal !== undefined && { refusal }) };
}

function readBundle(value: unknown): PolicyBundle {
  const fields = fieldsOf(value, 'the bundle');
  const version = fields.bundleVersion;
  if (!bundleVersions.includes(version as number)) {
    const said = typeof version === 'number' ? version : 'which is no number';
    return unusable(`bundleVersion ${said} is not one of ${bundleVersions.join(', ')}`);
  }
  const problem = bundleShapeProblem(value);
  if (problem !== undefined) return unusable(problem);
  const bundle = value as PolicyBundle;
  if (digestOf(bundle) !== bundle.digest) return unusable('the digest is not of this bundle');
  return withUnknownFieldsInvalid(bundle);
}

/** Undefined when there is none: what is in it is not as it should be. */
function digestOf(bundle: PolicyBundle): string | undefined {
  try {
    return bundleDigest(bundle);
  } catch {
    return undefined;
  }
}

const received = new WeakMap<PolicyBundle, PolicyBundle>();

/** A bundle as the policy API made it, which is what its digest is of. */
export const asReceived = (bundle: PolicyBundle): PolicyBundle => received.get(bundle) ?? bundle;

/** What narrows a rule or an exemption, and is not known here, must not widen it: see unknownRuleField. */
function withUnknownFieldsInvalid(bundle: PolicyBundle): PolicyBundle {
  const isKnown = ({ rules, masks }: TargetBundle): boolean =>
    rules.every((rule) => unknownRuleField(rule) === undefined) &&
    masks.every((mask) => mask.exemptions.every(isKnownExemption));
  if (bundle.targets.every(isKnown)) return bundle;
  const enforced: PolicyBundle = {
    ...bundle,
    targets: bundle.targets.map((target) => ({
      ...target,
      rules: target.rules.map((rule) => {
        const unknown = unknownRuleField(rule);
        return unknown === undefined ? rule : { ...rule, invalid: `field ${unknown} is not known` };
      }),
      masks: target.masks.map((mask) => ({
        ...mask,
        exemptions: mask.exemptions.filter(isKnownExemption),
      })),
    })),
  };
  received.set(enforced, bundle);
  return enforced;
}

export function readTargetsEvent(value: unknown): TargetsEvent {
  const fields = fieldsOf(value, 'the targets');
  const { versions, targets } = fields;
  if (!isVersionVector(versions)) return unusable('versions is no vector');
  if (!Array.isArray(targets)) return unusable('targets is no list');
  for (const entry of targets) {
    const target = fieldsOf(entry, 'a target');
    for (const name of ['uid', 'namespace', 'name', 'host']) textOf(target, name);
  }
  return { versions, targets: targets as TargetsEvent['targets'] };
}
