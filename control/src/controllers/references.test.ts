import { afterEach, describe, expect, test } from '@jest/globals';
import type { Stored } from '../store/resource-store.ts';
import { nextBatch, type TestDirectory, testDirectory } from '../store/testing.ts';
import { unresolvedReferences, watchReferences } from './references.ts';
import { snapshotOf, stored } from './testing.ts';

const target = stored('Target', 'data/t');
const secret = (data: object, labels = { 'chaperone.dev/target': 't' }): Stored =>
  stored('Secret', 'data/s', { stringData: data }, labels);
const complete = secret({ username: 'u', password: 'p' });
const identity = stored('MachineIdentity', 'pay/a');
const policy = (fields: object): Stored => stored('AccessPolicy', 'data/p', { ...fields });
const rule = (...resources: string[]) => ({
  rules: [{ name: 'r', action: 'Allow', classes: ['Read'], resources }],
});

test.each<[string, Stored[], string[]]>([
  ['nothing', [target, complete, identity, policy(rule('a.b.c', 'a.**', '**', 'a.b.*'))], []],
  ['a target without its Secret', [target], ['Secret s does not exist']],
  [
    'a Secret without the mark',
    [target, secret({ username: 'u', password: 'p' }, {} as never)],
    ['lacks the label or annotation chaperone.dev/target: t'],
  ],
  ['a Secret without a key', [target, secret({ username: 'u' })], ['value under password']],
  ['a policy on no target', [policy({})], ['Target data/t does not exist']],
  ['a mask on no target', [stored('MaskingRule', 'data/m')], ['Target data/t does not exist']],
  [
    'a policy for nobody',
    [target, complete, policy({ subjects: { identities: [{ namespace: 'pay', name: 'a' }] } })],
    ['MachineIdentity pay/a does not exist'],
  ],
  [
    'a short pattern where names are short',
    [
      target,
      complete,
      policy({
        rules: [{ name: 'r', action: 'Allow', verbs: ['Set'], resources: ['shop.work_mem'] }],
      }),
    ],
    [],
  ],
  [
    'patterns too short for a table',
    [target, complete, policy(rule('visit', 'public.visit'))],
    ['visit matches no table', 'public.visit matches no table'],
  ],
])('unresolved: %s', (_, objects, messages) => {
  const found = unresolvedReferences(snapshotOf(...objects));
  expect(found.map(({ message }) => message)).toEqual(
    messages.map((message) => expect.stringContaining(message)),
  );
});

describe('watchReferences', () => {
  let directory: TestDirectory | undefined;
  afterEach(() => directory?.close());

  const secretFile = (password: string): string =>
    `apiVersion: v1
kind: Secret
metadata: { name: s, namespace: data, labels: { chaperone.dev/target: t } }
stringData: { username: u${password} }
`;

  test('tells once for as long as it lasts, and again after it was mended', async () => {
    directory = testDirectory({
      't.yaml': `apiVersion: chaperone.dev/v1alpha1
kind: Target
metadata: { name: t, namespace: data }
spec: { protocol: PostgreSQL, host: db, credentials: { secretRef: { name: s } } }
`,
    });
    const store = await directory.open();
    const told: string[] = [];
    const stop = watchReferences(store, ({ object, message }) =>
      told.push(`${object}: ${message}`),
    );
    const step = async (change: () => void): Promise<void> => {
      const batch = nextBatch(store);
      change();
      await batch;
    };
    const missing =
      'Target data/t: Secret s does not exist, or lacks the label chaperone.dev/target: t';
    expect(told).toEqual([missing]);
    await step(() =>
      directory!.write(
        'n.yaml',
        'apiVersion: v1\nkind: Secret\nmetadata: { name: n, namespace: data }\n',
      ),
    );
    expect(told).toEqual([missing]);
    await step(() => directory!.write('s.yaml', secretFile(', password: p')));
    expect(told).toEqual([missing]);
    await step(() => directory!.remove('s.yaml'));
    expect(told).toEqual([missing, missing]);
    stop();
    await step(() => directory!.write('s.yaml', secretFile('')));
    expect(told).toHaveLength(2);
  });
});
