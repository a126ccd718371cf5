/** Which policies and masks count for which target, and for whom (who may grant, and who may only deny). */
import { selectorMatches } from '@chaperone/core/resources/selector.ts';
import type { LabelSelector } from '@chaperone/core/resources/types.ts';
import type { Stored } from '../store/resource-store.ts';
import type { Snapshot } from './snapshot.ts';

type Target = Stored<'Target'>;
type Identity = Stored<'MachineIdentity'>;
type Policy = Stored<'AccessPolicy'>;
type Attached = Policy | Stored<'MaskingRule'>;

/** Set by Kubernetes on every namespace; understood without a Namespace object as well. */
const namespaceNameLabel = 'kubernetes.io/metadata.name';

/** Whether policies of that namespace may allow, mask and exempt on the target. */
export function mayGrant(namespace: string, target: Target): boolean {
  return (
    namespace === target.metadata.namespace ||
    (target.spec.policyNamespaces?.includes(namespace) ?? false)
  );
}

/**
 * How a policy or mask is attached to a target: `Granting` counts in full, `DenyOnly` with its Deny rules
 * alone, and for identities of its own namespace, undefined not at all.
 */
export function attachment(object: Attached, target: Target): 'Granting' | 'DenyOnly' | undefined {
  const { namespace } = object.metadata;
  const granting = mayGrant(namespace, target);
  if (object.spec.selector !== undefined) {
    return granting && selectorMatches(object.spec.selector, target.metadata.labels)
      ? 'Granting'
      : undefined;
  }
  const named = object.spec.targetRefs?.some(
    (ref) =>
      ref.name === target.metadata.name &&
      (ref.namespace ?? namespace) === target.metadata.namespace,
  );
  if (!named) return undefined;
  return granting ? 'Granting' : 'DenyOnly';
}

/**
 * Whether a policy attached in that way counts for identities of the namespace: or whoever has a namespace could
 * cut off everybody else's workloads.
 */
export const countsFor = (
  attached: 'Granting' | 'DenyOnly',
  policy: Policy,
  identityNamespace: string,
): boolean => attached === 'Granting' || policy.metadata.namespace === identityNamespace;

/** Whether the policy's subjects pick the identity. No subjects: nobody. */
export function appliesTo(policy: Policy, identity: Identity): boolean {
  const { subjects } = policy.spec;
  if (subjects === undefined) return false;
  if (namesIdentity(subjects.identities, identity)) return true;
  const { namespaces, groups, selector } = subjects;
  if (!namespaces?.includes(identity.metadata.namespace)) return false;
  if (groups !== undefined && !groups.some((group) => identity.spec.groups?.includes(group))) {
    return false;
  }
  return selector === undefined || selectorMatches(selector, identity.metadata.labels);
}

/** Whether a list of references contains the identity. */
export function namesIdentity(
  references: readonly { readonly name: string; readonly namespace: string }[] | undefined,
  { metadata }: Identity,
): boolean {
  return (
    references?.some(
      ({ name, namespace }) => name === metadata.name && namespace === metadata.namespace,
    ) ?? false
  );
}

/** Whether the target's owner lets identities of that namespace connect at all. */
export function isOfferedTo(target: Target, namespace: string, snapshot: Snapshot): boolean {
  const { from, selector } = target.spec.allowedNamespaces;
  switch (from) {
    case 'All':
      return true;
    case 'Same':
      return namespace === target.metadata.namespace;
    case 'Selector':
      return selector !== undefined && namespaceMatches(selector, namespace, snapshot);
  }
}

function namespaceMatches(selector: LabelSelector, name: string, snapshot: Snapshot): boolean {
  const labels = snapshot.get('Namespace', '', name)?.metadata.labels;
  return selectorMatches(selector, { ...labels, [namespaceNameLabel]: name });
}
