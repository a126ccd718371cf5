import { checkCondition } from '@chaperone/core/policy/conditions.ts';
import type { Stored } from '../store/resource-store.ts';
import { attachment } from './attachment.ts';
import type { Finding } from './conditions.ts';
import { policyIndexOf } from './policy-index.ts';
import { resolveMaskingKey } from './secrets.ts';
import type { Snapshot } from './snapshot.ts';

type Policy = Stored<'AccessPolicy'>;
type Mask = Stored<'MaskingRule'>;

/** Why a policy or mask does not count in full, each as a reason and a sentence. */
interface Doubt {
  readonly reason: string;
  readonly message: string;
}

export function policyFindings(policy: Policy, snapshot: Snapshot): Finding[] {
  const doubts = [...attachmentDoubts(policy, snapshot), ...conditionDoubts(policy)];
  const dryRun = policy.spec.mode === 'DryRun';
  return findings(
    doubts,
    dryRun ? 'it is recorded what it would do, and not enforced' : 'it is in force',
  );
}

export function maskFindings(rule: Mask, snapshot: Snapshot): Finding[] {
  const key = resolveMaskingKey(rule, snapshot);
  const doubts = attachmentDoubts(rule, snapshot);
  if (!key.ok) {
    doubts.push({ reason: key.reason, message: `${key.message}: values are redacted instead` });
  }
  return findings(doubts, 'it is in force');
}

function findings(doubts: readonly Doubt[], inForce: string): Finding[] {
  const [first] = doubts;
  if (first === undefined) {
    return [
      { type: 'Ready', holds: true, reason: 'Ready', message: inForce },
      { type: 'Accepted', holds: true, reason: 'Accepted', message: 'everything resolves' },
    ];
  }
  const message = doubts.map((doubt) => doubt.message).join('; ');
  return [
    { type: 'Ready', holds: false, reason: first.reason, message },
    { type: 'Accepted', holds: false, reason: first.reason, message },
  ];
}

/** Targets that it names and does not govern, or not in full. */
export function attachmentDoubts(object: Policy | Mask, snapshot: Snapshot): Doubt[] {
  const { namespace } = object.metadata;
  if (object.spec.selector !== undefined) {
    return policyIndexOf(snapshot).targetCount(object) > 0
      ? []
      : [
          {
            reason: 'TargetNotFound',
            message: 'spec.selector matches no Target that it may govern',
          },
        ];
  }
  return (object.spec.targetRefs ?? []).flatMap((ref): Doubt[] => {
    const label = `${ref.namespace ?? namespace}/${ref.name}`;
    const target = snapshot.get('Target', ref.namespace ?? namespace, ref.name);
    if (target === undefined) {
      return [{ reason: 'TargetNotFound', message: `Target ${label} does not exist` }];
    }
    if (attachment(object, target) === 'Granting') return [];
    if (object.kind === 'MaskingRule') {
      const message = `Target ${label} does not name namespace ${namespace} in policyNamespaces: the rule does not count there`;
      return [{ reason: 'NotPermitted', message }];
    }
    if (object.spec.rules?.every(({ action }) => action === 'Deny')) {
      const foreign = subjectNamespaces(object).find((one) => one !== namespace);
      if (foreign === undefined) return [];
      const message = `Target ${label} does not name namespace ${namespace} in policyNamespaces: rules deny identities of ${namespace} alone there, and not those of ${foreign}`;
      return [{ reason: 'NotPermitted', message }];
    }
    const message = `Target ${label} does not name namespace ${namespace} in policyNamespaces: only Deny rules count there`;
    return [{ reason: 'NotPermitted', message }];
  });
}

function subjectNamespaces({ spec: { subjects } }: Policy): readonly string[] {
  const named = (subjects?.identities ?? []).map(({ namespace }) => namespace);
  return [...named, ...(subjects?.namespaces ?? [])];
}

function conditionDoubts({ spec }: Policy): Doubt[] {
  return (spec.rules ?? []).flatMap(({ name, when }) => {
    const checked = when === undefined ? undefined : checkCondition(when);
    return checked === undefined || checked.ok
      ? []
      : [{ reason: 'InvalidCondition', message: `when of rule ${name}: ${checked.message}` }];
  });
}
