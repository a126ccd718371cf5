/** The status that each resource should have, as data: whoever runs the controllers writes it. */
import { canonicalJson } from '@chaperone/core/canonical-json.ts';
import { type PlacedSubject, subjectConflicts } from '@chaperone/core/resources/subjects.ts';
import { type ResourceKind, resourceKinds } from '@chaperone/core/resources/types.ts';
import type { MergePatch, Stored } from '../store/resource-store.ts';
import type { BackendReports } from './backend-reports.ts';
import { backendFinding } from './backend-status.ts';
import { conditionsOf, type Finding } from './conditions.ts';
import { type GovernanceRules, issuerIsBound } from './host-rules.ts';
import { identityFindings } from './identity-status.ts';
import { displacements } from './open-targets.ts';
import { policyIndexOf } from './policy-index.ts';
import { maskFindings, policyFindings } from './policy-status.ts';
import { objectKey, type Snapshot } from './snapshot.ts';
import { targetFindings } from './target-status.ts';

export interface WantedStatus {
  readonly object: Stored<ResourceKind>;
  /** For patchStatus; only what the controllers know, so that other writers' fields stay. */
  readonly patch: MergePatch;
}

export interface StatusOptions {
  /** Whose statuses; default: all. What decides others' is looked at all the same. */
  readonly kinds?: readonly ResourceKind[];
  /** Who may claim which host and issuer; absent, as in a directory: anybody anything. */
  readonly rules?: GovernanceRules;
  /** What is told of backends; absent: nothing, and not said. */
  readonly backends?: BackendReports;
  /** Running pods that are recognised as an identity; absent: not known, and not said. */
  readonly boundPods?: (identity: Stored<'MachineIdentity'>) => number;
}

/** The statuses of all resources that differ from what they have. */
export function wantedStatuses(
  snapshot: Snapshot,
  nowMs: number,
  options: StatusOptions = {},
): WantedStatus[] {
  const { kinds = resourceKinds } = options;
  return kinds.flatMap((kind) => statusesOf[kind](snapshot, nowMs, options));
}

type StatusesOf = (snapshot: Snapshot, nowMs: number, options: StatusOptions) => WantedStatus[];

const statusesOf: Readonly<Record<ResourceKind, StatusesOf>> = {
  MachineIdentity(snapshot, nowMs, { rules, boundPods }) {
    const isBound = ({ namespace, subject }: PlacedSubject): boolean =>
      rules === undefined ||
      subject.oidc === undefined ||
      issuerIsBound(subject.oidc.issuer, namespace, rules);
    const identities = snapshot.all('MachineIdentity');
    const conflicts = subjectConflicts(identities, isBound);
    return identities.flatMap((identity) => {
      const { namespace } = identity.metadata;
      const unbound = identity.spec.subjects.flatMap((subject, at) =>
        isBound({ namespace, subject }) ? [] : [at],
      );
      const own = conflicts.get(objectKey(identity)) ?? [];
      const fields = boundPods === undefined ? {} : { boundPods: boundPods(identity) };
      return change(identity, identityFindings(identity, own, unbound, nowMs), fields, nowMs);
    });
  },
  Target(snapshot, nowMs, { rules, backends }) {
    const targets = snapshot.all('Target');
    backends?.keepOnly(new Set(targets.map(({ metadata }) => metadata.uid)));
    const displaced = rules === undefined ? undefined : displacements(snapshot, rules);
    return targets.flatMap((target) => {
      const by = displaced?.get(objectKey(target));
      const { findings, credentialVersion = null } = targetFindings(target, snapshot, rules, by);
      const backend =
        backends === undefined ? undefined : backendFinding(target, snapshot, backends);
      if (backend !== undefined) findings.push(backend);
      return change(target, findings, { credentialVersion }, nowMs);
    });
  },
  AccessPolicy(snapshot, nowMs) {
    const index = policyIndexOf(snapshot);
    return snapshot.all('AccessPolicy').flatMap((policy) => {
      const fields = {
        targets: index.targetCount(policy),
        identities: index.identityCount(policy),
      };
      return change(policy, policyFindings(policy, snapshot), fields, nowMs);
    });
  },
  MaskingRule(snapshot, nowMs) {
    const index = policyIndexOf(snapshot);
    return snapshot.all('MaskingRule').flatMap((rule) => {
      const fields = { targets: index.targetCount(rule) };
      return change(rule, maskFindings(rule, snapshot), fields, nowMs);
    });
  },
};

function change(
  object: Stored<ResourceKind>,
  findings: readonly Finding[],
  fields: Readonly<Record<string, unknown>>,
  nowMs: number,
): WantedStatus[] {
  const { generation } = object.metadata;
  const conditions = conditionsOf(findings, object.status?.conditions, generation, nowMs);
  const patch = { observedGeneration: generation, conditions, ...fields };
  return differs(object.status ?? {}, patch) ? [{ object, patch }] : [];
}

/** Whatever the order in which a store keeps the fields. */
function differs(status: object, patch: MergePatch): boolean {
  const has = status as Readonly<Record<string, unknown>>;
  return Object.entries(patch).some(
    ([name, value]) => canonicalJson(has[name] ?? null) !== canonicalJson(value),
  );
}
