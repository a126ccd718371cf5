import { describe, expect, test } from '@jest/globals';
import { namedOnlyVerbs, type Operation, type Verb } from '../sql/operation.ts';
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
} from '../testing/policy-fixtures.ts';
import { compileTarget, type TargetPolicy } from './compile.ts';
import { decide, isPermit, observedPermit } from './decide.ts';
import type { BundleRule, Permit } from './types.ts';

const policyOf = (...rules: BundleRule[]): TargetPolicy => compileTarget(bundle(rules), identity());

/** `Allow`, `RequireApproval`, or the reason of the refusal. */
function verdict(policy: TargetPolicy, ...operations: Operation[]): string {
  const { decision } = decide(policy, statement(operations), { nowMs });
  return decision.verdict === 'Deny' ? decision.reason : decision.verdict;
}

const select = operation('Select', 'shop.public.orders');
const remove = operation('Delete', 'shop.public.orders');
const read = rule('read', { classes: ['Read'] });

describe('precedence', () => {
  test('what no rule allows is refused', () => {
    expect(verdict(policyOf(), select)).toBe('NoPolicy');
    expect(verdict(policyOf(read), select)).toBe('Allow');
    expect(verdict(policyOf(read), remove)).toBe('DefaultDeny');
    expect(verdict(policyOf(read), operation('Select', 'other.public.orders'))).toBe('DefaultDeny');
  });

  test('Deny beats RequireApproval beats Allow, in any order of the rules', () => {
    const deny = rule('deny', { action: 'Deny', verbs: ['Select'] });
    const ask = rule('ask', { action: 'RequireApproval', verbs: ['Select'] });
    for (const rules of [
      [deny, ask, read],
      [read, ask, deny],
      [ask, deny, read],
    ]) {
      expect(verdict(policyOf(...rules), select)).toBe('DeniedByRule');
    }
    expect(verdict(policyOf(read, ask), select)).toBe('RequireApproval');
    expect(verdict(policyOf(ask, read), select)).toBe('RequireApproval');
  });

  test('each operation must be allowed, and the worst outcome holds', () => {
    const ask = rule('ask', { action: 'RequireApproval', verbs: ['Delete'] });
    expect(verdict(policyOf(read, ask), select, remove)).toBe('RequireApproval');
    expect(verdict(policyOf(read), select, remove)).toBe('DefaultDeny');
    expect(verdict(policyOf(read, ask), remove, operation('Insert', 'shop.public.orders'))).toBe(
      'DefaultDeny',
    );
  });

  test('a wildcard verb or class covers all but what must be named', () => {
    for (const wildcard of [{ verbs: ['*'] }, { classes: ['*'] }]) {
      const policy = policyOf(rule('all', wildcard));
      expect(verdict(policy, select, remove, operation('Drop', 'shop.public.orders'))).toBe(
        'Allow',
      );
      for (const verb of namedOnlyVerbs) {
        expect(verdict(policy, operation(verb, 'shop'))).toMatch(/Unknown|DefaultDeny/);
      }
    }
  });
});

describe('verbs that must be named', () => {
  test.each([...namedOnlyVerbs])('%s', (verb: Verb) => {
    for (const reach of ['Named', 'Beneath'] as const) {
      const blind = operation(verb, 'shop.public.f', { reach });
      const everyClass = rule('classes', {
        classes: [
          'Read',
          'Write',
          'Schema',
          'Privilege',
          'Session',
          'Procedure',
          'Export',
          'Admin',
        ],
      });
      expect(verdict(policyOf(everyClass), blind)).toMatch(/Unknown|DefaultDeny/);
      const named = rule('named', { verbs: [verb] });
      expect(verdict(policyOf(named), blind)).toBe('Allow');
      const denied = rule('denied', { action: 'Deny', classes: [blind.class] });
      expect(verdict(policyOf(named, denied), blind)).toBe('DeniedByRule');
      const asked = rule('asked', { action: 'RequireApproval', classes: [blind.class] });
      expect(verdict(policyOf(everyClass, asked), blind)).toMatch(/Unknown|DefaultDeny/);
      expect(verdict(policyOf(named, asked), blind)).toBe('RequireApproval');
      const askedByName = rule('asked', { action: 'RequireApproval', verbs: [verb] });
      expect(verdict(policyOf(askedByName), blind)).toBe('RequireApproval');
    }
  });
});

