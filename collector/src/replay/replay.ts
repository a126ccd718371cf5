import { recordedContent } from '@chaperone/core/events/recording.ts';
import type { EventBody, SessionOpened } from '@chaperone/core/events/types.ts';
import type { RuleRef } from '@chaperone/core/policy/types.ts';
import type { Operation } from '@chaperone/core/sql/operation.ts';
import type { EventView, PartView } from '../query/render.ts';
import { parseTimeUs } from '../record/time.ts';
import { closeReasonText } from './close-reasons.ts';
import { readResult } from './result-reader.ts';
import { terminalSafe } from './terminal-safe.ts';

export interface ReplayOptions {
  /** Rows and COPY chunks shown of each recorded result. */
  readonly maxRows: number;
  /** A chunk of a recorded result by its digest; undefined when it is not kept or not to be seen. */
  readonly readChunk: (sha256: string) => Promise<Uint8Array | undefined>;
  /** A recorded result that is a part of the event of that number; undefined as for `readChunk`. */
  readonly readResult: (session: string, seq: number) => Promise<Uint8Array | undefined>;
}

/** What an EventView holds besides the body; enough of it to replay. */
type Line = EventBody & { readonly session: string; readonly seq: number; readonly time: string };

/** Of one value of a recorded result. */
const maxShownChars = 1000;

function ruleText(rule: RuleRef): string {
  const name = rule.rule === '' ? rule.object : `${rule.object}/${rule.rule}`;
  return `${rule.kind} ${rule.namespace}/${name}`;
}

function operationText({ verb, resource, reach, sideEffects, reason }: Operation): string {
  const beneath = reach === 'Beneath' ? ' (beneath)' : '';
  const effects = sideEffects === true ? ' with side effects' : '';
  const why = reason === undefined ? '' : `: ${reason}`;
  return `${verb} ${resource.join('.')}${beneath}${effects}${why}`;
}

function elapsed(us: number): string {
  const sign = us < 0 ? '-' : '+';
  const totalMs = Math.floor(Math.abs(us) / 1000);
  const minutes = Math.floor(totalMs / 60_000);
  const seconds = ((totalMs % 60_000) / 1000).toFixed(3).padStart(6, '0');
  return `${sign}${String(minutes).padStart(2, '0')}:${seconds}`;
}

function milliseconds(us: number): string {
  return `${(us / 1000).toFixed(us < 10_000 ? 2 : 1)} ms`;
}

function plural(count: number, one: string): string {
  return `${count} ${one}${count === 1 ? '' : 's'}`;
}

function proofText(proof: SessionOpened['proof']): string {
  switch (proof.method) {
    case 'Ticket':
      return `ticket ${proof.ticket}`;
    case 'Pod':
      return `pod ${proof.namespace}/${proof.pod}, ServiceAccount ${proof.serviceAccount}`;
    case 'ServiceAccountToken':
      return `token of ServiceAccount ${proof.namespace}/${proof.serviceAccount}`;
  }
}

function describe(line: Line): string[] {
  switch (line.type) {
    case 'SessionOpened': {
      const { identity, target, database, source, client, enforcement, policy } = line;
      const by = client === undefined ? '' : ` (${client})`;
      return [
        `opened by ${identity.namespace}/${identity.name} of ${identity.owner}, for: ${identity.purpose}`,
        `  from ${source.address}:${source.port}${by} to ${target.namespace}/${target.name}, database ${database}`,
        `  policy version ${policy.version}, ${enforcement}, ${proofText(line.proof)}`,
      ];
    }
    case 'OperationDecided': {
      const rules = line.rules.map(ruleText).join(', ');
      const by = rules === '' ? '' : ` by ${rules}`;
      const watched = line.enforced ? '' : ' (observed only: it went out)';
      const why = line.reason === undefined ? '' : `: ${line.reason}`;
      const lines = [`${line.verdict}${by}${why}${watched}`];
      lines.push(...line.operations.map((operation) => `  ${operationText(operation)}`));
      if (line.masks.length > 0) lines.push(`  masks: ${line.masks.map(ruleText).join(', ')}`);
      if (line.wouldDeny.length > 0) {
        lines.push(`  would be denied by: ${line.wouldDeny.map(ruleText).join(', ')}`);
      }
      for (const { rule, ticket } of line.exemptions) {
        lines.push(`  exempt from ${ruleText(rule)}${ticket === undefined ? '' : ` (${ticket})`}`);
      }
      return lines;
    }
    case 'OperationCompleted': {
      const { outcome, sqlstate, rows, bytes, durationUs, decision } = line;
      const code = sqlstate === undefined ? '' : ` ${sqlstate}`;
      const masked = line.masked.map(({ rule, cells }) => `${plural(cells, 'cell')} by ${rule}`);
      const counts = `${plural(rows, 'row')}, ${plural(bytes, 'byte')}, ${milliseconds(durationUs)}`;
      return [
        `${outcome}${code} (of #${decision}): ${counts}`,
        ...(masked.length > 0 ? [`  masked: ${masked.join(', ')}`] : []),
      ];
    }
    case 'LimitReached':
      return [`limit ${line.limit} of ${line.allowed} reached, set by ${ruleText(line.rule)}`];
    case 'ProtocolViolation':
      return [`protocol violation by the ${line.side.toLowerCase()}: ${line.code} ${line.message}`];
    case 'CredentialLeased':
      return [`credential ${line.credential.name} version ${line.credential.version} leased`];
    case 'PolicyApplied':
      return [`policy version ${line.policy.version} in force`];
    case 'RecordGap':
      return [`events ${line.from} to ${line.to} were lost: ${line.reason}`];
    case 'SessionClosed': {
      const { reason, statements, refused, rows, bytes } = line;
      return [
        `closed: ${closeReasonText(reason)}`,
        `  ${plural(statements, 'statement')}, ${refused} refused, ${plural(rows, 'row')}, ${plural(bytes, 'byte')}`,
      ];
    }
    default:
      return [];
  }
}

