/**
 * What shares a place in the cache has one decision: pairs of texts that differ in literals, comments and
 * spaces are decided each by itself, and the second once more from what the cache kept of the first. Their parse
 * trees are the same but for plain constants, so that not all hangs on what decisions are made of today.
 */
import { compileTarget } from '@chaperone/core/policy/compile.ts';
import { normalize } from '@chaperone/core/sql/postgres/normalize.ts';
import { loadParser } from '@chaperone/core/sql/postgres/parser.ts';
import { shop } from '@chaperone/core/sql/postgres/test-shop.ts';
import { bundle, identity, mask, nowMs, rule } from '@chaperone/core/testing/policy-fixtures.ts';
import { DecisionContext } from '@chaperone/sidecar/protocols/postgres/frontend/decision-context.ts';
import { afterAll, beforeAll, expect } from '@jest/globals';
import fc from 'fast-check';
import { fuzz } from './support/fuzz.ts';
import { shapeOf } from './support/shapes.ts';
import { spelledTwice } from './support/spellings.ts';

beforeAll(() => loadParser());

const policy = compileTarget(
  bundle(
    [
      rule('read', { classes: ['Read', 'Session'] }),
      rule('no-log', { action: 'Deny', classes: ['Write'], resources: ['shop.public.log'] }),
      rule('write', { classes: ['Write'], when: 'statement.hasWhere' }),
      rule('named', { verbs: ['Unknown'], resources: ['**'] }),
      rule('ask', { action: 'RequireApproval', verbs: ['Delete'], resources: ['shop.public.*'] }),
    ],
    [
      mask('ssn', { columns: ['shop.public.*.ssn'] }),
      mask('cards', { detectors: ['PaymentCard'], resources: ['shop.public.orders'] }),
    ],
  ),
  identity(),
);

function context(): DecisionContext {
  const { catalog, database, currentUser, searchPath } = shop;
  return new DecisionContext(
    { policy, policyDigest: 'digest', catalog, database, currentUser, searchPath },
    (normalForm) => normalForm,
  );
}

/** All that is made of a text: operations, outputs, uses, effects, and the decision with masks and limits. */
function made(within: DecisionContext, text: string): unknown {
  const analyzed = within.analyze(text);
  const decisions = analyzed.analysis.statements.map((statement) => {
    const { event, permit, refusal, limits, unmaskable } = within.decide(
      statement,
      analyzed.fingerprint,
      'Simple',
      { nowMs },
    );
    return JSON.stringify([event, permit?.masks, refusal, limits, unmaskable]);
  });
  return { ...analyzed, decisions };
}

let alike = 0;

fuzz(
  'normalizer: texts that share a key share the decision',
  fc.property(spelledTwice, ([one, other]) => {
    const [first, second] = [normalize(one), normalize(other)];
    if (!first.safe || !second.safe || first.normalForm !== second.normalForm) return;
    const alone = made(context(), other) as { analysis: { failure?: unknown } };
    // Of texts that do not parse nothing is kept under the normal form.
    if (alone.analysis.failure !== undefined) return;
    const shared = context();
    made(shared, one);
    if (shared.analyze(one).analysis.failure !== undefined) return;
    expect(shapeOf(other)).toEqual(shapeOf(one));
    const misses = shared.misses;
    expect(made(shared, other)).toEqual(alone);
    expect(shared.misses).toBe(misses);
    if (one !== other) alike += 1;
  }),
  { briefly: 3, atLeast: 3000 },
);

// Else the property would show nothing.
afterAll(() => expect(alike).toBeGreaterThan(20));
