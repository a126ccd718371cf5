/** What injection makes of a pod. */
import type {
  RefusalReason,
  SkipReason,
  UnmappedReason,
} from '@chaperone/core/injection/reasons.ts';
import type { CheckedPod } from './pod.ts';

export type { RefusalReason, SkipReason, UnmappedReason };

/** A target, or one of its names, that the pod does not get; the pod is injected all the same. */
export interface InjectionWarning {
  readonly reason: UnmappedReason;
  /** `namespace/name`. */
  readonly target: string;
  readonly message: string;
}

/** Where a target is listened for within the pod. */
export interface MappedTarget {
  readonly namespace: string;
  readonly name: string;
  /** 127.0.x.y */
  readonly address: string;
  readonly port: number;
  /** What leads there; never empty. */
  readonly hostNames: readonly string[];
}

export interface Injected {
  readonly outcome: 'Injected';
  readonly pod: CheckedPod;
  readonly targets: readonly MappedTarget[];
  readonly warnings: readonly InjectionWarning[];
}

export interface Skipped {
  readonly outcome: 'Skipped';
  readonly reason: SkipReason;
  /** For people: why, in a sentence. */
  readonly message: string;
}

export interface Refused {
  readonly outcome: 'Refused';
  readonly reason: RefusalReason;
  readonly message: string;
  /** What to do. */
  readonly hint: string;
}

export type InjectionOutcome = Injected | Skipped | Refused;

export const refused = (reason: RefusalReason, message: string, hint: string): Refused => ({
  outcome: 'Refused',
  reason,
  message,
  hint,
});
