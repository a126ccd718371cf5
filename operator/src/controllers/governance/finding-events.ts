/** Findings as Events: one for each workload and finding, however many pods it has. */
import type { PodFinding } from '@chaperone/control/governance/judge-pod.ts';
import type { PodView } from '@chaperone/control/governance/pod-view.ts';
import type { Clock } from '@chaperone/runtime/clock.ts';
import type { EventDetails, EventRecorder, EventSubject } from '../../kubernetes/event-recorder.ts';
import type { Workloads } from './workloads.ts';

/** What has been told is told again after that, as long as it lasts. */
const tellAgainMs = 30 * 60 * 1000;

interface Told {
  readonly note: string;
  readonly atMs: number;
}

interface Group {
  readonly subject: EventSubject;
  readonly finding: PodFinding;
  pods: number;
}

export class FindingEvents {
  readonly #events: EventRecorder;
  readonly #workloads: Workloads;
  readonly #clock: Clock;
  /** By namespace, then by workload and finding. */
  readonly #told = new Map<string, Map<string, Told>>();

  constructor(events: EventRecorder, workloads: Workloads, clock: Clock) {
    this.#events = events;
    this.#workloads = workloads;
    this.#clock = clock;
  }

  /** Tells what is new of a namespace's pods, or was told long ago. Throws ApiError. */
  async tell(
    namespace: string,
    judged: readonly (readonly [PodView, readonly PodFinding[]])[],
  ): Promise<void> {
    const groups = await this.#group(judged);
    const before = this.#told.get(namespace);
    const told = new Map<string, Told>();
    const nowMs = this.#clock.nowMs();
    for (const [key, { subject, finding, pods }] of groups) {
      const { message: note } = finding;
      const known = before?.get(key);
      if (known?.note === note && nowMs - known.atMs < tellAgainMs) {
        told.set(key, known);
        continue;
      }
      told.set(key, { note, atMs: nowMs });
      this.#events.record(subject, detailsOf(finding, subject.kind, pods));
    }
    if (told.size > 0) this.#told.set(namespace, told);
    else this.#told.delete(namespace);
  }

  forget(namespace: string): void {
    this.#told.delete(namespace);
  }

  async #group(
    judged: readonly (readonly [PodView, readonly PodFinding[]])[],
  ): Promise<ReadonlyMap<string, Group>> {
    const groups = new Map<string, Group>();
    for (const [pod, findings] of judged) {
      // What is as configured is no news.
      for (const finding of findings.filter(({ severity }) => severity !== 'Note')) {
        const subject = await this.#workloads.of(pod);
        const { kind, name, uid } = subject;
        const key = JSON.stringify([kind, name, uid, finding.finding, finding.reason]);
        const group = groups.get(key);
        if (group === undefined) groups.set(key, { subject, finding, pods: 1 });
        else group.pods += 1;
      }
    }
    return groups;
  }
}

function detailsOf(
  { finding, message, severity }: PodFinding,
  kind: string,
  pods: number,
): EventDetails {
  const whose = pods === 1 ? 'A pod' : `${pods} pods`;
  return {
    type: severity === 'Problem' ? 'Warning' : 'Normal',
    reason: finding,
    action: 'Govern',
    note: kind === 'Pod' ? message : `${whose} of it: ${message}`,
  };
}
