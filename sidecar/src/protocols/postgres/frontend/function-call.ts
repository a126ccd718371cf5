import { HEADER_BYTES } from '../messages/frame.ts';
import { parseFunctionCall } from '../messages/frontend-reader.ts';
import type { Flow, Taken } from './flow.ts';
import { unsyncedQuery } from './refusals.ts';
import type { Refuser } from './refuser.ts';
import { obligationsOf, type Resolver } from './resolver.ts';
import { functionCallStatement } from './statements.ts';

/** The FunctionCall message `view[at, end)`: forwarded only under a rule that names the verb (attacks §10). */
export function functionCall(
  flow: Flow,
  resolver: Resolver,
  refuser: Refuser,
  view: Buffer,
  at: number,
  end: number,
): Taken {
  const { functionOid } = parseFunctionCall(view, at + HEADER_BYTES, end);
  if (!flow.ready()) return 'Wait';
  const { state, events, queue } = flow;
  if (state.inflight.unsynced) return refuser.refuse('Simple', unsyncedQuery);
  const statement = functionCallStatement(state.context.key.database, functionOid);
  const decided = resolver.decide(statement, '', 'FunctionCall');
  const refusal = resolver.refusalOf([decided]);
  if (refusal !== undefined) {
    return refuser.decided('Simple', refusal, decided.event, undefined, '');
  }
  const decision = events.record(decided.event, undefined, '');
  queue.pass(at, end, true);
  state.inflight.push({
    kind: 'FunctionCall',
    decided,
    execution: events.begin(decision, obligationsOf([decided])),
    failed: false,
    barrier: true,
  });
  return 'Done';
}
