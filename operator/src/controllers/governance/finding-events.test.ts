import type { PodFinding } from '@chaperone/control/governance/judge-pod.ts';
import { podView } from '@chaperone/control/governance/pod-view.ts';
import { manualClock } from '@chaperone/runtime/clock.ts';
import { expect, test } from '@jest/globals';
import type { EventRecorder } from '../../kubernetes/event-recorder.ts';
import { FindingEvents } from './finding-events.ts';
import { Workloads } from './workloads.ts';

const finding = (
  kind: PodFinding['finding'],
  severity: PodFinding['severity'],
  message: string = kind,
): PodFinding => ({ finding: kind, reason: 'OldSidecar', message, severity });

/** A pod that a StatefulSet made, so that nobody has to be asked for its maker. */
const pod = (name: string, owner: string) =>
  podView({
    metadata: {
      name,
      namespace: 'pay',
      uid: name,
      ownerReferences: [
        { apiVersion: 'apps/v1', kind: 'StatefulSet', name: owner, uid: owner, controller: true },
      ],
    },
  });

function recorded() {
  const told: string[] = [];
  const clock = manualClock();
  const recorder = {
    record: (subject: { kind: string; name: string }, event: { type: string; note: string }) =>
      void told.push(`${event.type} ${subject.kind}/${subject.name}: ${event.note}`),
  } as unknown as EventRecorder;
  const events = new FindingEvents(recorder, new Workloads(undefined as never), clock);
  return { clock, events, take: () => told.splice(0) };
}

test('one Event for each workload and finding, told again only when it is new or lasts', async () => {
  const { clock, events, take } = recorded();
  const pods = [
    [pod('a-0', 'a'), [finding('Ungoverned', 'Problem'), finding('OpenEgress', 'Note')]],
    [pod('a-1', 'a'), [finding('Ungoverned', 'Problem')]],
    [pod('b-0', 'b'), [finding('OldSidecar', 'Restart')]],
    [pod('c-0', 'c'), []],
  ] as const;
  await events.tell('pay', pods);
  expect(take()).toEqual([
    'Warning StatefulSet/a: 2 pods of it: Ungoverned',
    'Normal StatefulSet/b: A pod of it: OldSidecar',
  ]);
  await events.tell('pay', pods.slice(1));
  expect(take()).toEqual([]);
  await events.tell('pay', [[pod('a-0', 'a'), [finding('Ungoverned', 'Problem', 'other words')]]]);
  expect(take()).toEqual(['Warning StatefulSet/a: A pod of it: other words']);
  // b's was gone in between, so that it is news again.
  await events.tell('pay', pods.slice(1));
  expect(take()).toEqual([
    'Warning StatefulSet/a: A pod of it: Ungoverned',
    'Normal StatefulSet/b: A pod of it: OldSidecar',
  ]);
  clock.advance(30 * 60 * 1000);
  await events.tell('pay', pods.slice(2));
  expect(take()).toEqual(['Normal StatefulSet/b: A pod of it: OldSidecar']);
});

test('a pod that nothing made is what its Event is about', async () => {
  const { events, take } = recorded();
  const bare = podView({ metadata: { name: 'bare', namespace: 'pay', uid: 'bare' } });
  await events.tell('pay', [[bare, [finding('Ungoverned', 'Problem', 'it has no sidecar')]]]);
  expect(take()).toEqual(['Warning Pod/bare: it has no sidecar']);
});
