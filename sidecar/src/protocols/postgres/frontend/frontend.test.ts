import { expect, test } from '@jest/globals';
import { sync } from '../messages/frontend-writer.ts';
import { SessionState } from '../session-state.ts';
import type { DecisionContext } from './decision-context.ts';
import type { FrontendEvents } from './flow.ts';
import { Frontend } from './frontend.ts';

test('so many messages go out without an answer, and the rest when some are answered', () => {
  // A Sync is decided by nothing, so neither a context nor a session is needed.
  const state = new SessionState({} as DecisionContext);
  let sent = 0;
  const events: Partial<FrontendEvents> = {
    toBackend: (pieces) => {
      for (const piece of pieces) sent += piece.length / sync.length;
    },
  };
  const frontend = new Frontend(state, events as FrontendEvents);
  frontend.feed(Buffer.concat(Array.from({ length: 5000 }, () => sync)));
  expect([sent, state.inflight.length, frontend.waiting]).toEqual([4096, 4096, true]);

  while (!state.inflight.letsGoOn) state.inflight.shift();
  expect(state.inflight.length).toBe(2048);
  frontend.resume();
  expect([sent, frontend.waiting]).toEqual([5000, false]);
});
