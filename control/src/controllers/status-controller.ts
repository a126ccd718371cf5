import type { Clock, Timer } from '@chaperone/runtime/clock.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import type { ResourceStore } from '../store/resource-store.ts';
import { Snapshot, watchedKinds } from './snapshot.ts';
import { wantedStatuses } from './statuses.ts';

/** Expiry and reviews come due without anybody changing anything. */
const rerunMs = 60_000;

export interface StatusController {
  /** Resolves once what has been seen so far is written. */
  settled(): Promise<void>;
  stop(): void;
}

/** Keeps the status of every resource true, from now until stopped. */
export function startStatusController(options: {
  readonly store: ResourceStore;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
}): StatusController {
  const { store, clock, onError } = options;
  const snapshot = new Snapshot();
  let running: Promise<void> | undefined;
  let again = false;
  let stopped = false;
  let timer: Timer | undefined;

  const write = async (): Promise<void> => {
    for (const { object, patch } of wantedStatuses(snapshot, clock.nowMs())) {
      if (stopped) return;
      const { namespace, name, uid } = object.metadata;
      try {
        await store.patchStatus(object.kind, namespace, name, patch, { uid });
      } catch (error) {
        // Deleted or made anew meanwhile: the watch says so, and another run follows.
        const gone =
          error instanceof ChaperoneError && ['CHP-1013', 'CHP-1014'].includes(error.code);
        if (!gone) onError(error);
      }
    }
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

  const schedule = (): void => {
    timer = clock.setTimer(rerunMs, () => {
      run();
      schedule();
    });
  };

  const unwatch = store.watch(watchedKinds, (batch) => {
    snapshot.apply(batch);
    if (!stopped) run();
  });
  schedule();

  return {
    async settled() {
      while (running !== undefined) await running;
    },
    stop() {
      stopped = true;
      timer?.cancel();
      unwatch();
    },
  };
}
