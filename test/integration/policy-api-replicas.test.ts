/** Two replicas over one store, of which one lags: what a sidecar is told that goes from one to the other. */
import { join } from 'node:path';
import { type TestPolicyApi, testPolicyApi } from '@chaperone/control/policy-api/testing.ts';
import type { ResourceStore, WatchBatch } from '@chaperone/control/store/resource-store.ts';
import { type TestDirectory, testDirectory } from '@chaperone/control/store/testing.ts';
import type { PolicyEvent } from '@chaperone/core/control/wire.ts';
import { afterEach, beforeEach, expect, test } from '@jest/globals';

const identity = (suspended: boolean, purpose = 'Reports'): string => `
apiVersion: chaperone.dev/v1alpha1
kind: MachineIdentity
metadata: { name: report, namespace: payments }
spec:
  owner: { team: payments }
  purpose: ${purpose}
  suspended: ${suspended}
  subjects: [ { serviceAccount: { name: report } } ]
`;

let directory: TestDirectory;
let current: TestPolicyApi;
let lagging: TestPolicyApi;
/** Lets the lagging one see what has happened. */
let catchUp: () => void;

beforeEach(async () => {
  directory = testDirectory({ 'report.yaml': identity(false) });
  const store = await directory.open();
  const waiting: (() => void)[] = [];
  let first = true;
  const late: ResourceStore = Object.assign(Object.create(store), {
    watch: (kinds: Parameters<ResourceStore['watch']>[0], onBatch: (batch: WatchBatch) => void) =>
      store.watch(kinds, (batch) => {
        if (first) onBatch(batch);
        else waiting.push(() => onBatch(batch));
        first = false;
      }),
  });
  catchUp = () => {
    for (const tell of waiting.splice(0)) tell();
  };
  current = await testPolicyApi(join(directory.state, 'a'), store);
  lagging = await testPolicyApi(join(directory.state, 'b'), late, {
    signingKeysDirectory: current.signingKeys,
  });
});

afterEach(async () => {
  await current.close();
  await lagging.close();
  await directory.close();
});

const parse = ({ data }: { data: string }): PolicyEvent => JSON.parse(data);

test('a suspension that was told is not undone by one that has not seen it', async () => {
  const token = await current.attest('pod.payments.report.u1');
  const first = await current.stream('/v1/policy', token);
  expect(parse(await first.next()).bundle?.identity.suspended).toBe(false);
  directory.write('report.yaml', identity(true));
  const { bundle, versions } = parse(await first.next());
  expect(bundle?.identity.suspended).toBe(true);
  first.close();

  // What either signed, the other takes.
  const second = await lagging.stream('/v1/policy', token, versions);
  const unaware = await lagging.stream('/v1/policy', token);
  expect(parse(await unaware.next()).bundle?.identity.suspended).toBe(false);
  expect(second.events).toEqual([]);
  catchUp();
  expect(parse(await second.next()).bundle?.identity.suspended).toBe(true);
  expect(parse(await unaware.next()).bundle?.identity.suspended).toBe(true);
  second.close();
  unaware.close();
});

test('one that has caught up in part tells nothing yet', async () => {
  const token = await lagging.attest('pod.payments.report.u1');
  const first = await current.stream('/v1/policy', token);
  await first.next();
  directory.write('report.yaml', identity(true));
  await first.next();
  directory.write('report.yaml', identity(true, 'Others'));
  const { versions, bundle } = parse(await first.next());
  first.close();
  const second = await lagging.stream('/v1/policy', token, versions);
  catchUp();
  const told = parse(await second.next());
  expect([told.bundle?.digest, second.events.length]).toEqual([bundle?.digest, 1]);
  second.close();
});
