import { reservedPrefix } from '../frontend/refusals.ts';
import * as write from '../messages/frontend-writer.ts';
import type { InBandExpectation } from './expectation.ts';

/** A name that no client uses; both are closed again at once. */
const name = `${reservedPrefix}in_band`;

/**
 * Statements of our own on the session's connection, between the client's. They are prepared under a name,
 * for the client's unnamed statement and portal must stay as they are.
 *
 * `ending`: Sync where nothing of the client's is in flight, Flush within its pipeline (a Sync there would
 * commit what it has sent).
 * `retriable`: when it is interrupted the client is told nothing, and `done` asks again.
 */
export function inBand(
  statements: readonly string[],
  ending: 'Sync' | 'Flush',
  retriable: boolean,
  done: InBandExpectation['done'],
  skipped: InBandExpectation['skipped'],
): { readonly bytes: Buffer; readonly expectation: InBandExpectation } {
  const messages = statements.flatMap((text) => [
    write.parse(name, text, []),
    write.bind({
      portal: name,
      statement: name,
      parameterFormats: [],
      parameters: [],
      resultFormats: [],
    }),
    write.execute(name, 0),
    write.close('Portal', name),
    write.close('Statement', name),
  ]);
  messages.push(ending === 'Sync' ? write.sync : write.flush);
  return {
    bytes: Buffer.concat(messages),
    expectation: {
      kind: 'InBand',
      barrier: true,
      commandsLeft: statements.length,
      closesLeft: 2 * statements.length,
      results: [],
      retriable,
      done,
      skipped,
    },
  };
}
