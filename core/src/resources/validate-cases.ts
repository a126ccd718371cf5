/** For tests: objects and the one problem each has, or none. Every CEL rule of the CRDs fails here once and holds once. */

type Change = (spec: Record<string, unknown>) => void;

export interface ValidationCase {
  readonly name: string;
  readonly object: Record<string, unknown>;
  /** Path and a part of the message of the only error; absent when the object is valid. */
  readonly error?: readonly [path: string, message: string];
  /** Checked by admission, which comes after the schema: an API server without the webhook takes it. */
  readonly admission?: boolean;
}

const valid: Record<string, () => Record<string, unknown>> = {
  MachineIdentity: () => ({
    owner: { team: 'a' },
    purpose: 'b',
    subjects: [{ serviceAccount: { name: 'c' } }],
    expiresAt: '2990-01-01T00:00:00Z',
  }),
  Target: () => ({
    protocol: 'PostgreSQL',
    host: 'db.data.svc.cluster.local',
    credentials: { secretRef: { name: 's' } },
  }),
  AccessPolicy: () => ({
    subjects: { namespaces: ['a'] },
    targetRefs: [{ name: 't' }],
    rules: [{ name: 'r', action: 'Allow', classes: ['Read'], resources: ['shop.**'] }],
  }),
  MaskingRule: () => ({
    targetRefs: [{ name: 't' }],
    columns: ['shop.public.customers.ssn'],
    transform: { type: 'Redact' },
  }),
};

/** The object of that kind with a valid spec, changed. */
export function resource(kind: string, change: Change = () => {}): Record<string, unknown> {
  const spec = valid[kind]!();
  change(spec);
  return {
    apiVersion: 'chaperone.dev/v1alpha1',
    kind,
    metadata: { name: 'x', namespace: 'data' },
    spec,
  };
}

/** Sets `spec.a.b.0.c`; undefined removes. */
const set =
  (path: string, value: unknown): Change =>
  (spec) => {
    const names = path.split('.');
    const last = names.pop()!;
    let at: Record<string, unknown> = spec;
    for (const name of names) at = (at[name] ??= {}) as Record<string, unknown>;
    if (value === undefined) delete at[last];
    else at[last] = value;
  };

const all =
  (...changes: readonly Change[]): Change =>
  (spec) => {
    for (const change of changes) change(spec);
  };

const accept = (name: string, kind: string, change?: Change): ValidationCase => ({
  name,
  object: resource(kind, change),
});

const refuse = (
  name: string,
  kind: string,
  change: Change,
  path: string,
  message: string,
): ValidationCase => ({ name, object: resource(kind, change), error: [path, message] });

const refuseAtAdmission = (...args: Parameters<typeof refuse>): ValidationCase => ({
  ...refuse(...args),
  admission: true,
});

const oidc = { issuer: 'https://ci.example.com', audience: 'chaperone', match: { ref: 'main' } };
const labels = { matchLabels: { team: 'a' } };
const approval = { approvers: { groups: ['dba'] } };

