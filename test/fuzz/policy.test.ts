/**
 * The policy compiler, on bundles and resources that were changed: nothing that the policy API could send makes
 * a sidecar throw where it is not meant to, and what is not understood allows nothing.
 */

import { snapshotOf, stored } from '@chaperone/control/controllers/testing.ts';
import { bundleFor } from '@chaperone/control/policy-api/bundle.ts';
import type { Stored } from '@chaperone/control/store/resource-store.ts';
import { bundleDigest } from '@chaperone/core/policy/bundle-digest.ts';
import { compileTarget } from '@chaperone/core/policy/compile.ts';
import { decide } from '@chaperone/core/policy/decide.ts';
import type { BundleRule, PolicyBundle } from '@chaperone/core/policy/types.ts';
import { validate } from '@chaperone/core/resources/validate.ts';
import type { StatementAnalysis } from '@chaperone/core/sql/operation.ts';
import {
  bundle,
  column,
  identity,
  mask,
  nowMs,
  operation,
  output,
  rule,
  statement,
} from '@chaperone/core/testing/policy-fixtures.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { readPolicyEvent } from '@chaperone/sidecar/control-client/answers.ts';
import { PolicyViews } from '@chaperone/sidecar/policy-views.ts';
import { expect } from '@jest/globals';
import fc from 'fast-check';
import { fuzz } from './support/fuzz.ts';
import { changed, changes } from './support/json.ts';

const ssn = column('shop.public.customers.ssn');
const total = column('shop.public.orders.total', 1700);

/** Reads, writes, what is only allowed by name, and what is masked. */
const asked: readonly StatementAnalysis[] = [
  statement([operation('Select', 'shop.public.orders', { columns: ['total'] })], {
    outputs: [output('total', [total])],
  }),
  statement([operation('Select', 'shop.public.customers', { columns: ['ssn'] })], {
    outputs: [output('ssn', [ssn]), output('upper', [], [ssn], 25)],
    uses: [{ column: ssn, usage: 'Any' }],
  }),
  statement([operation('Delete', 'shop.public.orders', { columns: [] })]),
  statement([operation('Drop', 'shop.public.orders'), operation('Select', 'shop.public.orders')]),
  statement([operation('Unknown', 'shop', { reason: 'a function' })], { userCode: true }),
  statement([operation('Set', 'shop.work_mem')]),
];

const rules: readonly BundleRule[] = [
  rule('all', { classes: ['Read', 'Write', 'Schema', 'Session'], resources: ['shop.**'] }),
  rule('named', { verbs: ['Unknown'], resources: ['shop'] }),
  rule('no-drop', { action: 'Deny', verbs: ['Drop', 'Delete'], resources: ['shop.public.*'] }),
  rule('no-ssn', {
    action: 'Deny',
    classes: ['Read'],
    resources: ['shop.public.customers'],
    columns: { only: ['ssn'] },
    when: '"reporting" in identity.groups',
  }),
  rule('ask', { action: 'RequireApproval', verbs: ['Set'], resources: ['**'] }),
  rule('quiet', { mode: 'DryRun', action: 'Deny', classes: ['Read'] }),
];
const whole: Omit<PolicyBundle, 'digest'> = {
  bundleVersion: 1,
  version: 7,
  identity: identity({ expiresAt: '2027-01-01T00:00:00Z' }),
  targets: [
    bundle(rules, [
      mask('ssn', {
        columns: ['shop.public.customers.ssn'],
        transform: { type: 'Partial', keepLast: 2 },
        exemptions: [{ reason: 'r', expiresAt: '2026-01-10T00:00:00Z' }],
      }),
      mask('cards', { detectors: ['PaymentCard'], resources: ['shop.public.orders'] }),
      mask('hash', {
        columns: ['shop.public.orders.note'],
        transform: { type: 'Hash' },
        key: Buffer.alloc(32, 1).toString('base64'),
      }),
    ]),
  ],
};

fuzz(
  'policy: what a sidecar is sent is taken whole or refused, and what is taken decides',
  fc.property(changes, (list) => {
    const sent = changed(whole, list) as PolicyBundle;
    let digest: string;
    try {
      digest = bundleDigest(sent);
    } catch {
      return;
    }
    let taken: PolicyBundle | null;
    try {
      // By way of its text: what JSON cannot say does not arrive.
      const text = JSON.stringify({ versions: { AccessPolicy: 1 }, bundle: { ...sent, digest } });
      taken = readPolicyEvent(JSON.parse(text)).bundle;
    } catch (error) {
      expect(error).toBeInstanceOf(ChaperoneError);
      return;
    }
    const views = new PolicyViews();
    for (const target of taken?.targets ?? []) {
      const view = views.get(taken!, target.target.uid);
      if (view === undefined) continue;
      for (const one of asked) decide(view.policy, one, { nowMs });
    }
  }),
  {
    briefly: 1.5,
    past: [
      {
        values: [[{ steps: [63, 0, 25], act: 'replace', value: [[]], name: '__proto__' }]],
        was: 'a field of a bundle that is of another kind made the compiler throw',
      },
      {
        values: [
          [
            { steps: [0], act: 'replace', value: {}, name: '__proto__' },
            { steps: [0], act: 'add', value: [], name: 'toString' },
          ],
        ],
        was: 'a bundleVersion that has no text made reading the bundle throw a TypeError',
      },
    ],
  },
);

