import { readFileSync } from 'node:fs';
import { terminalSafe } from '@chaperone/collector/replay/terminal-safe.ts';
import type { Snapshot } from '@chaperone/control/controllers/snapshot.ts';
import { formatPlaced } from '@chaperone/control/store/directory-store.ts';
import { loadDirectory } from '@chaperone/control/store/load-directory.ts';
import { loadParser } from '@chaperone/core/sql/postgres/parser.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Output, writeJsonLines, writeLine } from '../output.ts';
import { mismatches, parseCases } from '../policy/case-file.ts';
import { ask, openCatalog, type QuestionCatalog } from '../policy/policy-case.ts';
import { readCatalog, type SavedCatalog } from '../policy/read-catalog.ts';
import { renderAnswer } from '../policy/render-answer.ts';
import { registerPolicyShow } from './policy-show.ts';

export interface TestOptions {
  readonly directory: string;
  readonly identity?: string;
  readonly target?: string;
  readonly catalog?: string;
  readonly url?: string;
  readonly cases?: string;
  readonly at?: number;
  readonly sourceIp?: string;
  readonly output: 'text' | 'json';
}

/**
 * Tells what becomes of a statement, or whether every case of a file comes out as expected; resolves to
 * whether all is well: a single statement always is.
 */
export async function testPolicy(
  statement: string | undefined,
  options: TestOptions,
  output: Output,
): Promise<boolean> {
  const snapshot = validResources(options.directory);
  const catalog = await catalogOf(options);
  await loadParser();
  if (options.cases !== undefined) {
    if (statement !== undefined) {
      throw new ChaperoneError('CHP-1002', 'Give a statement or --cases, not both.');
    }
    return testCases(options.cases, options, snapshot, catalog, output);
  }
  const { identity, target } = options;
  if (statement === undefined || identity === undefined || target === undefined) {
    throw new ChaperoneError(
      'CHP-1003',
      '--identity, --target and a statement are needed, or --cases.',
    );
  }
  const { sourceIp } = options;
  const answer = ask(
    {
      identity,
      target,
      statement,
      nowMs: options.at ?? Date.now(),
      ...(sourceIp !== undefined && { sourceIP: sourceIp }),
    },
    snapshot,
    catalog,
  );
  if (options.output === 'json') await writeJson(output, answer);
  else for (const line of renderAnswer(answer)) await writeLine(output, terminalSafe(line));
  return true;
}

async function testCases(
  file: string,
  options: TestOptions,
  snapshot: Snapshot,
  catalog: QuestionCatalog,
  output: Output,
): Promise<boolean> {
  const cases = parseCases(readFileSync(file, 'utf8'), file);
  let failed = 0;
  for (const expected of cases) {
    const nowMs = expected.at === undefined ? (options.at ?? Date.now()) : Date.parse(expected.at);
    const answer = ask({ ...expected, nowMs }, snapshot, catalog);
    const wrong = mismatches(expected, answer);
    if (wrong.length > 0) failed += 1;
    if (options.output === 'json') {
      const passed = wrong.length === 0;
      await writeJson(output, { name: expected.name, passed, mismatches: wrong, answer });
      continue;
    }
    await writeLine(
      output,
      terminalSafe(`${wrong.length === 0 ? 'ok   ' : 'WRONG'} ${expected.name}`),
    );
    if (wrong.length === 0) continue;
    for (const line of [...wrong, ...renderAnswer(answer)]) {
      await writeLine(output, terminalSafe(`      ${line}`));
    }
  }
  if (options.output === 'text') {
    await writeLine(output, `${cases.length - failed} of ${cases.length} as expected`);
  }
  return failed === 0;
}

async function writeJson(output: Output, value: unknown): Promise<void> {
  async function* one(): AsyncGenerator<unknown> {
    yield value;
  }
  await writeJsonLines(output, one());
}

/** Reads a database's catalog and writes it as JSON, for `policy test --catalog`. */
export async function saveCatalog(url: string, output: Output): Promise<void> {
  await writeLine(output, JSON.stringify(await readCatalog(url, process.env)));
}

