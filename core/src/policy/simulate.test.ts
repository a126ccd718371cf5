import { expect, test } from '@jest/globals';
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
import { simulate } from './simulate.ts';

test('tells verdict, rule, operations and masks as plain JSON', () => {
  const card = column('shop.public.orders.card');
  const select = operation('Select', 'shop.public.orders');
  const results = simulate(
    bundle(
      [rule('read', { classes: ['Read'] })],
      [
        mask('cards', { columns: ['*.*.*.card'], transform: { type: 'Partial', keepLast: 4 } }),
        mask('scan', { detectors: ['Email'], resources: ['shop.**'] }),
      ],
    ),
    identity(),
    [
      statement([select], { outputs: [output('c', [card]), output('note', [], [], 25)] }),
      statement([operation('Delete', 'shop.public.orders')]),
    ],
    { nowMs },
  );
  expect(JSON.parse(JSON.stringify(results))).toEqual([
    {
      verdict: 'Allow',
      rules: ['rule read of AccessPolicy data/reports'],
      operations: [select],
      limits: [],
      wouldDeny: [],
      masks: [
        { column: 'c', rule: 'MaskingRule data/cards', transform: 'Partial' },
        { column: 'note', rule: 'MaskingRule data/scan', transform: 'Email: Redact' },
      ],
    },
    {
      verdict: 'Deny',
      reason: 'DefaultDeny',
      rules: [],
      operations: [operation('Delete', 'shop.public.orders')],
      limits: [],
      masks: [],
      wouldDeny: [],
      message: expect.stringContaining('Delete on shop.public.orders'),
      hint: expect.stringContaining('classes: [Write]'),
    },
  ]);
});