/** A line whose fields are not what its type has is still named. */
function describeSafely(line: Line): string[] {
  try {
    const described = describe(line);
    return described.length > 0 ? described : [String(line.type)];
  } catch {
    return [`${String(line.type)} (not readable)`];
  }
}

function showText(text: string): string {
  if (text.length <= maxShownChars) return terminalSafe(text);
  return `${terminalSafe(text.slice(0, maxShownChars))}… (${text.length} characters)`;
}

/** The bytes of the result that an event completed, chunk by chunk; undefined when none was recorded. */
function contentOf(
  line: Line,
  parts: EventView['parts'],
  options: ReplayOptions,
): AsyncIterable<Uint8Array | undefined> | undefined {
  if (parts.result !== undefined) return partContent(line, parts.result, options);
  if (line.type !== 'OperationCompleted' || line.recording === undefined) return undefined;
  return recordedContent(line.recording, options.readChunk);
}

async function* partContent(
  { session, seq }: Line,
  { state }: PartView,
  options: ReplayOptions,
): AsyncGenerator<Uint8Array | undefined> {
  yield state === 'Apart' ? await options.readResult(session, seq) : undefined;
}

async function* resultLines(
  content: AsyncIterable<Uint8Array | undefined>,
  options: ReplayOptions,
): AsyncGenerator<string> {
  let shown = 0;
  for await (const item of readResult(content)) {
    if (item.kind === 'Damaged') {
      yield `(${item.reason})`;
      continue;
    }
    if (item.kind === 'Columns') {
      yield item.names.map(terminalSafe).join(' | ');
      continue;
    }
    if (shown === options.maxRows) {
      yield `(further rows not shown)`;
      return;
    }
    shown += 1;
    if (item.kind === 'Large') yield `(${plural(item.bytes, 'byte')}, too large to show)`;
    else if (item.kind === 'Copy') yield showText(item.text.replace(/\n$/, ''));
    else yield item.values.map((value) => (value === null ? 'NULL' : showText(value))).join(' | ');
  }
}

/**
 * A session's events in the order of their numbers as lines that a person reads, times relative to the first.
 * Whatever a client, a backend or a policy wrote into them, the lines are safe on a terminal. An event that is
 * missing between two is said to be.
 */
export async function* replay(
  events: AsyncIterable<EventView>,
  options: ReplayOptions,
): AsyncGenerator<string> {
  let startUs: number | undefined;
  let lastSeq = 0;
  for await (const { event, parts } of events) {
    const line = event as unknown as Line;
    const timeUs = parseTimeUs(line.time) ?? 0;
    if (startUs === undefined) {
      startUs = timeUs;
      yield terminalSafe(line.time);
    }
    if (line.seq > lastSeq + 1) {
      yield `            (events ${lastSeq + 1} to ${line.seq - 1} are not here)`;
    }
    lastSeq = line.seq;
    const margin = `${elapsed(timeUs - startUs)}  #${String(line.seq).padEnd(4)}`;
    const indent = ' '.repeat(margin.length);
    const statement = parts.statement;
    const texts: string[] = [];
    if (statement) {
      texts.push(
        statement.state === 'Kept'
          ? statement.content
          : `(statement ${statement.state.toLowerCase()})`,
      );
    }
    if (parts.parameters?.state === 'Kept') texts.push(`parameters ${parts.parameters.content}`);
    texts.push(...describeSafely(line));
    let prefix = margin;
    for (const text of texts) {
      yield `${prefix} ${terminalSafe(text)}`;
      prefix = indent;
    }
    const content = contentOf(line, parts, options);
    if (content === undefined) continue;
    for await (const text of resultLines(content, options)) yield `${indent}   ${text}`;
  }
}
