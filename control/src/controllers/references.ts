/** What resources refer to and is not there: each is valid by itself, and yet counts for less than it says. */

import { parseResourcePattern } from '@chaperone/core/policy/resource-pattern.ts';
import { objectName } from '@chaperone/core/resources/object.ts';
import { type Verb, verbClasses } from '@chaperone/core/sql/operation.ts';
import type { ResourceStore, Stored } from '../store/resource-store.ts';
import { attachmentDoubts } from './policy-status.ts';
import {
  type Resolved,
  resolveAuthorities,
  resolveCredential,
  resolveMaskingKey,
} from './secrets.ts';
import { Snapshot, watchedKinds } from './snapshot.ts';

export interface UnresolvedReference {
  /** Of the object that refers, as objectName. */
  readonly object: string;
  /** As `spec.subjects.identities[0]`; empty where the message names the place. */
  readonly path: string;
  /** Holds no secret. */
  readonly message: string;
}

/** Everything that does not resolve now, by kind, namespace and name of who refers. */
export function unresolvedReferences(snapshot: Snapshot): UnresolvedReference[] {
  const found: UnresolvedReference[] = [];
  const add = (object: Stored, path: string, message: string): void => {
    found.push({ object: objectName(object), path, message });
  };
  const addUnlessOk = (object: Stored, path: string, resolved: Resolved<unknown>): void => {
    if (!resolved.ok) add(object, path, resolved.message);
  };
  const addIdentities = (object: Stored<'AccessPolicy' | 'MaskingRule'>): void => {
    for (const { path, message } of absentIdentities(object, snapshot)) add(object, path, message);
  };
  for (const target of snapshot.all('Target')) {
    addUnlessOk(target, 'spec.credentials.secretRef', resolveCredential(target, snapshot));
    addUnlessOk(target, 'spec.tls.caRef', resolveAuthorities(target, snapshot));
  }
  for (const policy of snapshot.all('AccessPolicy')) {
    for (const { message } of attachmentDoubts(policy, snapshot)) add(policy, '', message);
    addIdentities(policy);
    policy.spec.rules?.forEach(({ resources, classes, verbs }, rule) => {
      if (!concernsTables(classes, verbs)) return;
      resources.forEach((pattern, at) => {
        const { parts, rest } = parseResourcePattern(pattern);
        if (rest || parts.length >= 3) return;
        const message = `${pattern} matches no table: it has fewer parts than database.schema.relation, and does not end in **`;
        add(policy, `spec.rules[${rule}].resources[${at}]`, message);
      });
    });
  }
  for (const rule of snapshot.all('MaskingRule')) {
    for (const { message } of attachmentDoubts(rule, snapshot)) add(rule, '', message);
    addUnlessOk(rule, 'spec.keyRef', resolveMaskingKey(rule, snapshot));
    addIdentities(rule);
  }
  return found;
}

/** Identities that a policy or mask names and that are not there, with the place of each. */
export function absentIdentities(
  object: Stored<'AccessPolicy' | 'MaskingRule'>,
  snapshot: Snapshot,
): Omit<UnresolvedReference, 'object'>[] {
  const places =
    object.kind === 'AccessPolicy'
      ? [{ path: 'spec.subjects.identities', identities: object.spec.subjects?.identities }]
      : (object.spec.exemptions ?? []).map(({ identities }, at) => ({
          path: `spec.exemptions[${at}].identities`,
          identities,
        }));
  return places.flatMap(({ path, identities = [] }) =>
    identities.flatMap(({ namespace, name }, at) =>
      snapshot.get('MachineIdentity', namespace, name) === undefined
        ? [
            {
              path: `${path}[${at}]`,
              message: `MachineIdentity ${namespace}/${name} does not exist`,
            },
          ]
        : [],
    ),
  );
}

/** Settings, channels and whole databases have shorter names: `shop.work_mem` is right for Set. */
function concernsTables(classes: readonly string[] = [], verbs: readonly string[] = []): boolean {
  const tables: ReadonlySet<string> = new Set(['Read', 'Write', 'Export', '*']);
  const ofVerbs = verbs.map((verb) => verbClasses[verb as Verb] ?? verb);
  return [...classes, ...ofVerbs].some((name) => tables.has(name));
}

/** Tells each reference that does not resolve, once for as long as it does not. Returns what ends it. */
export function watchReferences(
  store: ResourceStore,
  onUnresolved: (reference: UnresolvedReference) => void,
): () => void {
  const snapshot = new Snapshot();
  let told: ReadonlySet<string> = new Set();
  return store.watch(watchedKinds, (batch) => {
    if (!snapshot.apply(batch)) return;
    const references = unresolvedReferences(snapshot);
    const before = told;
    told = new Set(references.map((reference) => JSON.stringify(reference)));
    for (const reference of references) {
      if (!before.has(JSON.stringify(reference))) onUnresolved(reference);
    }
  });
}