/** What makes one of these statements refused or wait, when everything else would let it pass. */
const restricting: readonly { readonly rule: BundleRule; readonly hits: StatementAnalysis }[] = [
  { rule: rules[2]!, hits: asked[2]! },
  { rule: rules[2]!, hits: asked[3]! },
  { rule: rules[3]!, hits: asked[1]! },
  { rule: rules[4]!, hits: asked[5]! },
];
const garbled = fc.oneof(
  fc.record({ field: fc.constant('when'), value: fc.string({ maxLength: 20 }) }),
  fc.record({
    field: fc.constant('when'),
    value: fc.constantFrom('1 +', 'identity.nothing == 1', 'x', '[][0]', '1/0 == 1', '"a" in 1'),
  }),
  fc.record({
    field: fc.constantFrom('verbs', 'classes'),
    value: fc.array(fc.string({ maxLength: 8 }), { minLength: 1, maxLength: 2 }),
  }),
  fc.record({ field: fc.constantFrom('x', 'unless', '__proto__'), value: fc.jsonValue() }),
  fc.record({
    field: fc.constant('resources'),
    value: fc.constantFrom(['a..b'], ['**.x'], [''], ['"'], ['a"b'], ['"a"b'], ['.'], []),
  }),
);

fuzz(
  'policy: a Deny or RequireApproval that is not understood in part holds all the same',
  fc.property(
    fc.constantFrom(...restricting),
    garbled,
    ({ rule: source, hits }, { field, value }) => {
      const known = new Set(['Drop', 'Delete', 'Read', 'Set']);
      const beside = (value as readonly string[] | undefined)?.some?.((one) => known.has(one));
      if (beside === true) return;
      // An expression that is understood, and false, is no fault.
      if (field === 'when' && understood(value as string)) return;
      const more = Object.fromEntries([...Object.entries(source), [field, value]]);
      const sent = {
        ...whole,
        targets: [{ ...whole.targets[0]!, rules: [rules[0]!, rules[1]!, more] }],
      } as unknown as PolicyBundle;
      const event = { versions: {}, bundle: { ...sent, digest: bundleDigest(sent) } };
      const taken = readPolicyEvent(JSON.parse(JSON.stringify(event))).bundle!;
      const policy = compileTarget(taken.targets[0]!, taken.identity);
      expect(decide(policy, hits, { nowMs }).decision.verdict).not.toBe('Allow');
    },
  ),
  { briefly: 1 },
);

function understood(when: string): boolean {
  const policy = compileTarget(
    { ...bundle([rule('r', { classes: ['Read'], when })]), masks: [] },
    identity(),
  );
  return policy.hasAccess;
}

fuzz(
  'policy: an Allow with something unknown in it never allows',
  fc.property(
    fc.constantFrom('unless', 'x', 'onlyOnMondays', '__proto__', 'constructor'),
    fc.constantFrom(undefined, 'columns', 'limits'),
    fc.jsonValue(),
    fc.constantFrom(...asked),
    (field, within, value, one) => {
      const base = { onExceed: 'Deny', scope: 'Pod' };
      const unknown = [field, value] as const;
      const narrowed = Object.fromEntries([
        ...Object.entries(rules[0]!),
        within === undefined
          ? unknown
          : [
              within,
              Object.fromEntries([...Object.entries(within === 'limits' ? base : {}), unknown]),
            ],
      ]);
      const sent = {
        ...whole,
        targets: [{ ...whole.targets[0]!, rules: [narrowed] }],
      } as unknown as PolicyBundle;
      const event = { versions: {}, bundle: { ...sent, digest: bundleDigest(sent) } };
      const taken = readPolicyEvent(JSON.parse(JSON.stringify(event))).bundle!;
      const policy = compileTarget(taken.targets[0]!, taken.identity);
      expect(decide(policy, one, { nowMs }).decision.verdict).toBe('Deny');
    },
  ),
  { briefly: 0.5 },
);

const identityObject = stored('MachineIdentity', 'pay/report', { groups: ['reporting'] });
const targetObject = stored('Target', 'data/t', { allowedNamespaces: { from: 'All' } });
const documents: readonly Stored[] = [
  stored('AccessPolicy', 'data/p', {
    rules: [
      { name: 'a', action: 'Allow', classes: ['Read'], resources: ['**'] },
      { name: 'd', action: 'Deny', verbs: ['Drop'], resources: ['**'], when: 'true' },
    ],
    session: { recording: 'Statements', idleTimeout: '10m' },
  }),
  stored('MaskingRule', 'data/m', {
    exemptions: [
      {
        identities: [{ namespace: 'pay', name: 'report' }],
        reason: 'r',
        expiresAt: '2026-02-01T00:00:00Z',
      },
    ],
  }),
  targetObject,
  identityObject,
];

fuzz(
  'policy: a resource is valid or told to be wrong, and what is valid makes a bundle that decides',
  fc.property(fc.constantFrom(...documents), changes, (document, list) => {
    const { uid, generation, resourceVersion, creationTimestamp, ...metadata } = document.metadata;
    const input = changed({ ...document, metadata }, list);
    const { object, problems } = validate(input, nowMs);
    if (object === undefined) {
      expect(problems.length).toBeGreaterThan(0);
      return;
    }
    const meta = { uid, generation, resourceVersion, creationTimestamp, ...object.metadata };
    const made = { ...object, metadata: meta } as unknown as Stored;
    const isIdentity = made.kind === 'MachineIdentity';
    const who = (isIdentity ? made : identityObject) as Stored<'MachineIdentity'>;
    const others = isIdentity ? [targetObject] : [identityObject, targetObject];
    const sent = bundleFor(who, snapshotOf(...others, made), Buffer.alloc(32, 1), undefined);
    const event = { versions: {}, bundle: sent };
    const taken = readPolicyEvent(JSON.parse(JSON.stringify(event))).bundle!;
    for (const target of taken.targets) {
      const policy = compileTarget(target, taken.identity);
      for (const one of asked) decide(policy, one, { nowMs });
    }
  }),
  { briefly: 1.5 },
);
