import type { SessionView } from '@chaperone/collector/query/render.ts';
import { closeReasonText } from '@chaperone/collector/replay/close-reasons.ts';
import type { Command } from 'commander';
import { type Output, writeJsonLines, writeTable } from '../output.ts';
import type { RecordClient } from '../record-client.ts';
import {
  addFilterOptions,
  type FilterOptions,
  filterQuestion,
  withRecord,
} from './record-options.ts';

function state({ closed, acknowledged, known, startedAt }: SessionView): string {
  const missing = known > acknowledged ? `, ${known - acknowledged} events not here` : '';
  if (startedAt === undefined) return `announced${missing}`;
  return `${closed ? closeReasonText(closed.reason) : 'open'}${missing}`;
}

function row(session: SessionView): string[] {
  const { identity, target, closed, program } = session;
  return [
    session.startedAt?.slice(0, 19) ?? '',
    session.id,
    identity ? `${identity.namespace}/${identity.name}` : (program ?? ''),
    target ? `${target.namespace}/${target.name}` : '',
    closed ? String(closed.statements) : '',
    closed ? String(closed.refused) : '',
    closed ? String(closed.rows) : '',
    state(session) + (session.hold ? ', on hold' : ''),
  ];
}

async function* rows(sessions: AsyncIterable<SessionView>): AsyncGenerator<string[]> {
  for await (const session of sessions) yield row(session);
}

const headings = [
  'STARTED',
  'SESSION',
  'IDENTITY',
  'TARGET',
  'STATEMENTS',
  'REFUSED',
  'ROWS',
  'STATE',
];

/** Lists sessions. */
export async function listSessions(
  client: RecordClient,
  options: FilterOptions,
  output: Output,
): Promise<void> {
  const sessions = client.sessions(filterQuestion(options), options.limit);
  if (options.output === 'json') await writeJsonLines(output, sessions);
  else await writeTable(output, headings, rows(sessions), 'no sessions');
}

export function registerSessions(program: Command): void {
  addFilterOptions(program.command('sessions').description('list recorded sessions')).action(
    (options: FilterOptions) =>
      withRecord(options, (client) => listSessions(client, options, process.stdout)),
  );
}
