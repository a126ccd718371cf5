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
import { appliesTo, attachment, isOpenTo, namesIdentity } from '../controllers/attachment.ts';
import { resolveAuthorities, resolveMaskingKey } from '../controllers/secrets.ts';
import type { Snapshot } from '../controllers/snapshot.ts';
import type { Stored } from '../store/resource-store.ts';
import { maskingKey } from './masking-key.ts';
import { strictestSession } from './session-settings.ts';

type Identity = Stored<'MachineIdentity'>;
type Target = Stored<'Target'>;
type Policy = Stored<'AccessPolicy'>;

/**
 * The bundle of one identity: every target open to its namespace, with the rules and masks that count there
 * for it. `installationKey` is what masking keys are derived from where a rule names none. `version` is the
 * snapshot's. Pure.
 */
export function bundleFor(
  identity: Identity,
  snapshot: Snapshot,
  installationKey: Buffer,
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
    targets: snapshot
      .all('Target')
      .filter((target) => isOpenTo(target, metadata.namespace, snapshot))
      .map((target) => targetBundle(target, identity, snapshot, installationKey)),
  };
  return { ...content, version: snapshot.version, digest: bundleDigest(content) };
}

function targetBundle(
  target: Target,
  identity: Identity,
  snapshot: Snapshot,
  installationKey: Buffer,
): TargetBundle {
  const policies = snapshot.all('AccessPolicy').filter((policy) => appliesTo(policy, identity));
  const granting = policies.filter((policy) => attachment(policy, target) === 'Granting');
  return {
    target: bundleTarget(target, snapshot),
    rules: policies.flatMap((policy) => rulesOf(policy, target)),
    masks: snapshot
      .all('MaskingRule')
      .filter((rule) => attachment(rule, target) === 'Granting')
      .map((rule) => bundleMask(rule, target, identity, snapshot, installationKey)),
    session: strictestSession(
      granting.flatMap(({ spec }) =>
        spec.mode === 'Enforce' && spec.session !== undefined ? [spec.session] : [],
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
function rulesOf(policy: Policy, target: Target): BundleRule[] {
  const attached = attachment(policy, target);
  if (attached === undefined) return [];
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
