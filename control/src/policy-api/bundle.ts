/** From the resources in force to what one identity's sessions need to decide: its policy bundle. */
import { createHash } from 'node:crypto';
import { bundleDigest } from '@chaperone/core/policy/bundle-digest.ts';
import type {
  BundleMask,
  BundleRule,
  LimitSpec,
  PolicyBundle,
  TargetBundle,
} from '@chaperone/core/policy/types.ts';
import type { AccessPolicyRule } from '@chaperone/core/resources/types.ts';
import { countsFor, namesIdentity } from '../controllers/attachment.ts';
import type { GovernanceRules } from '../controllers/host-rules.ts';
import { type AttachedPolicy, policyIndexOf } from '../controllers/policy-index.ts';
import { objectKey, type Snapshot } from '../controllers/snapshot.ts';
import type { Stored } from '../store/resource-store.ts';
import { bundlePartsOf, type MaskPart, type TargetPart, versionOf } from './bundle-parts.ts';
import { strictestSession } from './session-settings.ts';

type Identity = Stored<'MachineIdentity'>;

/**
 * The bundle of one identity: every target open to its namespace, with the rules and masks that count there
 * for it. `installationKey` is what masking keys are derived from where a rule names none; `rules` say who
 * may claim which host (see targetsOf). `version` is the snapshot's. Pure.
 */
export function bundleFor(
  identity: Identity,
  snapshot: Snapshot,
  installationKey: Buffer,
  rules: GovernanceRules | undefined,
): PolicyBundle {
  const { metadata, spec } = identity;
  const content: Omit<PolicyBundle, 'digest' | 'version'> = {
    bundleVersion: 1,
    identity: {
      uid: metadata.uid,
      namespace: metadata.namespace,
      name: metadata.name,
      generation: metadata.generation,
      owner: spec.owner,
      purpose: spec.purpose,
      groups: spec.groups ?? [],
      suspended: spec.suspended,
      ...(spec.expiresAt !== undefined && { expiresAt: spec.expiresAt }),
    },
    targets: inputsOf(identity, snapshot, installationKey, rules).map((inputs) =>
      targetBundle(inputs, identity),
    ),
  };
  return { ...content, version: snapshot.version, digest: bundleDigest(content) };
}

/**
 * Of what the bundle is made, as a digest: as long as it stays the same, so does the bundle's content. It
 * costs a small part of making the bundle, so that a change asks for work only where it counts.
 */
export function bundleInputs(
  identity: Identity,
  snapshot: Snapshot,
  installationKey: Buffer,
  rules: GovernanceRules | undefined,
): string {
  const hash = createHash('sha256').update(versionOf(identity));
  for (const { part, policies } of inputsOf(identity, snapshot, installationKey, rules)) {
    hash.update(`\n${part.version}`);
    for (const { policy, attached } of policies) hash.update(`\n${versionOf(policy)} ${attached}`);
  }
  return hash.digest('base64');
}

interface TargetInputs {
  readonly part: TargetPart;
  /** Those that count on the target for the identity, by namespace and name. */
  readonly policies: readonly AttachedPolicy[];
}

/** By namespace and name of the targets. */
function inputsOf(
  identity: Identity,
  snapshot: Snapshot,
  installationKey: Buffer,
  rules: GovernanceRules | undefined,
): readonly TargetInputs[] {
  const index = policyIndexOf(snapshot);
  const parts = bundlePartsOf(snapshot, installationKey, rules);
  const applying = index.policiesFor(identity);
  return parts.open(identity.metadata.namespace).map((target) => ({
    part: parts.of(target),
    policies: index
      .policiesOn(target)
      .filter(
        ({ policy, attached }) =>
          applying.has(objectKey(policy)) &&
          countsFor(attached, policy, identity.metadata.namespace),
      ),
  }));
}

function targetBundle({ part, policies }: TargetInputs, identity: Identity): TargetBundle {
  return {
    target: part.target,
    rules: policies.flatMap(rulesOf),
    masks: part.masks.map((mask) => bundleMask(mask, identity)),
    session: strictestSession(
      policies.flatMap(({ policy: { spec }, attached }) =>
        attached === 'Granting' && spec.mode === 'Enforce' && spec.session !== undefined
          ? [spec.session]
          : [],
      ),
    ),
  };
}

/** The rules of a policy that count on a target: all of them, or its Denies alone. */
function rulesOf({ policy, attached }: AttachedPolicy): BundleRule[] {
  const { namespace, name, generation } = policy.metadata;
  return (policy.spec.rules ?? [])
    .filter(({ action }) => attached === 'Granting' || action === 'Deny')
    .map((rule) => ({
      ref: { kind: policy.kind, namespace, object: name, rule: rule.name, generation },
      mode: policy.spec.mode,
      action: rule.action,
      classes: rule.classes ?? [],
      verbs: rule.verbs ?? [],
      resources: rule.resources,
      ...(rule.columns !== undefined && { columns: rule.columns }),
      ...(rule.when !== undefined && { when: rule.when }),
      ...(rule.limits !== undefined && { limits: limitsOf(rule.limits) }),
    }));
}

function limitsOf(limits: NonNullable<AccessPolicyRule['limits']>): LimitSpec {
  const scope = limits.scope ?? (limits.rowsPerHour === undefined ? 'Pod' : 'Identity');
  return { ...limits, onExceed: limits.onExceed ?? 'Deny', scope };
}

function bundleMask({ rule, mask }: MaskPart, identity: Identity): BundleMask {
  return {
    ...mask,
    exemptions: (rule.spec.exemptions ?? [])
      .filter(({ identities }) => namesIdentity(identities, identity))
      .map(({ reason, ticket, expiresAt }) => ({
        reason,
        ...(ticket !== undefined && { ticket }),
        expiresAt,
      })),
  };
}
