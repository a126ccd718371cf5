import * as write from '../messages/frontend-writer.ts';
import type { Flow, Taken } from './flow.ts';

/** The client's side of COPY … FROM STDIN: data passes while the backend takes it. */
export class CopyData {
  readonly #flow: Flow;

  constructor(flow: Flow) {
    this.#flow = flow;
  }

  /** At other times data is ignored, as PostgreSQL does. */
  data(view: Buffer, at: number, end: number): Taken {
    const { state } = this.#flow;
    if (!state.copyIn && state.inflight.length > 0) return this.#flow.wait();
    this.#flow.stream(view, at, end, state.copyIn);
    return 'Done';
  }

  /** CopyDone or CopyFail. */
  finish(at: number, end: number): Taken {
    const { state, queue } = this.#flow;
    if (!state.copyIn && state.inflight.length > 0) return this.#flow.wait();
    if (state.copyIn) {
      queue.pass(at, end);
      // The Flush that was sent before the data went by unheeded.
      if (this.#flow.owesSync) queue.insert(write.flush);
    }
    state.copyIn = false;
    return 'Done';
  }
}
