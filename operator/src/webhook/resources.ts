/** Admission of our own resources: what their schemas cannot say. */
import {
  aliasRefusal,
  type GovernanceRules,
  hostRefusal,
  issuerIsBound,
} from '@chaperone/control/controllers/host-rules.ts';
import { attachmentDoubts } from '@chaperone/control/controllers/policy-status.ts';
import { absentIdentities } from '@chaperone/control/controllers/references.ts';
import { objectKey, type Snapshot } from '@chaperone/control/controllers/snapshot.ts';
import type { Stored } from '@chaperone/control/store/resource-store.ts';
import { error, formatProblem, type Problem, warning } from '@chaperone/core/resources/problem.ts';
import { subjectConflicts } from '@chaperone/core/resources/subjects.ts';
import { type Resource, resourceKinds } from '@chaperone/core/resources/types.ts';
import { validate } from '@chaperone/core/resources/validate.ts';
import { jsonPatch } from '../injection/json-patch.ts';
import { type AdmissionRequest, type AdmissionVerdict, ReviewProblem } from './review.ts';
import type { AdmissionState } from './state.ts';

const maxProblems = 20;

/** Throws ReviewProblem for what is none of our resources. */
export function reviewResource(
  request: AdmissionRequest,
  state: AdmissionState,
  nowMs: number,
): AdmissionVerdict {
  const { operation, kind, object, oldObject } = request;
  if (operation !== 'CREATE' && operation !== 'UPDATE') return { allowed: true };
  if (kind.group !== 'chaperone.dev' || !resourceKinds.some((known) => known === kind.kind)) {
    throw new ReviewProblem(`request.kind ${kind.kind} is none that is reviewed here`);
  }
  if (typeof object !== 'object' || object === null) {
    throw new ReviewProblem('request.object is no object');
  }
  const isNew = operation === 'CREATE';
  const problems = resourceProblems(object, isNew, state, nowMs);
  // What was stored before a rule existed can still be labelled, and let go by whoever finalizes it.
  const kept = !isNew && jsonPatch(specOf(oldObject), specOf(object)).length === 0;
  const errors = kept ? [] : problems.filter(({ severity }) => severity === 'Error');
  const warnings = problems
    .filter((problem) => !errors.includes(problem))
    .map((problem) => formatProblem(problem));
  if (errors.length === 0) return { allowed: true, warnings };
  const told = errors.slice(0, maxProblems).map((problem) => formatProblem(problem));
  const more = errors.length > maxProblems ? `; and ${errors.length - maxProblems} more` : '';
  return { allowed: false, message: `CHP-8002 ${told.join('; ')}${more}`, warnings };
}

function resourceProblems(
  input: object,
  isNew: boolean,
  state: AdmissionState,
  nowMs: number,
): readonly Problem[] {
  const { object, problems } = validate(input, nowMs);
  if (object === undefined) return problems;
  const { metadata = {} } = input as { readonly metadata?: { creationTimestamp?: string } };
  const { creationTimestamp = afterAll } = metadata;
  const stored = {
    ...object,
    metadata: {
      ...object.metadata,
      uid: '',
      resourceVersion: '',
      generation: 0,
      // Times are whole seconds: of two made within one, the one that is there already is the older.
      creationTimestamp: isNew ? afterAll : creationTimestamp,
    },
  } as Stored & Resource;
  return [...problems, ...contextProblems(stored, isNew, state)];
}

const afterAll = '9999-12-31T23:59:59Z';

function contextProblems(
  object: Stored & Resource,
  isNew: boolean,
  { snapshot, rules, maxTargetsPerNamespace }: AdmissionState,
): readonly Problem[] {
  switch (object.kind) {
    case 'MachineIdentity':
      return identityProblems(object as Stored<'MachineIdentity'>, snapshot, rules);
    case 'Target':
      return [
        ...targetProblems(object as Stored<'Target'>, rules),
        ...(isNew ? crowdProblems(object.metadata, snapshot, maxTargetsPerNamespace) : []),
      ];
    case 'AccessPolicy':
    case 'MaskingRule': {
      const policy = object as Stored<'AccessPolicy' | 'MaskingRule'>;
      return [
        ...attachmentDoubts(policy, snapshot).map(({ message }) => warning('', message)),
        ...absentIdentities(policy, snapshot).map(({ path, message }) => warning(path, message)),
      ];
    }
  }
}

function identityProblems(
  identity: Stored<'MachineIdentity'>,
  snapshot: Snapshot,
  rules: GovernanceRules,
): readonly Problem[] {
  const { namespace } = identity.metadata;
  const key = objectKey(identity);
  const others = snapshot.all('MachineIdentity').filter((other) => objectKey(other) !== key);
  const conflicts = subjectConflicts([...others, identity]).get(key) ?? [];
  return [
    ...conflicts.map((conflict) =>
      error(
        `spec.subjects[${conflict.subject}]`,
        `belongs to the older MachineIdentity ${conflict.namespace}/${conflict.name}`,
      ),
    ),
    ...identity.spec.subjects.flatMap(({ oidc }, index) =>
      oidc === undefined || issuerIsBound(oidc.issuer, namespace, rules)
        ? []
        : [
            error(
              `spec.subjects[${index}].oidc.issuer`,
              `${oidc.issuer} is not bound to this namespace: have an administrator add ${namespace}=${oidc.issuer} to oidcIssuers`,
            ),
          ],
    ),
  ];
}

function targetProblems(
  { metadata, spec }: Stored<'Target'>,
  rules: GovernanceRules,
): readonly Problem[] {
  const { namespace } = metadata;
  const refusals = [
    hostRefusal(spec.host, namespace, rules),
    ...(spec.aliases ?? []).map((alias) => aliasRefusal(alias, namespace, rules)),
  ];
  // The message names the field.
  return refusals.flatMap((refusal) => (refusal === undefined ? [] : [error('', refusal.message)]));
}

/** Each Target costs every pod that it is open to, and every look at what is open. */
function crowdProblems(
  { namespace, name }: Stored<'Target'>['metadata'],
  snapshot: Snapshot,
  max: number,
): readonly Problem[] {
  const others = snapshot
    .all('Target')
    .filter(({ metadata }) => metadata.namespace === namespace && metadata.name !== name);
  if (others.length < max) return [];
  return [
    error(
      '',
      `namespace ${namespace} has ${others.length} Targets, and may have ${max}: delete those that are not used any more, or have an administrator raise governance.maxTargetsPerNamespace of the chart`,
    ),
  ];
}

const specOf = (object: unknown): unknown =>
  typeof object === 'object' && object !== null
    ? (object as { readonly spec?: unknown }).spec
    : undefined;
