import { describe, expect, test } from '@jest/globals';
import * as write from '../messages/frontend-writer.ts';
import { TransactionStatus } from '../messages/types.ts';
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
      for (const piece of pieces) sent += piece.length / write.sync.length;
    },
  };
  const frontend = new Frontend(state, events as FrontendEvents);
  frontend.feed(Buffer.concat(Array.from({ length: 5000 }, () => write.sync)));
  expect([sent, state.inflight.length, frontend.waiting]).toEqual([4096, 4096, true]);

  while (!state.inflight.letsGoOn) state.inflight.shift();
  expect(state.inflight.length).toBe(2048);
  frontend.resume();
  expect([sent, frontend.waiting]).toEqual([5000, false]);
});

test('what is sent between does not stand inside a message that is under way', () => {
  const state = Object.assign(new SessionState({} as DecisionContext), { copyIn: true });
  const sent: Buffer[] = [];
  const events: Partial<FrontendEvents> = {
    toBackend: (pieces) => sent.push(...pieces.map((piece) => Buffer.from(piece))),
  };
  const frontend = new Frontend(state, events as FrontendEvents);
  const data = write.copyData(Buffer.from('a line of data\n'));
  frontend.feed(data.subarray(0, 9));
  frontend.inject(write.sync);
  frontend.feed(data.subarray(9, 12));
  expect(Buffer.concat(sent)).toEqual(data.subarray(0, 12));
  frontend.feed(Buffer.concat([data.subarray(12), data]));
  expect(Buffer.concat(sent)).toEqual(Buffer.concat([data, write.sync, data]));
  frontend.inject(write.flush);
  expect(sent.at(-1)).toEqual(write.flush);
});

describe('a portal that is not known', () => {
  const { Idle, InBlock, Failed } = TransactionStatus;

  /** Types of what goes to the backend and to the client, in this state. */
  function sent(message: Buffer, change: Partial<SessionState>): readonly [string, string] {
    const state = Object.assign(new SessionState({} as DecisionContext), change);
    const types = { backend: '', client: '' };
    const events: Partial<FrontendEvents> = {
      readyToDecide: () => true,
      toBackend: (pieces) => {
        for (const piece of pieces) types.backend += String.fromCharCode(piece[0]!);
      },
      toClient: (bytes) => {
        types.client += String.fromCharCode(bytes[0]!);
      },
    };
    new Frontend(state, events as FrontendEvents).feed(message);
    return [types.backend, types.client];
  }

  test.each([
    ['executed', 'E', write.execute('p', 0)],
    ['described', 'D', write.describe('Portal', 'p')],
  ])('is %s by the backend only where the block has failed', (_, type, message) => {
    expect(sent(message, { status: Failed })).toEqual([type, '']);
    // Elsewhere it is a Parse of ours that fails.
    expect(sent(message, { status: InBlock })).toEqual(['P', '']);
    expect(sent(message, { status: Idle })).toEqual(['', 'E']);
  });

  test('that could be one of ours is not asked for', () => {
    expect(sent(write.execute('_chaperone_in_band', 0), { status: Failed })).toEqual(['P', '']);
  });

  test('is not asked for once something was carried out: the block may not be the failed one', () => {
    const state = new SessionState({} as DecisionContext);
    state.inflight.push({ kind: 'Bind', barrier: false });
    state.inflight.shift();
    expect(sent(write.execute('p', 0), { inflight: state.inflight, status: Failed })[0]).toBe('P');
  });

  test('waits for what is not answered: that may be what fails', () => {
    const state = new SessionState({} as DecisionContext);
    state.inflight.push({ kind: 'Sync', barrier: false });
    expect(sent(write.execute('p', 0), { inflight: state.inflight, status: Failed })).toEqual([
      '',
      '',
    ]);
  });
});

test.each([
  ['Query', write.query('SELECT 1')],
  ['Parse', write.parse('', 'SELECT 1', [])],
  ['Execute', write.execute('', 0)],
  ['Close', write.close('Portal', '')],
])('%s does not wait for the end of COPY data, which only the client can send', (_, message) => {
  const state = Object.assign(new SessionState({} as DecisionContext), { copyIn: true });
  const frontend = new Frontend(state, {} as FrontendEvents);
  expect(() => frontend.feed(message)).toThrow('a message that does not belong in COPY data');
});
