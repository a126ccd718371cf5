import { describe, expect, test } from '@jest/globals';
import type { BundleMask, Refusal } from '../policy/types.ts';
import type { ColumnUse, Operation, StatementAnalysis } from '../sql/operation.ts';
import { column, mask, nowMs, operation, output, statement } from '../testing/policy-fixtures.ts';
import { compileMaskSet } from './mask-set.ts';
import { planMasks } from './plan.ts';
import { describePlan } from './planned-mask.ts';
import { type MaskPlan, NULL_FIELD } from './types.ts';

const ssn = column('shop.public.customers.ssn');
const email = column('shop.public.customers.email');
const id = column('shop.public.customers.id', 23);
const read = operation('Select', 'shop.public.customers');
const exemption = { reason: 'r', ticket: 'SEC-1', expiresAt: '2026-01-16T00:00:00Z' };
const expired = { ...exemption, expiresAt: '2026-01-15T11:59:59Z' };

const onSsn = mask('ssn', { columns: ['shop.public.customers.ssn'] });

function plan(
  masks: readonly BundleMask[],
  more: Partial<StatementAnalysis>,
  operations: readonly Operation[] = [read],
): MaskPlan | Refusal {
  return planMasks(compileMaskSet(masks), statement(operations, more), nowMs);
}

/** For each output: what its mask does, or null; or the reason of the refusal. */
function outcome(result: MaskPlan | Refusal): string | (string | null)[] {
  if ('verdict' in result) return result.reason;
  return result.columns.map((planned) => (planned === null ? null : describePlan(planned)));
}

describe('outputs', () => {
  test('a protected value is masked, whatever it is called; others pass', () => {
    const outputs = [output('x', [ssn]), output('id', [id])];
    expect(outcome(plan([onSsn], { outputs }))).toEqual(['Redact', null]);
    expect(outcome(plan([], { outputs }))).toEqual([null, null]);
    expect(outcome(plan([mask('all', { columns: ['*.*.*.s*'] })], { outputs }))).toEqual([
      'Redact',
      null,
    ]);
  });

  test('no two plans share their columns', () => {
    for (const rules of [[], [onSsn]]) {
      const one = plan(rules, {}) as MaskPlan;
      const other = plan(rules, {}) as MaskPlan;
      expect(one.columns).toEqual([]);
      expect(other.columns).not.toBe(one.columns);
    }
  });

  test('of two rules, or two sources, the stricter holds', () => {
    const partial = mask('a-partial', {
      columns: ['shop.public.customers.*'],
      transform: { type: 'Partial', keepLast: 4 },
    });
    const hash = mask('hash', {
      columns: ['shop.public.customers.email'],
      transform: { type: 'Hash' },
      key: Buffer.alloc(32, 1).toString('base64'),
    });
    const outputs = [output('s', [ssn]), output('e', [email]), output('either', [ssn, email])];
    for (const rules of [
      [partial, hash],
      [hash, partial],
    ]) {
      expect(outcome(plan(rules, { outputs }))).toEqual(['Partial', 'Hash', 'Hash']);
    }
  });

  test('what is computed from a protected column is refused, or NULL with BestEffort', () => {
    const outputs = [output('upper', [], [ssn], 25)];
    expect(outcome(plan([onSsn], { outputs }))).toBe('Masking');
    const lax = { ...onSsn, strictness: 'BestEffort' } as const;
    const planned = plan([lax], { outputs }) as MaskPlan;
    expect(outcome(planned)).toEqual(['Null']);
    const bound = planned.columns[0]!.bind(25, 0)!;
    expect(bound.write(Buffer.from('x'), 0, 1, Buffer.alloc(9), 0)).toBe(NULL_FIELD);
    expect(outcome(plan([lax, onSsn], { outputs }))).toBe('Masking');
    expect(outcome(plan([onSsn], { outputs: [output('mixed', [id], [ssn])] }))).toBe('Masking');
  });

  test('a type that cannot be masked gives no mask when Strict, NULL when BestEffort', () => {
    const unknownType = 99_999;
    const outputs = [output('s', [ssn])];
    const strict = plan([onSsn], { outputs }) as MaskPlan;
    expect(strict.columns[0]!.bind(unknownType, 1)).toBeUndefined();
    const lax = plan([{ ...onSsn, strictness: 'BestEffort' }], { outputs }) as MaskPlan;
    expect(lax.columns[0]!.bind(unknownType, 1)!.maxLength(9)).toBe(0);
  });

  test('a pattern that does not parse protects everything', () => {
    expect(
      outcome(plan([mask('bad', { columns: ['a..b'] })], { outputs: [output('id', [id])] })),
    ).toEqual(['Redact']);
  });
});

