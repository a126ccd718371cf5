import { expect, test } from '@jest/globals';
import { isQuantity, keepWording, sameQuantity } from './quantity.ts';
import { mergeResources, parseResources } from './resources.ts';

test.each([
  ['0.5', '500m'],
  ['1', '1000m'],
  ['1', '1000000000n'],
  ['1k', '1000'],
  ['1Ki', '1024'],
  ['0.5Gi', '512Mi'],
  ['1e3', '1k'],
  ['1E3', '1000'],
  ['1E', '1000000000000000000'],
  ['12e-1', '1200m'],
  ['0.10', '100m'],
])('%s and %s are the same', (a, b) => {
  expect(sameQuantity(a, b)).toBe(true);
  expect(keepWording(a, b)).toBe(b);
});

test.each([
  ['1', '1001m'],
  ['1M', '1Mi'],
  ['128Mi', '128M'],
  ['1', 'one'],
])('%s and %s are not', (a, b) => {
  expect(sameQuantity(a, b)).toBe(false);
  expect(keepWording(a, b)).toBe(a);
});

test.each(['', '-1', '1 Mi', '1mi', '.5', '1.', '0x10', '1e9999', '١', '9'.repeat(100)])(
  '%j is none that a sidecar may have',
  (text) => expect(isQuantity(text)).toBe(false),
);

test.each([
  ['{}', {}],
  ['{"requests":{"cpu":"10m"}}', { requests: { cpu: '10m' } }],
  ['{"limits":{"memory":1000,"cpu":0.5}}', { limits: { memory: '1000', cpu: '0.5' } }],
])('%s is understood', (text, value) => {
  expect(parseResources(text)).toEqual({ ok: true, value });
});

test.each([
  'null',
  '[]',
  '7',
  '{',
  '{"claims":[]}',
  '{"requests":[]}',
  '{"requests":{"cpu":null}}',
  '{"requests":{"cpu":"-1"}}',
  '{"requests":{"example.com/gpu":"1"}}',
  '{"requests":{"__proto__":"1"}}',
  `{"requests":{"cpu":"1"}}${' '.repeat(1024)}`,
])('%s is not', (text) => expect(parseResources(text)).toMatchObject({ ok: false }));

test('what others gave a container for want of ours stays, what is ours does not change', () => {
  expect(
    mergeResources(
      { requests: { cpu: '0.5' }, limits: { memory: '1Gi' } },
      { requests: { cpu: '500m', memory: '64Mi' }, limits: { memory: '2Gi', cpu: '1' } },
    ),
  ).toEqual({
    requests: { cpu: '500m', memory: '64Mi' },
    limits: { memory: '1Gi', cpu: '1' },
  });
});
