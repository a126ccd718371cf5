import type { Clock, Timer } from '@chaperone/runtime/clock.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import type { ResourceStore } from '../store/resource-store.ts';
import { Snapshot, watchedKinds } from './snapshot.ts';
import { type StatusOptions, type WantedStatus, wantedStatuses } from './statuses.ts';

/** Expiry and reviews come due without anybody changing anything. */
const rerunMs = 60_000;
/** Over a network, what comes one after the other is awaited together. */
const maxWrites = 8;

export interface StatusControllerOptions extends StatusOptions {
  readonly store: ResourceStore;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
  /** A status was written; `object` is as it was before. */
  readonly onWritten?: (status: WantedStatus) => void;
  /** How long changes are gathered before statuses are found. Default 0: those of one turn. */
  readonly debounceMs?: number;
}

export interface StatusController {
  /** To be told that what `boundPods` says has changed. */
  touch(): void;
  /** Resolves once what has been seen so far is written. */
  settled(): Promise<void>;
  stop(): void;
}

/** Keeps the status of every resource true, from now until stopped. */
export function startStatusController(options: StatusControllerOptions): StatusController {
  const { store, clock, onError, onWritten, debounceMs = 0, ...statusOptions } = options;
  const snapshot = new Snapshot();
  let running: Promise<void> | undefined;
  let again = false;
  let stopped = false;
  let rerun: Timer | undefined;
  let gathering: Timer | undefined;

  const writeOne = async (wanted: WantedStatus): Promise<void> => {
    const { object, patch } = wanted;
    const { namespace, name, uid } = object.metadata;
    try {
      await store.patchStatus(object.kind, namespace, name, patch, { uid });
      onWritten?.(wanted);
    } catch (error) {
      // Deleted or made anew meanwhile: the watch says so, and another run follows.
      const gone = error instanceof ChaperoneError && ['CHP-1013', 'CHP-1014'].includes(error.code);
      if (!gone) onError(error);
    }
  };

  const write = async (): Promise<void> => {
    const left = wantedStatuses(snapshot, clock.nowMs(), statusOptions).values();
    const worker = async (): Promise<void> => {
      for (const wanted of left) {
        if (stopped) return;
        await writeOne(wanted);
      }
    };
    await Promise.all(Array.from({ length: maxWrites }, worker));
  };

  const run = (): void => {
    again = true;
    running ??= (async () => {
      // Our own writes come back by the watch and ask for one more run, which finds nothing to do.
      while (again && !stopped) {
        again = false;
        await Promise.resolve(); // one run for all that comes in this turn
        await write();
      }
      running = undefined;
    })();
  };

  const ask = (): void => {
    if (stopped) return;
    if (debounceMs === 0) {
      run();
      return;
    }
    gathering ??= clock.setTimer(debounceMs, () => {
      gathering = undefined;
      run();
    });
  };

  const schedule = (): void => {
    rerun = clock.setTimer(rerunMs, () => {
      ask();
      schedule();
    });
  };

  const unwatch = store.watch(watchedKinds, (batch) => {
    snapshot.apply(batch);
    ask();
  });
  schedule();

  return {
    touch: ask,
    async settled() {
      while (running !== undefined) await running;
    },
    stop() {
      stopped = true;
      rerun?.cancel();
      gathering?.cancel();
      unwatch();
    },
  };
}