const structural: readonly ValidationCase[] = [
  ...Object.keys(valid).map((kind) => accept(`a plain ${kind}`, kind)),
  refuse('unknown field', 'Target', set('hots', 'x'), 'spec.hots', 'unknown field'),
  refuse(
    'unknown field deep within',
    'AccessPolicy',
    set('rules.0.verb', ['Select']),
    'spec.rules[0].verb',
    'unknown field',
  ),
  refuse('missing required field', 'Target', set('host', undefined), 'spec.host', 'required'),
  refuse(
    'missing required field in a list',
    'AccessPolicy',
    set('rules.0.action', undefined),
    'spec.rules[0].action',
    'required',
  ),
  refuse(
    'number for text',
    'MachineIdentity',
    set('purpose', 5),
    'spec.purpose',
    'must be a string',
  ),
  refuse('text for number', 'Target', set('port', '5432'), 'spec.port', 'must be a whole number'),
  refuse('fraction for integer', 'Target', set('port', 1.5), 'spec.port', 'must be a whole number'),
  refuse(
    'text for boolean',
    'MachineIdentity',
    set('suspended', 'yes'),
    'spec.suspended',
    'must be a boolean',
  ),
  refuse(
    'object for list',
    'MachineIdentity',
    set('subjects', { a: 1 }),
    'spec.subjects',
    'must be a list',
  ),
  refuse(
    'list for object',
    'MachineIdentity',
    set('owner', ['a']),
    'spec.owner',
    'must be an object',
  ),
  refuse(
    'null in a list',
    'MachineIdentity',
    set('groups', [null]),
    'spec.groups[0]',
    'must be a string',
  ),
  accept('null for an optional field', 'MachineIdentity', set('groups', null)),
  refuse(
    'null for a required field',
    'MachineIdentity',
    set('purpose', null),
    'spec.purpose',
    'required',
  ),
  refuse(
    'not of the enum',
    'Target',
    set('enforcement', 'Maybe'),
    'spec.enforcement',
    'must be one of',
  ),
  refuse('below the minimum', 'Target', set('port', 0), 'spec.port', 'at least 1'),
  refuse('above the maximum', 'Target', set('port', 65536), 'spec.port', 'at most 65535'),
  refuse(
    'not above an exclusive minimum',
    'MaskingRule',
    set('transform', { type: 'Generalize', step: 0 }),
    'spec.transform.step',
    'more than 0',
  ),
  refuse(
    'too long',
    'MachineIdentity',
    set('owner.team', 'x'.repeat(254)),
    'spec.owner.team',
    'more than 253',
  ),
  accept(
    'as long as allowed, in characters',
    'MachineIdentity',
    set('owner.team', '\u{1f600}'.repeat(253)),
  ),
  refuse('empty', 'MachineIdentity', set('purpose', ''), 'spec.purpose', 'empty'),
  refuse(
    'too few entries',
    'MachineIdentity',
    set('subjects', []),
    'spec.subjects',
    'at least 1 entry',
  ),
  refuse(
    'too many entries',
    'Target',
    set(
      'classification',
      Array.from({ length: 17 }, (_, i) => `c${i}`),
    ),
    'spec.classification',
    'more than 16',
  ),
  refuse('pattern', 'Target', set('host', 'Bad_Host'), 'spec.host', 'does not match'),
  refuse(
    'no https issuer',
    'MachineIdentity',
    set('subjects', [{ oidc: { ...oidc, issuer: 'http://ci.example.com' } }]),
    'spec.subjects[0].oidc.issuer',
    'does not match',
  ),
  refuse(
    'no duration',
    'MachineIdentity',
    set('review', { every: '90d' }),
    'spec.review.every',
    'does not match',
  ),
  refuse(
    'no date-time',
    'MachineIdentity',
    set('expiresAt', '2027-13-01T00:00:00Z'),
    'spec.expiresAt',
    'RFC 3339',
  ),
  refuse(
    'a date alone',
    'MachineIdentity',
    set('expiresAt', '2027-01-01'),
    'spec.expiresAt',
    'RFC 3339',
  ),
  refuse(
    'repeated in a set',
    'MachineIdentity',
    set('groups', ['a', 'b', 'a']),
    'spec.groups[2]',
    'there already',
  ),
  refuse(
    'repeated key in a map',
    'AccessPolicy',
    set('rules.1', { name: 'r', action: 'Deny', classes: ['Write'], resources: ['x'] }),
    'spec.rules[1]',
    'there already',
  ),
  refuse(
    'repeated pair of keys',
    'AccessPolicy',
    set('subjects.identities', [
      { name: 'a', namespace: 'b' },
      { name: 'a', namespace: 'b' },
    ]),
    'spec.subjects.identities[1]',
    'there already',
  ),
  accept(
    'half of the keys alike',
    'AccessPolicy',
    set('subjects.identities', [
      { name: 'a', namespace: 'b' },
      { name: 'a', namespace: 'c' },
    ]),
  ),
];