/** Writes every problem of the files; resolves to whether there is no error among them. */
export async function checkResources(directory: string, output: Output): Promise<boolean> {
  const { problems, counts } = loadDirectory(directory, Date.now());
  for (const problem of problems) {
    const label = problem.severity === 'Error' ? 'error  ' : 'warning';
    await writeLine(output, terminalSafe(`${label} ${formatPlaced(problem)}`));
  }
  const errors = problems.filter(({ severity }) => severity === 'Error').length;
  const read = `${plural(counts.objects, 'object')} in ${plural(counts.files, 'file')}`;
  const found = `${plural(errors, 'error')}, ${plural(problems.length - errors, 'warning')}`;
  await writeLine(output, `${read}: ${found}`);
  return errors === 0;
}

function plural(count: number, one: string): string {
  return `${count} ${one}${count === 1 ? '' : 's'}`;
}

/** Throws CHP-1010 with every error: a verdict on a part of the policies would be none. */
function validResources(directory: string): Snapshot {
  const { snapshot, problems } = loadDirectory(directory, Date.now());
  const errors = problems.filter(({ severity }) => severity === 'Error');
  if (errors.length === 0) return snapshot;
  throw new ChaperoneError('CHP-1010', errors.map(formatPlaced).join('\n'));
}

async function catalogOf({ catalog, url }: TestOptions): Promise<QuestionCatalog> {
  if (catalog !== undefined) {
    let saved: SavedCatalog;
    try {
      saved = JSON.parse(readFileSync(catalog, 'utf8'));
    } catch (cause) {
      throw new ChaperoneError('CHP-1004', `${catalog} cannot be read as JSON.`, { cause });
    }
    return openCatalog(saved);
  }
  if (url !== undefined) return openCatalog(await readCatalog(url, process.env));
  throw new ChaperoneError(
    'CHP-1003',
    '--catalog or --url is needed: names resolve by the catalog.',
    {
      hint: 'Save it once with `chaperone policy catalog --url postgres://… > catalog.json`.',
    },
  );
}

function readTime(text: string): number {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new InvalidArgumentError('a time such as 2026-01-31T06:00:00Z.');
  return ms;
}

const urlHelp =
  'postgres://USER@HOST:PORT/DATABASE?sslmode=…&sslrootcert=…; the password from PGPASSWORD';

export function registerPolicy(program: Command): void {
  const policy = program.command('policy').description('check and try out policies');
  const directory = ['-d, --directory <dir>', 'directory of resources', '.'] as const;
  policy
    .command('test [statement]')
    .description('tell what becomes of a statement, which rule decides it, and what is masked')
    .option(...directory)
    .option('-i, --identity <name>', 'NAME or NAMESPACE/NAME of a MachineIdentity')
    .option('-t, --target <name>', 'NAME or NAMESPACE/NAME of a Target')
    .option('--catalog <file>', 'file that `policy catalog` wrote')
    .option('--url <url>', `read the catalog from the database: ${urlHelp}`)
    .option(
      '--cases <file>',
      'YAML list of {name, identity, target, statement, expect, rule, masked, at}',
    )
    .option('--at <time>', 'decide as at this time', readTime)
    .option('--source-ip <address>', 'decide as for this caller')
    .addOption(
      new Option('-o, --output <form>', 'text for people, or json')
        .choices(['text', 'json'])
        .default('text'),
    )
    .action(async (statement: string | undefined, options: TestOptions) => {
      if (!(await testPolicy(statement, options, process.stdout))) process.exitCode = 1;
    });
  policy
    .command('check')
    .description('validate the files of a directory')
    .option(...directory)
    .action(async (options: { readonly directory: string }) => {
      if (!(await checkResources(options.directory, process.stdout))) process.exitCode = 1;
    });
  policy
    .command('catalog')
    .description('read the names of a database, without its data, for `policy test --catalog`')
    .requiredOption('--url <url>', urlHelp)
    .action(({ url }: { readonly url: string }) => saveCatalog(url, process.stdout));
  registerPolicyShow(policy);
}
