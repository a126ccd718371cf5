import { reservedPrefix } from '../frontend/refusals.ts';
import * as write from '../messages/frontend-writer.ts';
import type { InBandExpectation } from './expectation.ts';

/** A name that no client uses; both are closed again at once. */
const name = `${reservedPrefix}in_band`;

export interface InBandOptions {
  /**
   * Sync where nothing of the client's is in flight, Flush within its pipeline (a Sync there would commit what it has
   * sent).
   */
  readonly ending: 'Sync' | 'Flush';
  /** When it is interrupted the client is told nothing, and `answered` asks again. */
  readonly retriable: boolean;
  /** An interruption may have left the prepared statement behind: the end of a transaction does not take it back. */
  readonly again: boolean;
  readonly answered: InBandExpectation['done'];
  readonly skipped: InBandExpectation['skipped'];
}

/**
 * Statements of our own on the session's connection, between the client's. They are prepared under a name,
 * for the client's unnamed statement and portal must stay as they are.
 */
export function inBand(
  statements: readonly string[],
  { ending, retriable, again, answered, skipped }: InBandOptions,
): { readonly bytes: Buffer; readonly expectation: InBandExpectation } {
  const closed = write.close('Statement', name);
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
    closed,
  ]);
  if (again) messages.unshift(closed);
  messages.push(ending === 'Sync' ? write.sync : write.flush);
  return {
    bytes: Buffer.concat(messages),
    expectation: {
      kind: 'InBand',
      barrier: true,
      commandsLeft: statements.length,
      closesLeft: 2 * statements.length + (again ? 1 : 0),
      results: [],
      maxResults: statements.length,
      retriable,
      done: answered,
      skipped,
    },
  };
}