const rules: readonly ValidationCase[] = [
  accept('an oidc subject', 'MachineIdentity', set('subjects', [{ oidc }])),
  refuse(
    'subject with both proofs',
    'MachineIdentity',
    set('subjects.0.oidc', oidc),
    'spec.subjects[0]',
    'exactly one of serviceAccount and oidc',
  ),
  refuse(
    'subject without proof',
    'MachineIdentity',
    set('subjects', [{}]),
    'spec.subjects[0]',
    'exactly one of serviceAccount and oidc',
  ),

  accept('caRef with verification', 'Target', set('tls', { caRef: { name: 'ca' } })),
  refuse(
    'caRef without TLS',
    'Target',
    set('tls', { mode: 'Disable', caRef: { name: 'ca' } }),
    'spec.tls',
    'no meaning with mode Disable',
  ),
  accept('the directory of a UNIX socket', 'Target', (spec) => {
    spec.host = '/run/postgresql';
    spec.tls = { mode: 'Disable' };
  }),
  refuse(
    'a UNIX socket with TLS',
    'Target',
    set('host', '/run/postgresql'),
    'spec',
    'speaks no TLS',
  ),
  accept('the longest directory of a UNIX socket', 'Target', (spec) => {
    spec.host = `/${'d'.repeat(91)}`;
    spec.tls = { mode: 'Disable' };
  }),
  refuse(
    'a directory too long for a UNIX socket',
    'Target',
    (spec) => {
      spec.host = `/${'d'.repeat(92)}`;
      spec.tls = { mode: 'Disable' };
    },
    'spec',
    'too long for a UNIX socket',
  ),
  refuse('a relative path', 'Target', set('host', 'run/postgresql'), 'spec.host', 'does not match'),
  refuse('a path that ends in /', 'Target', set('host', '/run/'), 'spec.host', 'does not match'),
  accept(
    'namespaces by selector',
    'Target',
    set('allowedNamespaces', { from: 'Selector', selector: labels }),
  ),
  refuse(
    'from Selector without one',
    'Target',
    set('allowedNamespaces', { from: 'Selector' }),
    'spec.allowedNamespaces',
    'selector goes with from Selector',
  ),
  refuse(
    'selector without from',
    'Target',
    set('allowedNamespaces', { selector: labels }),
    'spec.allowedNamespaces',
    'selector goes with from Selector',
  ),
  accept(
    'expression with values',
    'Target',
    set('allowedNamespaces', {
      from: 'Selector',
      selector: { matchExpressions: [{ key: 'a', operator: 'In', values: ['b'] }] },
    }),
  ),
  refuse(
    'In without values',
    'Target',
    set('allowedNamespaces', {
      from: 'Selector',
      selector: { matchExpressions: [{ key: 'a', operator: 'In' }] },
    }),
    'spec.allowedNamespaces.selector.matchExpressions[0]',
    'values go with In and NotIn',
  ),
  refuse(
    'Exists with values',
    'Target',
    set('allowedNamespaces', {
      from: 'Selector',
      selector: { matchExpressions: [{ key: 'a', operator: 'Exists', values: ['b'] }] },
    }),
    'spec.allowedNamespaces.selector.matchExpressions[0]',
    'values go with In and NotIn',
  ),

  accept(
    'targets by selector',
    'AccessPolicy',
    all(set('targetRefs', undefined), set('selector', labels)),
  ),
  refuse(
    'both attachments',
    'AccessPolicy',
    set('selector', labels),
    'spec',
    'exactly one of targetRefs and selector',
  ),
  refuse(
    'no attachment',
    'AccessPolicy',
    set('targetRefs', undefined),
    'spec',
    'exactly one of targetRefs and selector',
  ),
  accept(
    'groups with namespaces',
    'AccessPolicy',
    set('subjects', { namespaces: ['a'], groups: ['b'] }),
  ),
  refuse(
    'groups without namespaces',
    'AccessPolicy',
    set('subjects', { groups: ['b'] }),
    'spec.subjects',
    'namespaces is needed',
  ),
  refuse(
    'selector without namespaces',
    'AccessPolicy',
    set('subjects', { selector: labels }),
    'spec.subjects',
    'namespaces is needed',
  ),
  accept(
    'verbs instead of classes',
    'AccessPolicy',
    all(set('rules.0.classes', undefined), set('rules.0.verbs', ['Select'])),
  ),
  refuse(
    'neither classes nor verbs',
    'AccessPolicy',
    set('rules.0.classes', undefined),
    'spec.rules[0]',
    'classes, verbs or both',
  ),
  accept(
    'approval',
    'AccessPolicy',
    all(set('rules.0.action', 'RequireApproval'), set('rules.0.approval', approval)),
  ),
  refuse(
    'RequireApproval without approval',
    'AccessPolicy',
    set('rules.0.action', 'RequireApproval'),
    'spec.rules[0]',
    'approval goes with action RequireApproval',
  ),
  refuse(
    'approval with Allow',
    'AccessPolicy',
    set('rules.0.approval', approval),
    'spec.rules[0]',
    'approval goes with action RequireApproval',
  ),
  accept('limits with Allow', 'AccessPolicy', set('rules.0.limits', { rowsPerStatement: 5 })),
  refuse(
    'limits with Deny',
    'AccessPolicy',
    all(set('rules.0.action', 'Deny'), set('rules.0.limits', { rowsPerStatement: 5 })),
    'spec.rules[0]',
    'no meaning with action Deny',
  ),
  refuse(
    'limits that limit nothing',
    'AccessPolicy',
    set('rules.0.limits', { onExceed: 'Deny' }),
    'spec.rules[0].limits',
    'at least one limit',
  ),
  accept('columns except', 'AccessPolicy', set('rules.0.columns', { except: ['a'] })),
  refuse(
    'columns both ways',
    'AccessPolicy',
    set('rules.0.columns', { only: ['a'], except: ['b'] }),
    'spec.rules[0].columns',
    'exactly one of only and except',
  ),
  refuse(
    'columns neither way',
    'AccessPolicy',
    set('rules.0.columns', {}),
    'spec.rules[0].columns',
    'exactly one of only and except',
  ),
  accept(
    'hold with a timeout',
    'AccessPolicy',
    all(
      set('rules.0.action', 'RequireApproval'),
      set('rules.0.approval', { ...approval, wait: { mode: 'Hold', holdTimeout: '5m' } }),
    ),
  ),
  refuse(
    'hold without a timeout',
    'AccessPolicy',
    all(
      set('rules.0.action', 'RequireApproval'),
      set('rules.0.approval', { ...approval, wait: { mode: 'Hold' } }),
    ),
    'spec.rules[0].approval.wait',
    'holdTimeout goes with mode Hold',
  ),

  accept(
    'mask by selector',
    'MaskingRule',
    all(set('targetRefs', undefined), set('selector', labels)),
  ),
  refuse(
    'mask without attachment',
    'MaskingRule',
    set('targetRefs', undefined),
    'spec',
    'exactly one of targetRefs and selector',
  ),
  accept(
    'detectors',
    'MaskingRule',
    all(set('columns', undefined), set('detectors', ['Email']), set('resources', ['shop.**'])),
  ),
  refuse(
    'neither columns nor detectors',
    'MaskingRule',
    set('columns', undefined),
    'spec',
    'columns, detectors or both',
  ),
  refuse(
    'detectors without resources',
    'MaskingRule',
    set('detectors', ['Email']),
    'spec',
    'detectors and resources go together',
  ),
  refuse(
    'resources without detectors',
    'MaskingRule',
    set('resources', ['shop.**']),
    'spec',
    'detectors and resources go together',
  ),
  accept(
    'keyed hash',
    'MaskingRule',
    all(set('transform', { type: 'Hash' }), set('keyRef', { name: 'k' })),
  ),
  refuse(
    'key without use',
    'MaskingRule',
    set('keyRef', { name: 'k' }),
    'spec',
    'keyRef goes with',
  ),
  accept('partial', 'MaskingRule', set('transform', { type: 'Partial', keepLast: 4 })),
  refuse(
    'partial of nothing',
    'MaskingRule',
    set('transform', { type: 'Partial' }),
    'spec.transform',
    'needs keepFirst, keepLast or both',
  ),
  refuse(
    'keepLast without Partial',
    'MaskingRule',
    set('transform.keepLast', 4),
    'spec.transform',
    'go with type Partial only',
  ),
  accept('fixed', 'MaskingRule', set('transform', { type: 'Fixed', fixed: '' })),
  refuse(
    'Fixed without text',
    'MaskingRule',
    set('transform', { type: 'Fixed' }),
    'spec.transform',
    'fixed goes with type Fixed',
  ),
  refuse(
    'text without Fixed',
    'MaskingRule',
    set('transform.fixed', 'x'),
    'spec.transform',
    'fixed goes with type Fixed',
  ),
  accept(
    'generalize',
    'MaskingRule',
    set('transform', { type: 'Generalize', dateUnit: 'Year', step: 0.5 }),
  ),
  refuse(
    'Generalize to nothing',
    'MaskingRule',
    set('transform', { type: 'Generalize' }),
    'spec.transform',
    'needs dateUnit, step or both',
  ),
  refuse(
    'dateUnit without Generalize',
    'MaskingRule',
    set('transform.dateUnit', 'Year'),
    'spec.transform',
    'go with type Generalize only',
  ),
];

