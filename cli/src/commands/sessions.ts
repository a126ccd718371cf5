import type { SessionView } from '@chaperone/collector/query/render.ts';
import { closeReasonText } from '@chaperone/collector/replay/close-reasons.ts';
import type { Command } from 'commander';
import { collect, type Output, writeJsonLines } from '../output.ts';
import type { RecordClient } from '../record-client.ts';
import { shortIds } from '../session-id.ts';
import { type Column, isNarrow, showTime, writeTable } from '../table.ts';
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

function row(session: SessionView, id: string, narrow: boolean): string[] {
  const { identity, target, closed, program } = session;
  return [
    showTime(session.startedAt?.slice(0, 19) ?? '', narrow),
    id,
    identity ? `${identity.namespace}/${identity.name}` : (program ?? ''),
    target ? `${target.namespace}/${target.name}` : '',
    closed ? String(closed.statements) : '',
    closed ? String(closed.refused) : '',
    closed ? String(closed.rows) : '',
    state(session) + (session.hold ? ', on hold' : ''),
  ];
}

const columns: readonly Column[] = [
  { heading: 'STARTED' },
  { heading: 'SESSION' },
  { heading: 'IDENTITY', leastWidth: 12 },
  { heading: 'TARGET', leastWidth: 10 },
  { heading: 'STMTS' },
  { heading: 'REFUSED' },
  { heading: 'ROWS' },
  { heading: 'STATE', leastWidth: 10 },
];

/** Lists sessions. */
export async function listSessions(
  client: RecordClient,
  options: FilterOptions,
  output: Output,
): Promise<void> {
  const sessions = client.sessions(filterQuestion(options), options.limit);
  if (options.output === 'json') return writeJsonLines(output, sessions);
  const { wide = false } = options;
  const views = await collect(sessions);
  const narrow = isNarrow(output, wide);
  const whole = views.map(({ id }) => id);
  const ids = narrow ? shortIds(whole) : whole;
  const rows = views.map((view, at) => row(view, ids[at]!, narrow));
  await writeTable(output, columns, rows, { empty: 'no sessions', wide });
}

export function registerSessions(program: Command): void {
  addFilterOptions(program.command('sessions').description('list recorded sessions')).action(
    (options: FilterOptions) =>
      withRecord(options, (client) => listSessions(client, options, process.stdout)),
  );
}