describe('exemptions', () => {
  const outputs = [output('x', [ssn])];
  test('let a value pass until they end, and are told', () => {
    const result = plan([{ ...onSsn, exemptions: [expired, exemption] }], { outputs }) as MaskPlan;
    expect(outcome(result)).toEqual([null]);
    expect(result.exemptionsUsed).toEqual([{ rule: onSsn.ref, ticket: 'SEC-1' }]);
  });
  test.each([expired, { ...exemption, expiresAt: 'never' }])('%j is none', (one) => {
    expect(outcome(plan([{ ...onSsn, exemptions: [one] }], { outputs }))).toEqual(['Redact']);
  });
  test('of one rule are none of another', () => {
    const other = mask('other', { columns: ['shop.**'], transform: { type: 'Null' } });
    const result = plan([{ ...onSsn, exemptions: [exemption] }, other], { outputs });
    expect(outcome(result)).toEqual(['Null']);
  });
  test('are not told where they were not needed', () => {
    const result = plan([{ ...onSsn, exemptions: [exemption] }], { outputs: [output('id', [id])] });
    expect((result as MaskPlan).exemptionsUsed).toEqual([]);
  });
});

describe('usage', () => {
  const use = (usage: ColumnUse['usage']) => ({ outputs: [], uses: [{ column: ssn, usage }] });
  test.each<[BundleMask['usage'], ColumnUse['usage'], boolean]>([
    ['None', 'Lookup', false],
    ['None', 'Any', false],
    ['None', 'Store', false],
    ['Lookup', 'Lookup', true],
    ['Lookup', 'Any', false],
    ['Lookup', 'Store', false],
    ['Any', 'Lookup', true],
    ['Any', 'Any', true],
    ['Any', 'Store', false],
  ])('%s lets %s pass: %s', (allowed, usage, passes) => {
    const result = plan([{ ...onSsn, usage: allowed }], use(usage));
    if (passes) {
      expect((result as MaskPlan).lookups).toEqual(usage === 'Lookup' ? [onSsn.ref] : []);
    } else {
      expect(result).toMatchObject({ reason: 'Usage', rule: onSsn.ref });
    }
    expect(plan([{ ...onSsn, usage: allowed, exemptions: [exemption] }], use(usage))).toMatchObject(
      {
        lookups: [],
      },
    );
  });
  test('the strictest of several rules decides', () => {
    const none = mask('none', { columns: ['shop.**'], usage: 'None' });
    expect(outcome(plan([onSsn, none], use('Lookup')))).toBe('Usage');
  });
});

describe('what cannot be seen through', () => {
  test.each(['Unknown', 'Do', 'Call', 'FunctionCall', 'Replication'] as const)('%s', (verb) => {
    const blind = [operation(verb, 'shop.public.f')];
    expect(outcome(plan([onSsn], {}, blind))).toBe('Masking');
    expect(outcome(plan([onSsn], {}, [operation(verb, 'other.public.f')]))).toEqual([]);
    const exempt = plan([{ ...onSsn, exemptions: [exemption] }], {}, blind) as MaskPlan;
    expect(outcome(exempt)).toEqual([]);
    expect(exempt.exemptionsUsed).toHaveLength(1);
  });
  test('code that is kept for later', () => {
    const keeping = { keepsCode: 'the code of a function is not analyzed' };
    const made = [operation('Create', 'shop.public.f')];
    expect(plan([onSsn], keeping, made)).toMatchObject({
      reason: 'Masking',
      rule: onSsn.ref,
      message: expect.stringContaining(keeping.keepsCode),
    });
    expect(outcome(plan([onSsn], {}, made))).toEqual([]);
    expect(outcome(plan([], keeping, made))).toEqual([]);
    expect(outcome(plan([onSsn], keeping, [operation('Create', 'other.public.f')]))).toEqual([]);
    const exempt = plan([{ ...onSsn, exemptions: [exemption] }], keeping, made) as MaskPlan;
    expect(exempt.exemptionsUsed).toHaveLength(1);
  });
});

describe('COPY', () => {
  const copy = (format: 'text' | 'csv' | 'binary', defaults = true) => ({
    outputs: [output('ssn', [ssn])],
    effects: { copy: { direction: 'Out', format, defaults } as const },
  });
  test.each<['text' | 'csv' | 'binary', boolean, boolean]>([
    ['text', true, true],
    ['csv', true, true],
    ['text', false, false],
    ['csv', false, false],
    ['binary', true, false],
  ])('%s with defaults %s: %s', (format, defaults, passes) => {
    expect(outcome(plan([onSsn], copy(format, defaults)))).toEqual(passes ? ['Redact'] : 'Masking');
    expect(outcome(plan([], copy(format, defaults)))).toEqual([null]);
  });
  test('whose columns are not known is refused while a mask is in force', () => {
    const { effects } = copy('text');
    const out = [operation('CopyOut', 'shop.public.customers')];
    expect(outcome(plan([onSsn], { effects }, out))).toBe('Masking');
  });
  test('detectors count as masks', () => {
    const scan = mask('scan', { detectors: ['PaymentCard'], resources: ['shop.**'] });
    expect(outcome(plan([scan], copy('binary')))).toBe('Masking');
  });
  test('to a file of the server is refused', () => {
    const file = [read, operation('ServerFile', 'shop')];
    expect(outcome(plan([onSsn], { outputs: [output('ssn', [ssn])] }, file))).toBe('Masking');
    expect(outcome(plan([onSsn], { outputs: [output('id', [id])] }, file))).toEqual([null]);
  });
});

