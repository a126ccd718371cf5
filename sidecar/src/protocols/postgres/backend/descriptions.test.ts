import { compileMaskSet } from '@chaperone/core/masking/mask-set.ts';
import type { BundleMask } from '@chaperone/core/policy/types.ts';
import { expect, test } from '@jest/globals';
import type { ContextKey } from '../frontend/decision-context.ts';
import { rowDescription } from '../messages/backend-writer.ts';
import { ProtocolError } from '../messages/protocol-error.ts';
import { describe } from './descriptions.ts';

const exemptUntil = '2030-01-01T00:00:00Z';
const before = Date.parse(exemptUntil) - 1;

const mask = (exempt: boolean) =>
  ({
    ref: { namespace: 'shop', object: 'cards', rule: 'cards' },
    columns: ['shop.public.accounts.card'],
    resources: [],
    detectors: [],
    transform: { type: 'Redact' },
    exemptions: exempt ? [{ expiresAt: exemptUntil }] : [],
  }) as unknown as BundleMask;

/** What a description is held against: table 7 has one column, by that name. */
function key(column: string, exempt = false): ContextKey {
  const columns = [{ name: column, attnum: 1, typeOid: 25 }];
  const relation = { oid: 7, schema: 'public', name: 'accounts', columns };
  return {
    policy: {
      maskSet: compileMaskSet([mask(exempt)]),
      bundle: { target: { enforcement: 'Enforce' } },
    },
    catalog: { database: 'shop', relationByOid: () => relation },
  } as unknown as ContextKey;
}

/** Of one column, which comes from attribute 1 of table 7. */
const description = (name: string): Buffer =>
  rowDescription([
    {
      name,
      tableOid: 7,
      attribute: 1,
      typeOid: 25,
      typeLength: -1,
      typeModifier: -1,
      format: 0,
    },
  ]);

test('the same bytes are looked into again when what they are held against is another', () => {
  const planned = [null];
  const bytes = description('c');
  const look = (against: ContextKey) =>
    describe(planned, against, bytes, 0, bytes.length, before).leak?.rule.object;
  const harmless = key('note');
  expect(look(harmless)).toBeUndefined();
  expect(look(key('card'))).toBe('cards');
  expect(look(harmless)).toBeUndefined();
});

test('other bytes are read, and a broken description is never taken for one that was right', () => {
  const planned = [null];
  const same = key('note');
  const first = description('c');
  const second = description('d');
  expect(describe(planned, same, first, 0, first.length, before).columns[0]!.name).toBe('c');
  expect(describe(planned, same, second, 0, second.length, before).columns[0]!.name).toBe('d');
  const longer = Buffer.concat([first, Buffer.from([0])]);
  expect(() => describe(planned, same, longer, 0, longer.length, before)).toThrow(ProtocolError);
});

test('an exemption that has ended is not remembered', () => {
  const planned = [null];
  const exempt = key('card', true);
  const bytes = description('c');
  const leakAt = (nowMs: number) => describe(planned, exempt, bytes, 0, bytes.length, nowMs).leak;
  expect(leakAt(before)).toBeUndefined();
  expect(leakAt(before)).toBeUndefined();
  expect(leakAt(before + 1)?.rule.object).toBe('cards');
});
