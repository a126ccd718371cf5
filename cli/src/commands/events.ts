import type { EventView } from '@chaperone/collector/query/render.ts';
import type { EventBody, OperationDecided } from '@chaperone/core/events/types.ts';
import { verbClasses } from '@chaperone/core/sql/operation.ts';
import type { Command } from 'commander';
import { type Output, writeJsonLines, writeTable } from '../output.ts';
import type { RecordClient } from '../record-client.ts';
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
    return `${text(event.outcome)} ${text(event.sqlstate)} of #${text(event.decision)}, rows ${text(event.rows)}`;
  }
  if (event.type === 'SessionOpened') {
    const identity = event.identity as Record<string, unknown> | undefined;
    const target = event.target as Record<string, unknown> | undefined;
    return `${text(identity?.name)} to ${text(target?.name)}`;
  }
  return text(event.reason ?? event.detail ?? event.message ?? event.limit ?? event.route);
}

async function* rows(events: AsyncIterable<EventView>): AsyncGenerator<string[]> {
  for await (const view of events) {
    const { event } = view;
    yield [
      text(event.time).slice(0, 23),
      text(event.session),
      text(event.seq),
      text(event.type),
      text(event.verdict),
      summary(view),
    ];
  }
}

const headings = ['TIME', 'SESSION', 'SEQ', 'TYPE', 'VERDICT', 'WHAT'];

/** Lists events. */
export async function listEvents(
  client: RecordClient,
  options: EventOptions,
  output: Output,
): Promise<void> {
  const { session, type, verdict, verb, resource, rule, search: q } = options;
  const question = { ...filterQuestion(options), session, type, verdict, verb, resource, rule, q };
  const events = client.events(question, options.limit);
  if (options.output === 'json') await writeJsonLines(output, events);
  else await writeTable(output, headings, rows(events), 'no events');
}

export function registerEvents(program: Command): void {
  addFilterOptions(program.command('events').description('list recorded events'))
    .option('--session <id>', 'of this session')
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