describe('reach', () => {
  const beneath = operation('Select', 'shop.private.salaries', { reach: 'Beneath' });
  test('Allow is about what is named, Deny and RequireApproval about what is beneath too', () => {
    const named = rule('named', { verbs: ['Select'], resources: ['shop.public.orders'] });
    expect(verdict(policyOf(named), select, beneath)).toBe('Allow');
    const deny = rule('deny', { action: 'Deny', verbs: ['Select'], resources: ['shop.private.*'] });
    expect(verdict(policyOf(named, deny), select, beneath)).toBe('DeniedByRule');
    const ask = rule('ask', {
      action: 'RequireApproval',
      verbs: ['Select'],
      resources: ['shop.private.*'],
    });
    expect(verdict(policyOf(named, ask), select, beneath)).toBe('RequireApproval');
  });
});

describe('what comes with any access', () => {
  const catalog = operation('Select', 'shop.pg_catalog.pg_class', { class: 'Catalog' });
  test('catalogs, and statements without operations', () => {
    expect(verdict(policyOf(read), catalog)).toBe('Allow');
    expect(verdict(policyOf(read))).toBe('Allow');
    expect(verdict(policyOf(), catalog)).toBe('NoPolicy');
    expect(verdict(policyOf())).toBe('NoPolicy');
    expect(verdict(policyOf({ ...read, mode: 'DryRun' }))).toBe('NoPolicy');
  });

  test('a Deny has to name the class, or the schema', () => {
    const deny = (more: Partial<BundleRule>) =>
      policyOf(read, rule('deny', { action: 'Deny', ...more }));
    expect(verdict(deny({ classes: ['Catalog'] }), catalog)).toBe('DeniedByRule');
    expect(verdict(deny({ verbs: ['Select'], resources: ['shop.**'] }), catalog)).toBe('Allow');
    expect(verdict(deny({ verbs: ['Select'], resources: ['shop.pg_catalog.*'] }), catalog)).toBe(
      'DeniedByRule',
    );
  });
});

describe('columns', () => {
  const orders = (...columns: string[]) => operation('Select', 'shop.public.orders', { columns });
  const except = rule('except', {
    classes: ['Read', 'Write'],
    columns: { except: ['note', 'secret_*'] },
  });
  const only = rule('only', { classes: ['Read'], columns: { only: ['id', 'note'] } });

  test('a column that no matching rule allows refuses the statement and is named', () => {
    expect(verdict(policyOf(except), orders('id', 'total'))).toBe('Allow');
    expect(verdict(policyOf(except), orders('id', 'note'))).toBe('ColumnNotAllowed');
    expect(verdict(policyOf(except), orders('secret_key'))).toBe('ColumnNotAllowed');
    expect(verdict(policyOf(only), orders('id', 'total'))).toBe('ColumnNotAllowed');
    expect(verdict(policyOf(only), orders())).toBe('Allow');
    const { decision } = decide(policyOf(except), statement([orders('id', 'note')]), { nowMs });
    expect(decision).toMatchObject({ message: expect.stringContaining('column note') });
  });

  test('rules add up', () => {
    expect(verdict(policyOf(except, only), orders('id', 'note', 'total'))).toBe('Allow');
    expect(verdict(policyOf(except, read), orders('note'))).toBe('Allow');
  });

  test('an operation without columns is matched as ever', () => {
    expect(verdict(policyOf(except), remove)).toBe('Allow');
  });

  test('a Deny with columns holds when one of them is touched, or none is known', () => {
    const deny = rule('deny', {
      action: 'Deny',
      classes: ['Read', 'Write'],
      columns: { only: ['note'] },
    });
    const all = rule('all', { classes: ['Read', 'Write'] });
    expect(verdict(policyOf(all, deny), orders('id'))).toBe('Allow');
    expect(verdict(policyOf(all, deny), orders('id', 'note'))).toBe('DeniedByRule');
    expect(verdict(policyOf(all, deny), remove)).toBe('DeniedByRule');
  });
});

describe('conditions', () => {
  test.each([
    ['statement.hasWhere', 'DefaultDeny'],
    ['!statement.hasWhere', 'Allow'],
    ['identity.claims.none == "x"', 'DefaultDeny'],
    ['identity.groups[7] == "x"', 'DefaultDeny'],
    ['this is no expression', 'NoPolicy'],
    ['operation.verb', 'NoPolicy'],
  ])('an Allow when %s: %s', (when, expected) => {
    expect(verdict(policyOf(rule('when', { classes: ['Read'], when })), select)).toBe(expected);
  });

  test.each([
    ['statement.hasWhere', 'Allow'],
    ['!statement.hasWhere', 'DeniedByRule'],
    ['identity.claims.none == "x"', 'DeniedByRule'],
    ['identity.groups[7] == "x"', 'DeniedByRule'],
    ['this is no expression', 'DeniedByRule'],
    ['operation.verb', 'DeniedByRule'],
  ])('a Deny when %s: %s', (when, expected) => {
    const deny = rule('deny', { action: 'Deny', classes: ['Read'], when });
    expect(verdict(policyOf(read, deny), select)).toBe(expected);
  });
});

