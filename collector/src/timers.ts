import type { Clock, Timer } from '@chaperone/runtime/clock.ts';

/**
 * Runs `work` every `everyMs`, the next time counted from the end of the last; `failed` hears of rejections.
 * Returns the function that ends it, which resolves once a run under way is over.
 */
export function every(
  clock: Clock,
  everyMs: number,
  work: () => Promise<void>,
  failed: (error: unknown) => void,
): () => Promise<void> {
  let ended = false;
  let timer: Timer;
  let running = Promise.resolve();
  const arm = () => {
    timer = clock.setTimer(everyMs, () => {
      running = work()
        .catch(failed)
        .then(() => {
          if (!ended) arm();
        });
    });
  };
  arm();
  return () => {
    ended = true;
    timer.cancel();
    return running;
  };
}
