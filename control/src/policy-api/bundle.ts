/** From the resources in force to what one identity's sessions need to decide: its policy bundle. */
import { bundleDigest } from '@chaperone/core/policy/bundle-digest.ts';
import type {
  BundleMask,
  BundleRule,
  LimitSpec,
  PolicyBundle,
  RuleRef,
  TargetBundle,
} from '@chaperone/core/policy/types.ts';
import type { AccessPolicyRule } from '@chaperone/core/resources/types.ts';
import { namesIdentity } from '../controllers/attachment.ts';
import type { GovernanceRules } from '../controllers/host-rules.ts';
import { targetsOf } from '../controllers/open-targets.ts';
import { type AttachedPolicy, policyIndexOf } from '../controllers/policy-index.ts';
import { resolveAuthorities, resolveMaskingKey } from '../controllers/secrets.ts';
import { objectKey, type Snapshot } from '../controllers/snapshot.ts';
import type { Stored } from '../store/resource-store.ts';
import { maskingKey } from './masking-key.ts';
import { strictestSession } from './session-settings.ts';

type Identity = Stored<'MachineIdentity'>;
type Target = Stored<'Target'>;
type Policy = Stored<'AccessPolicy'>;

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
    targets: targetsOf(metadata.namespace, snapshot, rules).open.map((target) =>
      targetBundle(target, identity, snapshot, installationKey),
    ),
  };
  return { ...content, version: snapshot.version, digest: bundleDigest(content) };
}

function targetBundle(
  target: Target,
  identity: Identity,
  snapshot: Snapshot,
  installationKey: Buffer,
): TargetBundle {
  const index = policyIndexOf(snapshot);
  const applying = index.policiesFor(identity);
  const policies = index.policiesOn(target).filter(({ policy }) => applying.has(objectKey(policy)));
  return {
    target: bundleTarget(target, snapshot),
    rules: policies.flatMap(rulesOf),
    masks: index
      .masksOn(target)
      .map((rule) => bundleMask(rule, target, identity, snapshot, installationKey)),
    session: strictestSession(
      policies.flatMap(({ policy: { spec }, attached }) =>
        attached === 'Granting' && spec.mode === 'Enforce' && spec.session !== undefined
          ? [spec.session]
          : [],
      ),
    ),
  };
}

function bundleTarget(target: Target, snapshot: Snapshot): TargetBundle['target'] {
  const { metadata, spec } = target;
  const authorities = resolveAuthorities(target, snapshot);
  // What does not resolve must not turn into trust in the system's authorities: this is no certificate, so
  // nothing verifies against it.
  const ca = authorities.ok ? authorities.value : authorities.message;
  return {
    uid: metadata.uid,
    namespace: metadata.namespace,
    name: metadata.name,
    generation: metadata.generation,
    protocol: spec.protocol,
    host: spec.host,
    port: spec.port,
    aliases: spec.aliases ?? [],
    tls: { mode: spec.tls.mode, ...(ca !== undefined && { ca }) },
    enforcement: spec.enforcement,
    classification: spec.classification ?? [],
    catalogCheck: spec.catalogCheck,
    untestedVersions: spec.untestedVersions,
  };
}

/** The rules of a policy that count on a target: all of them, or its Denies alone. */
function rulesOf({ policy, attached }: AttachedPolicy): BundleRule[] {
  return (policy.spec.rules ?? [])
    .filter(({ action }) => attached === 'Granting' || action === 'Deny')
    .map((rule) => ({
      ref: refOf(policy, rule.name),
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
  return { ...limits, scope };
}

function bundleMask(
  rule: Stored<'MaskingRule'>,
  target: Target,
  identity: Identity,
  snapshot: Snapshot,
  installationKey: Buffer,
): BundleMask {
  const { spec } = rule;
  const keyed = spec.transform.type === 'Hash' || spec.transform.type === 'Pseudonym';
  const key = resolveMaskingKey(rule, snapshot);
  return {
    ref: refOf(rule, ''),
    columns: spec.columns ?? [],
    detectors: spec.detectors ?? [],
    resources: spec.resources ?? [],
    // Without its key a value cannot be hashed, and nothing of it may be shown either.
    transform: keyed && !key.ok ? { type: 'Redact' } : spec.transform,
    usage: spec.usage,
    strictness: spec.strictness,
    exemptions: (spec.exemptions ?? [])
      .filter(({ identities }) => namesIdentity(identities, identity))
      .map(({ reason, ticket, expiresAt }) => ({
        reason,
        ...(ticket !== undefined && { ticket }),
        expiresAt,
      })),
    ...(keyed && key.ok && { key: maskingKey(key.value ?? installationKey, target.metadata) }),
  };
}

function refOf(object: Policy | Stored<'MaskingRule'>, rule: string): RuleRef {
  const { namespace, name, generation } = object.metadata;
  return { kind: object.kind, namespace, object: name, rule, generation };
}
