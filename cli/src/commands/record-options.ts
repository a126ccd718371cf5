import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { locateRecord, notRunning, RecordClient } from '../record-client.ts';

/** Options of every command that reads the record. */
export interface RecordOptions {
  readonly url?: string;
  readonly tokenFile?: string;
  readonly ca?: string;
  readonly directory: string;
  readonly output: 'table' | 'json';
}

export interface FilterOptions extends RecordOptions {
  readonly from?: string;
  readonly to?: string;
  readonly identity?: string;
  readonly owner?: string;
  readonly target?: string;
  readonly order: 'newest' | 'oldest';
  readonly limit: number;
  readonly wide?: boolean;
}

function readLimit(text: string): number {
  if (text === 'all') return Number.POSITIVE_INFINITY;
  if (!/^[1-9]\d{0,8}$/.test(text)) {
    throw new InvalidArgumentError('a whole number of at least 1, or all.');
  }
  return Number(text);
}

/**
 * Reads one of `values` in whatever case, and gives it in its own: a filter by a word that does not exist
 * would find nothing and look like an answer.
 */
export function readOneOf(values: readonly string[]): (text: string) => string {
  return (text) => {
    const found = values.find((value) => value.toLowerCase() === text.toLowerCase());
    if (found === undefined) throw new InvalidArgumentError(`There are ${values.join(', ')}.`);
    return found;
  };
}

/** Adds where the record is and how it is shown. */
export function addRecordOptions(command: Command): Command {
  return command
    .option('-d, --directory <dir>', 'directory that chaperone standalone runs over', '.')
    .addOption(new Option('--url <url>', 'URL of a collector').env('CHAPERONE_COLLECTOR_URL'))
    .addOption(
      new Option('--token-file <file>', 'file of mode 0600 with a reader token').env(
        'CHAPERONE_COLLECTOR_TOKEN_FILE',
      ),
    )
    .option('--ca <file>', 'PEM file of the only certificates to trust')
    .addOption(
      new Option('-o, --output <form>', 'table for people, json: one object a line')
        .choices(['table', 'json'])
        .default('table'),
    );
}

/** Adds which sessions or events are wanted. */
export function addFilterOptions(command: Command): Command {
  return addRecordOptions(command)
    .option('--from <time>', 'at or after, like 2026-01-31T06:00:00Z')
    .option('--to <time>', 'before')
    .option('--identity <name>', 'NAME or NAMESPACE/NAME of a MachineIdentity')
    .option('--owner <team>', 'team that owns the identity')
    .option('--target <name>', 'NAME or NAMESPACE/NAME of a Target')
    .addOption(
      new Option('--order <order>', 'which come first: newest or oldest')
        .argParser(readOneOf(['newest', 'oldest']))
        .default('newest'),
    )
    .option('-n, --limit <count>', 'how many at most, or all', readLimit, 50)
    .option('-w, --wide', 'everything whole, though the terminal be narrower');
}

/** The part of a question that sessions and events share. */
export function filterQuestion({ from, to, identity, owner, target, order }: FilterOptions) {
  return { from, to, identity, owner, target, order };
}

/** Finds the record and lets `work` ask it. Throws ChaperoneError. */
export async function withRecord(
  options: RecordOptions,
  work: (client: RecordClient) => Promise<void>,
): Promise<void> {
  const client = new RecordClient(locateRecord(options));
  try {
    await work(client);
  } catch (error) {
    // One that was killed leaves its address behind.
    const cause = error instanceof ChaperoneError ? error.cause : undefined;
    const refused = (cause as NodeJS.ErrnoException | undefined)?.code === 'ECONNREFUSED';
    throw refused && options.url === undefined ? notRunning(options.directory, error) : error;
  } finally {
    client.close();
  }
}