describe('rules that cannot be read in full', () => {
  test('an Allow is dropped', () => {
    expect(verdict(policyOf({ ...read, invalid: 'unknown field' }), select)).toBe('NoPolicy');
    expect(verdict(policyOf(rule('bad', { classes: ['Read'], resources: ['a..b'] })), select)).toBe(
      'NoPolicy',
    );
  });

  test.each<[string, Partial<BundleRule>]>([
    [
      'its condition and columns are left out',
      { classes: ['Read'], when: 'false', columns: { only: ['x'] }, invalid: 'unknown field' },
    ],
    ['an unknown verb may be any', { verbs: ['Vacuum'] }],
    ['an unknown class may be any', { classes: ['Telepathy'] }],
    ['a resource that is no pattern may be any', { classes: ['Read'], resources: ['a..b'] }],
    ['no verbs at all', {}],
  ])('a Deny holds for all it might match: %s', (_, more) => {
    const deny = rule('deny', { action: 'Deny', ...more });
    const orders = { ...select, columns: ['id'] };
    expect(verdict(policyOf(read, deny), orders)).toBe('DeniedByRule');
    expect(verdict(policyOf(read, { ...deny, action: 'RequireApproval' }), orders)).toBe(
      'RequireApproval',
    );
  });
});

test('an action that this version does not know denies', () => {
  const strange = rule('strange', { action: 'Escalate' as 'Deny', classes: ['Read'] });
  expect(verdict(policyOf(read, strange), select)).toBe('DeniedByRule');
});

describe('DryRun', () => {
  const dry = { mode: 'DryRun' } as const;
  test('is recorded and not enforced', () => {
    const deny = rule('deny', { action: 'Deny', classes: ['Read'], ...dry });
    const { decision } = decide(policyOf(read, deny), statement([select]), { nowMs });
    expect(decision.verdict).toBe('Allow');
    expect(decision.wouldDeny).toEqual([deny.ref]);
  });
  test('does not allow', () => {
    expect(verdict(policyOf({ ...read, ...dry }), select)).toBe('NoPolicy');
  });
  test('is recorded beside a refusal too', () => {
    const ask = rule('ask', { action: 'RequireApproval', verbs: ['Delete'], ...dry });
    const { decision } = decide(policyOf(read, ask), statement([remove]), { nowMs });
    expect(decision).toMatchObject({ verdict: 'Deny', wouldDeny: [ask.ref] });
  });
});

describe('the identity', () => {
  const policy = (more: Parameters<typeof identity>[0]) =>
    compileTarget(bundle([read]), identity(more));
  test('suspended or expired, it may do nothing', () => {
    expect(verdict(policy({ suspended: true }), select)).toBe('Suspended');
    expect(verdict(policy({ suspended: true }))).toBe('Suspended');
    expect(verdict(policy({ expiresAt: '2026-01-15T11:59:59Z' }), select)).toBe('Expired');
    expect(verdict(policy({ expiresAt: '2026-01-15T12:00:00Z' }))).toBe('Expired');
    expect(verdict(policy({ expiresAt: 'soon' }), select)).toBe('Expired');
    expect(verdict(policy({ expiresAt: '2026-01-15T12:00:01Z' }), select)).toBe('Allow');
  });
});

describe('how long a decision holds', () => {
  const until = (policy: TargetPolicy): number =>
    decide(policy, statement([select]), { nowMs }).validUntilMs;

  test('until the snapshot changes, where nothing depends on time', () => {
    expect(until(policyOf(read))).toBe(Number.POSITIVE_INFINITY);
    expect(until(policyOf({ ...read, when: 'operation.verb == "Select"' }))).toBe(
      Number.POSITIVE_INFINITY,
    );
  });

  test('not at all, where a condition looked at the request', () => {
    for (const when of [
      'request.time > timestamp("2020-01-01T00:00:00Z")',
      'request.ticket == ""',
      'request.sourceIP == ""',
    ]) {
      expect(until(policyOf({ ...read, when }))).toBe(0);
    }
    const elsewhere = rule('elsewhere', {
      classes: ['Write'],
      when: 'request.ticket == ""',
    });
    expect(until(policyOf(read, elsewhere))).toBe(Number.POSITIVE_INFINITY);
  });

  test('until the identity or an exemption expires', () => {
    const exempt = mask('m', {
      columns: ['shop.**'],
      exemptions: [{ reason: 'r', expiresAt: '2026-01-16T00:00:00Z' }],
    });
    const expiring = identity({ expiresAt: '2026-01-20T00:00:00Z' });
    expect(until(compileTarget(bundle([read]), expiring))).toBe(Date.UTC(2026, 0, 20));
    expect(until(compileTarget(bundle([read], [exempt]), expiring))).toBe(Date.UTC(2026, 0, 16));
  });
});

