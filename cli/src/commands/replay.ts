import { replay } from '@chaperone/collector/replay/replay.ts';
import { type Command, InvalidArgumentError } from 'commander';
import { type Output, writeJsonLines, writeLine } from '../output.ts';
import type { RecordClient } from '../record-client.ts';
import { findSession } from '../session-id.ts';
import { addRecordOptions, type RecordOptions, withRecord } from './record-options.ts';

export interface ReplayCommandOptions extends RecordOptions {
  /** Rows shown of each recorded result. */
  readonly rows: number;
}

/** Shows what happened in a session, in the order in which it did; `session` is its id or how that begins. */
export async function replaySession(
  client: RecordClient,
  session: string,
  options: ReplayCommandOptions,
  output: Output,
): Promise<void> {
  const id = await findSession(client, session);
  await client.session(id); // a session that is not there is an error, not an empty replay
  const events = client.sessionEvents(id);
  if (options.output === 'json') return writeJsonLines(output, events);
  const lines = replay(events, {
    maxRows: options.rows,
    readChunk: (sha256) => client.recording(sha256),
    readResult: (session, seq) => client.result(session, seq),
  });
  for await (const line of lines) await writeLine(output, line);
}

function readRows(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('a whole number.');
  return Number(text);
}

export function registerReplay(program: Command): void {
  addRecordOptions(
    program.command('replay <session>').description('show what happened in a session'),
  )
    .option('--rows <count>', 'rows shown of each recorded result', readRows, 20)
    .action((session: string, options: ReplayCommandOptions) =>
      withRecord(options, (client) => replaySession(client, session, options, process.stdout)),
    );
}
