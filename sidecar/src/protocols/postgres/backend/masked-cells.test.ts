import type { RuleRef } from '@chaperone/core/policy/types.ts';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { MaskedCells } from './masked-cells.ts';

const rules = ['cards', 'mails', 'ibans'].map(
  (object): RuleRef => ({
    kind: 'MaskingRule',
    namespace: 'data',
    object,
    rule: object,
    generation: 1,
  }),
);

test('each value counts for the rule that masked it, whatever masks its column before and after', () => {
  const hits = fc.array(fc.record({ column: fc.nat(2), rule: fc.nat(2), take: fc.boolean() }));
  fc.assert(
    fc.property(hits, (list) => {
      const cells = new MaskedCells(3);
      const expected = new Map<RuleRef, number>();
      const counted = new Map<RuleRef, number>();
      const take = (): void => {
        for (const [rule, count] of cells.take()) {
          counted.set(rule, (counted.get(rule) ?? 0) + count);
        }
      };
      for (const { column, rule, take: takes } of list) {
        cells.hit(column, rules[rule]!);
        expected.set(rules[rule]!, (expected.get(rules[rule]!) ?? 0) + 1);
        if (takes) take();
      }
      take();
      expect(counted).toEqual(expected);
      expect(cells.take()).toEqual([]);
    }),
  );
});