describe('obligations', () => {
  test('every matching Allow with limits limits, whatever the order', () => {
    const limits = { rowsPerStatement: 10, onExceed: 'Deny', scope: 'Pod' } as const;
    const limited = rule('limited', { classes: ['Read'], limits });
    for (const rules of [
      [read, limited],
      [limited, read],
    ]) {
      const { decision } = decide(policyOf(...rules), statement([select]), { nowMs });
      expect((decision as Permit).limits).toEqual([{ rule: limited.ref, limits }]);
    }
  });

  test('rules are listed once', () => {
    const { decision } = decide(policyOf(read), statement([select, select]), { nowMs });
    expect((decision as Permit).rules).toEqual([read.ref]);
  });

  test('a mask that cannot be kept refuses, before a person is asked', () => {
    const ask = rule('ask', { action: 'RequireApproval', classes: ['Read'] });
    const policy = compileTarget(
      bundle([read, ask], [mask('m', { columns: ['shop.public.orders.card'] })]),
      identity(),
    );
    const card = column('shop.public.orders.card');
    const derived = statement([select], { outputs: [output('x', [], [card])] });
    expect(decide(policy, derived, { nowMs }).decision).toMatchObject({
      verdict: 'Deny',
      reason: 'Masking',
    });
  });

  test('what is prepared or declared is decided with it', () => {
    const inner = statement([remove]);
    for (const effects of [
      { prepare: { name: 's', inner } },
      { declare: { name: 'c', hold: false, inner } },
    ]) {
      const { decision } = decide(policyOf(read), statement([], { effects }), { nowMs });
      expect(decision).toMatchObject({ verdict: 'Deny', reason: 'DefaultDeny' });
    }
  });
});

describe('permits', () => {
  test('an object that looks like one is none', () => {
    const { decision } = decide(policyOf(read), statement([select]), { nowMs });
    expect(isPermit(decision)).toBe(true);
    expect(isPermit({ ...decision } as Permit)).toBe(false);
    expect(isPermit(Object.create(decision) as Permit)).toBe(false);
  });

  test('under Observe a statement goes out without obligations, and the refusal is told', () => {
    const deny = rule('deny', { action: 'Deny', classes: ['Read'] });
    const observed = observedPermit(decide(policyOf(deny), statement([select]), { nowMs }));
    expect(isPermit(observed)).toBe(true);
    expect(observed).toMatchObject({ limits: [], wouldDeny: [deny.ref] });
  });
});