describe('detectors', () => {
  const scan = mask('scan', {
    detectors: ['PaymentCard', 'Email'],
    resources: ['shop.public.**'],
    transform: { type: 'Partial', keepLast: 4 },
  });
  test('look at what is text and not masked already', () => {
    const note = column('shop.public.customers.note', 3802);
    const outputs = [
      output('ssn', [ssn]),
      output('note', [note]),
      output('id', [id]),
      output('count', [], [], 20),
      output('unknown', [], [], undefined),
    ];
    expect(outcome(plan([scan, onSsn], { outputs }))).toEqual([
      'Redact',
      'PaymentCard, Email: Partial',
      null,
      null,
      'PaymentCard, Email: Partial',
    ]);
  });
  test('look at statements that touch their resources only', () => {
    const outputs = [output('x', [], [], 25)];
    expect(outcome(plan([scan], { outputs }, [operation('Select', 'shop.other.t')]))).toEqual([
      null,
    ]);
    const beneath = [operation('Select', 'shop.public.t', { reach: 'Beneath' })];
    expect(outcome(plan([scan], { outputs }, beneath))).toEqual(['PaymentCard, Email: Partial']);
  });
  test('of a name that is not known let nothing pass', () => {
    const outputs = [output('x', [], [], 25)];
    expect(outcome(plan([{ ...scan, detectors: ['Telepathy'] }], { outputs }))).toBe('Masking');
    expect(outcome(plan([{ ...scan, detectors: ['Telepathy'] }], {}))).toEqual([]);
  });
  test('let a number pass whose type shows only later', () => {
    const outputs = [output('x', [], [], undefined)];
    const bound = (plan([scan], { outputs }) as MaskPlan).columns[0]!.bind(20, 1)!;
    const field = Buffer.from('4111111111111111');
    expect(bound.write(field, 0, 16, field, 0)).toBe(16);
    expect(bound.lastHit).toBe(false);
    expect(field.toString()).toBe('4111111111111111');
  });
});

describe('error texts', () => {
  const rebuilt = (
    more: Partial<StatementAnalysis>,
    operations: readonly Operation[] = [],
    masks: readonly BundleMask[] = [onSsn],
  ) => (plan(masks, more, operations) as MaskPlan).rebuildErrors;

  test('are rebuilt where a relation has a protected column, though it is not touched', () => {
    expect(rebuilt({}, [read])).toBe(true);
    expect(rebuilt({}, [operation('Update', 'shop.public.customers', { reach: 'Beneath' })])).toBe(
      true,
    );
    expect(rebuilt({}, [operation('Select', 'shop.public.orders')])).toBe(false);
    expect(rebuilt({}, [read], [])).toBe(false);
    expect(rebuilt({}, [read], [{ ...onSsn, exemptions: [exemption] }])).toBe(false);
    const scan = mask('scan', { detectors: ['Email'], resources: ['shop.public.orders'] });
    expect(rebuilt({}, [operation('Select', 'shop.public.orders')], [scan])).toBe(true);
  });
  test('are rebuilt where user code may run', () => {
    expect(rebuilt({ userCode: true }, [operation('Insert', 'shop.public.orders')])).toBe(true);
    expect(rebuilt({ userCode: true })).toBe(true);
  });
  test.each<[Partial<StatementAnalysis>, boolean]>([
    [{ kind: 'TransactionStmt', effects: { transaction: 'Commit' } }, true],
    [{ kind: 'TransactionStmt', effects: { transaction: 'TwoPhase' } }, true],
    [{ kind: 'TransactionStmt', effects: { transaction: 'Begin' } }, false],
    [{ kind: 'ConstraintsSetStmt' }, true],
    [{ kind: 'ExecuteStmt', effects: { execute: { name: 's' } } }, true],
    [{ kind: 'FetchStmt', effects: { fetch: { name: 'c', returnsRows: true } } }, true],
    [{ kind: 'SelectStmt' }, false],
    [{ kind: 'VariableSetStmt' }, false],
  ])('%j: %s', (more, expected) => {
    expect(rebuilt(more)).toBe(expected);
  });
});

test('what is prepared or declared is planned with it', () => {
  const inner = statement([read], { outputs: [output('x', [], [ssn])] });
  expect(outcome(plan([onSsn], { effects: { prepare: { name: 's', inner } } }, []))).toBe(
    'Masking',
  );
  const fine = statement([read], {
    outputs: [output('x', [ssn])],
    uses: [{ column: ssn, usage: 'Lookup' }],
  });
  const declared = plan(
    [onSsn],
    { effects: { declare: { name: 'c', hold: false, inner: fine } } },
    [],
  );
  expect(declared).toMatchObject({ columns: [], lookups: [onSsn.ref], rebuildErrors: true });
});
