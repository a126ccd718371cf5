/** The status that each resource should have, as data: whoever runs the controllers writes it. */
import { type SubjectConflict, subjectConflicts } from '@chaperone/core/resources/subjects.ts';
import type { ResourceKind } from '@chaperone/core/resources/types.ts';
import type { MergePatch, Stored } from '../store/resource-store.ts';
import { appliesTo } from './attachment.ts';
import { conditionsOf, type Finding } from './conditions.ts';
import { identityFindings } from './identity-status.ts';
import { attachedTargets, maskFindings, policyFindings } from './policy-status.ts';
import { objectKey, type Snapshot } from './snapshot.ts';
import { targetFindings } from './target-status.ts';

export interface WantedStatus {
  readonly object: Stored<ResourceKind>;
  /** For patchStatus; only what the controllers know, so that other writers' fields stay. */
  readonly patch: MergePatch;
}

/** The statuses of all resources that differ from what they have. */
export function wantedStatuses(snapshot: Snapshot, nowMs: number): WantedStatus[] {
  const identities = snapshot.all('MachineIdentity');
  const conflicts = subjectConflicts(identities);
  const none: readonly SubjectConflict[] = [];
  const wanted: WantedStatus[] = [];
  const add = (
    object: Stored<ResourceKind>,
    findings: readonly Finding[],
    fields: Readonly<Record<string, unknown>> = {},
  ): void => {
    const { generation } = object.metadata;
    const conditions = conditionsOf(findings, object.status?.conditions, generation, nowMs);
    const patch = { observedGeneration: generation, conditions, ...fields };
    if (differs(object.status ?? {}, patch)) wanted.push({ object, patch });
  };

  for (const identity of identities) {
    const own = conflicts.get(objectKey(identity)) ?? none;
    add(identity, identityFindings(identity, own, nowMs));
  }
  for (const target of snapshot.all('Target')) {
    const { findings, credentialVersion = null } = targetFindings(target, snapshot);
    add(target, findings, { credentialVersion });
  }
  for (const policy of snapshot.all('AccessPolicy')) {
    add(policy, policyFindings(policy, snapshot), {
      targets: attachedTargets(policy, snapshot).length,
      identities: identities.filter((identity) => appliesTo(policy, identity)).length,
    });
  }
  for (const rule of snapshot.all('MaskingRule')) {
    add(rule, maskFindings(rule, snapshot), { targets: attachedTargets(rule, snapshot).length });
  }
  return wanted;
}

function differs(status: object, patch: MergePatch): boolean {
  const has = status as Readonly<Record<string, unknown>>;
  return Object.entries(patch).some(
    ([name, value]) => JSON.stringify(has[name] ?? null) !== JSON.stringify(value),
  );
}