describe('messages', () => {
  test('name the operation, the policy and the rule, in one printable line', () => {
    const deny = rule('deny-all', { action: 'Deny', classes: ['Read'] });
    const hostile = operation('Select', 'shop.public.x');
    const nasty = { ...hostile, resource: ['shop', 'public', 'a\nFATAL: \u001b[31m\u202e'] };
    const { decision } = decide(policyOf(deny), statement([nasty]), { nowMs });
    const { message } = decision as { message: string };
    expect(message).toContain('Select on shop.public.');
    expect(message).toContain('rule deny-all of AccessPolicy data/reports');
    expect(message).not.toMatch(/[\u0000-\u001f\u202e]/);
  });

  describe('the hint names the rule that comes nearest', () => {
    const hint = (rules: readonly BundleRule[], refused: Operation): string => {
      const { decision } = decide(policyOf(...rules), statement([refused]), { nowMs });
      return (decision as { hint: string }).hint;
    };
    const bounded = rule('bounded', { verbs: ['Delete'], when: '  statement.hasWhere\n && true' });
    const orders = rule('orders', { classes: ['Read'], resources: ['shop.public.orders'] });
    const unmet = (rest: string): string =>
      `Rule bounded of AccessPolicy data/reports would allow it, but ${rest} is not met: meet it, or ask those who keep that policy.`;

    test('a rule whose condition is not met, and the condition', () => {
      expect(hint([read, bounded], remove)).toBe(
        unmet('its condition (when: statement.hasWhere && true)'),
      );
    });

    test.each([
      'identity.name == "other"',
      'request.sourceIP == "10.0.0.1"',
      'request.ticket == "x"',
    ])('not the condition where it is about the caller: %s', (when) => {
      expect(hint([read, { ...bounded, when }], remove)).toBe(unmet('its condition on the caller'));
    });

    test('not what is commented in it', () => {
      const when = 'statement.hasWhere // alice may without\n && true';
      expect(hint([read, { ...bounded, when }], remove)).toBe(unmet('its condition'));
    });

    test('for verbs that must be named, and for columns', () => {
      const blind = operation('Unknown', 'shop.public.f');
      const named = { ...bounded, verbs: ['Unknown'], when: 'statement.hasWhere' };
      expect(hint([read, named], blind)).toBe(
        `Write it in a way that can be analyzed. ${unmet('its condition (when: statement.hasWhere)')}`,
      );
      const some = rule('some', { classes: ['Read'], columns: { only: ['id'] } });
      const rest = { ...bounded, verbs: ['Select'], when: 'statement.hasWhere' };
      expect(hint([some, rest], { ...select, columns: ['id', 'note'] })).toBe(
        `Name the columns that are needed, without note. ${unmet('its condition (when: statement.hasWhere)')}`,
      );
    });

    test('no rule whose columns would refuse it all the same', () => {
      const narrow = { ...bounded, verbs: ['Select'], columns: { only: ['id'] } };
      expect(hint([narrow], { ...select, columns: ['note'] })).not.toContain('bounded');
    });

    const cover = (what: string): string =>
      `If it is needed, have an Allow rule in an AccessPolicy of namespace data cover it: ${what}.`;

    test('a rule for other verbs of the resource', () => {
      expect(hint([orders], remove)).toBe(
        `The nearest, rule orders of AccessPolicy data/reports, allows classes: [Read] there. ${cover('classes: [Write], resources: [shop.public.orders]')}`,
      );
      const blind = operation('Do', 'shop');
      const every = rule('every', { verbs: ['*'] });
      expect(hint([every], blind)).toBe(
        `The nearest, rule every of AccessPolicy data/reports, allows verbs: [*] there. ${cover('verbs: [Do], resources: [shop]')}`,
      );
    });

    test('a rule for the same verb in the same schema', () => {
      const write = rule('write', { classes: ['Write'], resources: ['shop.other.*'] });
      expect(hint([write, orders], operation('Select', 'shop.public.customers'))).toBe(
        `The nearest, rule orders of AccessPolicy data/reports, allows classes: [Read] on resources: [shop.public.orders]. ${cover('classes: [Read], resources: [shop.public.customers]')}`,
      );
    });

    test('none that has little to do with it, restricts, or is not enforced', () => {
      const far = [
        orders,
        rule('elsewhere', { verbs: ['Delete'], resources: ['shop.archive.orders'] }),
        rule('dry', { classes: ['Write'], mode: 'DryRun', when: 'statement.hasWhere' }),
        rule('deny', { action: 'Deny', classes: ['Schema'] }),
      ];
      expect(hint(far, operation('Insert', 'shop.public.customers'))).toBe(
        cover('classes: [Write], resources: [shop.public.customers]'),
      );
    });
  });

  test('every refusal says what to do', () => {
    for (const policy of [policyOf(), policyOf(read)]) {
      const { decision } = decide(policy, statement([remove]), { nowMs });
      expect((decision as { hint: string }).hint.length).toBeGreaterThan(20);
    }
  });
});

test('conditions that take too long together never allow, and always deny', () => {
  const relations = Array.from({ length: 50 }, (_, index) => `shop.public.t${index}`);
  const when = 'statement.relations.exists(r, re2(r, "^none"))';
  const slow = Array.from({ length: 64 }, (_, index) =>
    rule(`slow${index}`, { action: 'Deny', classes: ['Read'], when }),
  );
  const facts = { hasWhere: false, relations, functions: [] };
  const { decision } = decide(policyOf(read, ...slow), statement([select], { facts }), { nowMs });
  expect(decision).toMatchObject({ reason: 'DeniedByRule' });
  const few = decide(policyOf(read, ...slow.slice(0, 4)), statement([select], { facts }), {
    nowMs,
  });
  expect(few.decision.verdict).toBe('Allow');
});

test('the rules that do not fit cost nothing to speak of', () => {
  const many = Array.from({ length: 10_000 }, (_, index) =>
    rule(`r${index}`, { classes: ['Read'], resources: [`shop.public.t${index}`] }),
  );
  const policy = policyOf(...many);
  expect(
    policy.allow.find(operation('Select', 'shop.public.t77')).map(({ ref }) => ref.rule),
  ).toEqual(['r77']);
  expect(verdict(policy, operation('Select', 'shop.public.t9999'))).toBe('Allow');
});
