/**
 * Whether a policy bundle has the form that the compiler and the data path rely on: each field that they read is
 * there and of its kind. What is of another kind could otherwise compare as never reached, or as not enforced.
 */
import type { BundleMask, BundleRule } from '@chaperone/core/policy/types.ts';

/** What is wrong, as a path and a few words; undefined where nothing is. */
type Shape = (value: unknown, path: string) => string | undefined;

const text: Shape = (value, path) => (typeof value === 'string' ? undefined : `${path} is no text`);
const flag: Shape = (value, path) =>
  typeof value === 'boolean' ? undefined : `${path} is neither true nor false`;
const quantity: Shape = (value, path) =>
  typeof value === 'number' && value >= 0 && Number.isFinite(value)
    ? undefined
    : `${path} is no number from 0 on`;
const oneOf =
  (...words: readonly string[]): Shape =>
  (value, path) =>
    words.includes(value as string) ? undefined : `${path} is none of ${words.join(', ')}`;

const list =
  (item: Shape): Shape =>
  (value, path) => {
    if (!Array.isArray(value)) return `${path} is no list`;
    for (const [index, one] of value.entries()) {
      const problem = item(one, `${path}[${index}]`);
      if (problem !== undefined) return problem;
    }
    return undefined;
  };

/** `optional`: may be absent. Fields that neither names are not looked at. */
const object =
  (
    required: Readonly<Record<string, Shape>>,
    optional: Readonly<Record<string, Shape>> = {},
  ): Shape =>
  (value, path) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return `${path} is no object`;
    }
    const own = (name: string): unknown =>
      Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
    for (const [name, shape] of Object.entries(required)) {
      const problem = shape(own(name), `${path}.${name}`);
      if (problem !== undefined) return problem;
    }
    for (const [name, shape] of Object.entries(optional)) {
      const given = own(name);
      const problem = given === undefined ? undefined : shape(given, `${path}.${name}`);
      if (problem !== undefined) return problem;
    }
    return undefined;
  };

const texts = list(text);
const ref = object({
  kind: oneOf('AccessPolicy', 'MaskingRule', 'Builtin'),
  namespace: text,
  object: text,
  rule: text,
  generation: quantity,
});

const limits = object(
  { onExceed: oneOf('Deny', 'RequireApproval'), scope: oneOf('Pod', 'Identity') },
  {
    rowsPerStatement: quantity,
    bytesPerStatement: quantity,
    rowsPerHour: quantity,
    statementsPerSecond: quantity,
    concurrentSessions: quantity,
  },
);

const rule = object(
  {
    ref,
    mode: oneOf('Enforce', 'DryRun'),
    action: oneOf('Allow', 'Deny', 'RequireApproval'),
    classes: texts,
    verbs: texts,
    resources: texts,
  },
  { columns: object({}, { only: texts, except: texts }), when: text, limits, invalid: text },
);

/** Which transforms and detectors there are, the compiler knows; those that it does not know let nothing pass. */
const mask = object(
  {
    ref,
    columns: texts,
    detectors: texts,
    resources: texts,
    transform: object(
      { type: text },
      { keepFirst: quantity, keepLast: quantity, fixed: text, dateUnit: text, step: quantity },
    ),
    usage: oneOf('None', 'Lookup', 'Any'),
    strictness: oneOf('Strict', 'BestEffort'),
    exemptions: list(object({ reason: text, expiresAt: text }, { ticket: text })),
  },
  { key: text },
);

const target = object({
  uid: text,
  namespace: text,
  name: text,
  generation: quantity,
  protocol: oneOf('PostgreSQL'),
  host: text,
  port: quantity,
  aliases: texts,
  tls: object({ mode: oneOf('VerifyFull', 'VerifyCA', 'Disable') }, { ca: text }),
  enforcement: oneOf('Observe', 'Enforce'),
  classification: texts,
  catalogCheck: oneOf('Interval', 'Statement'),
  untestedVersions: oneOf('Refuse', 'Allow'),
});

const bundle = object({
  version: quantity,
  identity: object(
    {
      uid: text,
      namespace: text,
      name: text,
      generation: quantity,
      owner: object({ team: text }, { contact: text }),
      purpose: text,
      groups: texts,
      suspended: flag,
    },
    { expiresAt: text },
  ),
  targets: list(
    object({
      target,
      rules: list(rule),
      masks: list(mask),
      session: object(
        {
          recording: oneOf('Metadata', 'Statements', 'Full'),
          durability: oneOf('Process', 'Disk', 'Collector'),
        },
        { maxDurationMs: quantity, idleTimeoutMs: quantity },
      ),
    }),
  ),
});

/** What keeps a bundle of version 1 from being used, for a message; undefined where it can be. */
export function bundleShapeProblem(value: unknown): string | undefined {
  return bundle(value, 'the bundle');
}

const ruleFields: ReadonlySet<string> = new Set([
  ...['ref', 'mode', 'action', 'classes', 'verbs', 'resources', 'columns', 'when', 'limits'],
  'invalid',
]);
const columnFields: ReadonlySet<string> = new Set(['only', 'except']);
const limitFields: ReadonlySet<string> = new Set([
  ...['rowsPerStatement', 'bytesPerStatement', 'rowsPerHour', 'statementsPerSecond'],
  ...['concurrentSessions', 'onExceed', 'scope'],
]);
const exemptionFields: ReadonlySet<string> = new Set(['reason', 'ticket', 'expiresAt']);

/** A field of a rule, its columns or its limits that this version does not know: perhaps what narrows it. */
export function unknownRuleField(rule: BundleRule): string | undefined {
  return (
    unknownIn(rule, ruleFields) ??
    unknownIn(rule.columns ?? {}, columnFields) ??
    unknownIn(rule.limits ?? {}, limitFields)
  );
}

/** An exemption with more in it than this version knows is none. */
export function isKnownExemption(exemption: BundleMask['exemptions'][number]): boolean {
  return unknownIn(exemption, exemptionFields) === undefined;
}

function unknownIn(value: object, known: ReadonlySet<string>): string | undefined {
  return Object.keys(value).find((name) => !known.has(name));
}
