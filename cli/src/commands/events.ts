import type { EventView } from '@chaperone/collector/query/render.ts';
import type { EventBody, OperationDecided } from '@chaperone/core/events/types.ts';
import { verbClasses } from '@chaperone/core/sql/operation.ts';
import type { Command } from 'commander';
import { collect, type Output, writeJsonLines } from '../output.ts';
import type { RecordClient } from '../record-client.ts';
import { findSession, shortIds } from '../session-id.ts';
import { type Column, isNarrow, showTime, writeTable } from '../table.ts';
import {
  addFilterOptions,
  type FilterOptions,
  filterQuestion,
  readOneOf,
  withRecord,
} from './record-options.ts';

/** A record, so that the compiler misses a type that is left out. */
const eventTypes = Object.keys({
  SessionOpened: true,
  OperationDecided: true,
  OperationCompleted: true,
  LimitReached: true,
  ProtocolViolation: true,
  CredentialLeased: true,
  PolicyApplied: true,
  SessionClosed: true,
  RecordGap: true,
  RecordRead: true,
  RecordPurged: true,
  LegalHoldChanged: true,
  ProgramStarted: true,
  ProgramStopped: true,
  Heartbeat: true,
  SpoolState: true,
  PolicyRejected: true,
} satisfies Record<EventBody['type'], true>);
const verdicts = ['Allow', 'Deny', 'RequireApproval'] satisfies OperationDecided['verdict'][];
const verbs = Object.keys(verbClasses);

export interface EventOptions extends FilterOptions {
  readonly session?: string;
  readonly type?: string;
  readonly verdict?: string;
  readonly verb?: string;
  readonly resource?: string;
  readonly rule?: string;
  readonly search?: string;
}

function text(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

/** What an event says in a few words, whatever its type. */
function summary({ event, parts }: EventView): string {
  if (parts.statement?.state === 'Kept') return parts.statement.content;
  if (parts.statement) return `(statement ${parts.statement.state.toLowerCase()})`;
  if (event.type === 'OperationCompleted') {
    const outcome = [text(event.outcome), text(event.sqlstate)].filter((word) => word !== '');
    return `${outcome.join(' ')} of #${text(event.decision)}, rows ${text(event.rows)}`;
  }
  if (event.type === 'SessionOpened') {
    const identity = event.identity as Record<string, unknown> | undefined;
    const target = event.target as Record<string, unknown> | undefined;
    return `${text(identity?.name)} to ${text(target?.name)}`;
  }
  return text(event.reason ?? event.detail ?? event.message ?? event.limit ?? event.route);
}

function row(view: EventView, id: string, narrow: boolean): string[] {
  const { event } = view;
  return [
    showTime(text(event.time).slice(0, 23), narrow),
    id,
    text(event.seq),
    text(event.type),
    text(event.verdict),
    summary(view),
  ];
}

const columns: readonly Column[] = [
  { heading: 'TIME' },
  { heading: 'SESSION' },
  { heading: 'SEQ' },
  { heading: 'TYPE' },
  { heading: 'VERDICT' },
  { heading: 'WHAT', leastWidth: 10 },
];

/** Lists events. */
export async function listEvents(
  client: RecordClient,
  options: EventOptions,
  output: Output,
): Promise<void> {
  const { type, verdict, verb, resource, rule, search: q, wide = false } = options;
  const session =
    options.session === undefined ? undefined : await findSession(client, options.session);
  const question = { ...filterQuestion(options), session, type, verdict, verb, resource, rule, q };
  const events = client.events(question, options.limit);
  if (options.output === 'json') return writeJsonLines(output, events);
  const views = await collect(events);
  const narrow = isNarrow(output, wide);
  const whole = views.map(({ event }) => text(event.session));
  const ids = narrow ? shortIds(whole) : whole;
  const rows = views.map((view, at) => row(view, ids[at]!, narrow));
  await writeTable(output, columns, rows, { empty: 'no events', wide });
}

export function registerEvents(program: Command): void {
  addFilterOptions(program.command('events').description('list recorded events'))
    .option('--session <id>', 'of this session: its id, or how that begins')
    .option('--type <type>', 'like OperationDecided', readOneOf(eventTypes))
    .option('--verdict <verdict>', 'Allow, Deny or RequireApproval', readOneOf(verdicts))
    .option('--verb <verb>', 'an operation of this verb, like Delete', readOneOf(verbs))
    .option(
      '--resource <pattern>',
      'an operation on database.schema.relation; * within a part, ** for the rest',
    )
    .option(
      '--rule <rule>',
      'decided or masked by OBJECT, NAMESPACE/OBJECT or NAMESPACE/OBJECT/RULE',
    )
    .option('--search <words>', 'statements that hold all these words; word* for a beginning')
    .action((options: EventOptions) =>
      withRecord(options, (client) => listEvents(client, options, process.stdout)),
    );
}
