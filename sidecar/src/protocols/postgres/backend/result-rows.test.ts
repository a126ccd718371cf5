import { expect, test } from '@jest/globals';
import type { DecisionContext } from '../frontend/decision-context.ts';
import { dataRow } from '../messages/backend-writer.ts';
import { SessionState } from '../session-state.ts';
import type { InBandExpectation } from './expectation.ts';
import type { ResponseEvents } from './response-flow.ts';
import { Responses } from './responses.ts';

test('a server that answers a question of ours with more rows than it has is not listened to', () => {
  const state = new SessionState({} as DecisionContext);
  const question: InBandExpectation = {
    kind: 'InBand',
    barrier: true,
    commandsLeft: 2,
    closesLeft: 4,
    results: [],
    maxResults: 2,
    retriable: false,
    done: () => {},
    skipped: () => {},
  };
  state.inflight.push(question);
  const responses = new Responses(state, {} as ResponseEvents, { maxMaskedRowBytes: 1 });
  const row = () => Buffer.from(dataRow([Buffer.from('one')]));
  responses.feed(row());
  responses.feed(row());
  expect(() => responses.feed(row())).toThrow('nothing asked for');
  expect(question.results).toEqual([['one'], ['one']]);
});