const admission: readonly ValidationCase[] = [
  accept(
    'a condition',
    'AccessPolicy',
    set('rules.0.when', 'statement.hasWhere && identity.namespace == "a"'),
  ),
  refuseAtAdmission(
    'a condition with matches()',
    'AccessPolicy',
    set('rules.0.when', 'identity.name.matches("a+")'),
    'spec.rules[0].when',
    're2',
  ),
  refuseAtAdmission(
    'a condition that does not parse',
    'AccessPolicy',
    set('rules.0.when', 'statement.'),
    'spec.rules[0].when',
    '',
  ),
  refuseAtAdmission(
    'a condition on what is not there',
    'AccessPolicy',
    set('rules.0.when', 'session.admin'),
    'spec.rules[0].when',
    '',
  ),
  refuseAtAdmission(
    'a condition that is no yes or no',
    'AccessPolicy',
    set('rules.0.when', 'identity.name'),
    'spec.rules[0].when',
    '',
  ),
  refuseAtAdmission(
    'unknown verb',
    'AccessPolicy',
    set('rules.0.verbs', ['Obliterate']),
    'spec.rules[0].verbs[0]',
    'unknown verb Obliterate; known are Select',
  ),
  refuseAtAdmission(
    'misspelt verb',
    'AccessPolicy',
    set('rules.0.verbs', ['Copyout']),
    'spec.rules[0].verbs[0]',
    'did you mean CopyOut?',
  ),
  refuseAtAdmission(
    'resource with too many parts',
    'AccessPolicy',
    set('rules.0.resources', ['a.b.c.d']),
    'spec.rules[0].resources[0]',
    'more parts',
  ),
  refuseAtAdmission(
    'resource with an empty part',
    'AccessPolicy',
    set('rules.0.resources', ['a..c']),
    'spec.rules[0].resources[0]',
    'empty',
  ),
  refuseAtAdmission(
    '** before the end',
    'AccessPolicy',
    set('rules.0.resources', ['**.c']),
    'spec.rules[0].resources[0]',
    '**',
  ),
  accept('a quoted resource', 'AccessPolicy', set('rules.0.resources', ['shop.public."My.Table"'])),
  refuseAtAdmission(
    'mask on a relation',
    'MaskingRule',
    set('columns', ['shop.public.customers']),
    'spec.columns[0]',
    'database.schema.relation.column',
  ),
  refuseAtAdmission(
    'mask with **',
    'MaskingRule',
    set('columns', ['shop.**']),
    'spec.columns[0]',
    '**',
  ),
  refuseAtAdmission(
    'a duration of nothing',
    'AccessPolicy',
    set('session', { maxDuration: '0s' }),
    'spec.session.maxDuration',
    'longer than zero',
  ),
  refuseAtAdmission(
    'a selector that can match nothing',
    'AccessPolicy',
    all(
      set('targetRefs', undefined),
      set('selector', { ...labels, matchExpressions: [{ key: 'team', operator: 'DoesNotExist' }] }),
    ),
    'spec.selector',
    'team contradict',
  ),
  refuseAtAdmission(
    'no label key',
    'AccessPolicy',
    all(set('targetRefs', undefined), set('selector', { matchLabels: { 'a b': 'c' } })),
    'spec.selector',
    'no label key',
  ),
  refuseAtAdmission(
    'the same subject twice',
    'MachineIdentity',
    set('subjects', [{ serviceAccount: { name: 'c' } }, { serviceAccount: { name: 'c' } }]),
    'spec.subjects[1]',
    'covered already by spec.subjects[0]',
  ),
];

export const validationCases: readonly ValidationCase[] = [...structural, ...rules, ...admission];
