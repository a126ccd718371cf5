/**
 * Texts of several statements: what each of them really did, one after the other in one transaction, against what the
 * analysis of the whole text says of it; and the catalog that the analyzer has followed to the end of the text
 * against the one that the server has by then.
 */
import { analyze, analyzeTree } from '@chaperone/core/sql/postgres/analyze.ts';
import { Budget } from '@chaperone/core/sql/postgres/budget.ts';
import { parseSql } from '@chaperone/core/sql/postgres/parser.ts';
import type { AnalyzeContext } from '@chaperone/core/sql/postgres/run.ts';
import { TextHistory } from '@chaperone/core/sql/postgres/text-history.ts';
import pg from 'pg';
import { compare, type Verdict } from './coverage.ts';
import { readContext, type Scratch, type Spoil, without } from './scratch.ts';
import { differences } from './text-catalogs.ts';
import type { Knowledge, Sight, Watch } from './watch.ts';

export interface TextOutcome {
  /** Of the statements that the server took, in their order. */
  readonly verdicts: readonly Verdict[];
  readonly taken: readonly string[];
  /** The server took all of them. */
  readonly whole: boolean;
  /** What the catalog that was followed says of the end of the text, and the server does not. */
  readonly differences: readonly string[];
}

export interface Trial {
  /** What search_path is set to before. */
  readonly path?: string;
  readonly spoil?: Spoil;
  /** Statements that the server does not take are left out; else the text ends there, as it would. */
  readonly omitsFailing?: boolean;
}

/** Runs the statements in a transaction that is rolled back. */
export async function tryText(
  scratch: Scratch,
  statements: readonly string[],
  { path, spoil = (one) => one, omitsFailing = false }: Trial = {},
): Promise<TextOutcome> {
  const { client, watch } = await scratch.session();
  await client.query(`SET search_path = ${path ?? 'DEFAULT'}`);
  await watch.begin();
  const context = path === undefined ? scratch.context : await readContext(client);
  const verdicts: Verdict[] = [];
  const taken: string[] = [];
  let names = scratch.known.names;
  let already: Sight | undefined;
  let begun = false;
  const end = { verdicts, taken, whole: false, differences: [] };
  for (const sql of statements) {
    await watch.before(!begun);
    begun = true;
    await client.query('SAVEPOINT trying');
    try {
      await client.query(sql);
    } catch (error) {
      if (!(error instanceof pg.DatabaseError)) throw error;
      if (!omitsFailing) return end;
      await client.query('ROLLBACK TO trying');
      // A sequence stays locked, whatever is rolled back.
      if (/val\(|SEQUENCE/.test(sql)) already = await look(client, watch);
      continue;
    }
    taken.push(sql);
    const analysis = analyze(taken.join(';\n'), context).statements.at(-1);
    if (analysis === undefined) throw new Error(`not understood: ${taken.join('; ')}`);
    let sight: Sight;
    try {
      sight = await look(client, watch);
    } catch (error) {
      if (!(error instanceof pg.DatabaseError)) throw error;
      verdicts.push({ kind: 'Unseen' });
      return end;
    }
    const own = without(sight, already);
    const known = knownBefore(scratch.known, already);
    const verdict = compare([spoil(analysis)], own, known, context.database);
    verdicts.push(
      verdict.kind === 'Missed'
        ? compareRenamed([spoil(analysis)], own, names, verdict.missed, known)
        : verdict,
    );
    names = sight.names ?? names;
    already = sight;
  }
  return { ...end, whole: true, differences: await compareCatalogs(client, taken, context) };
}

/** What is there by now; looking takes locks, which are given up again. */
async function look(client: pg.Client, watch: Watch): Promise<Sight> {
  await client.query('SAVEPOINT looking');
  const sight = await watch.after(false);
  await client.query('ROLLBACK TO looking');
  return sight;
}

/** What holds just before a statement of a text. */
function knownBefore(known: Knowledge, already: Sight | undefined): Knowledge {
  if (already === undefined) return known;
  return {
    ...known,
    keys: [...known.keys, ...already.keys],
    sequences: { ...known.sequences, ...already.owned },
  };
}

/** The same by the names that relations had just before the statement: the watch tells those before the text. */
function compareRenamed(
  analyses: Parameters<typeof compare>[0],
  sight: Sight,
  names: Readonly<Record<string, string>>,
  missed: readonly string[],
  known: Knowledge,
): Verdict {
  const now = new Map<string, string>();
  for (const [oid, name] of Object.entries(known.names)) {
    const other = names[oid];
    if (other !== undefined && other !== name) now.set(name, other);
  }
  const renamed = {
    ...sight,
    touches: sight.touches.map((touch) => ({
      ...touch,
      relation: now.get(touch.relation) ?? touch.relation,
    })),
  };
  const verdict = compare(analyses, renamed, known, 'scratch');
  if (verdict.kind !== 'Missed') return verdict;
  const still = missed.filter((one) => {
    const [fact = '', relation = ''] = one.split(' ');
    return verdict.missed.includes(`${fact} ${now.get(relation) ?? relation}`);
  });
  return still.length === 0 ? { kind: 'Covered' } : { kind: 'Missed', missed: still };
}

/** The history of a text up to its end, or undefined where not all of it is understood. */
function historyOf(
  statements: readonly string[],
  context: AnalyzeContext,
): TextHistory | undefined {
  const budget = new Budget();
  const history = new TextHistory(context, budget);
  for (const statement of parseSql(statements.join(';\n')).statements ?? []) {
    const analysis = history.follow(
      analyzeTree(statement, history.context, budget),
      statement.stmt,
    );
    if (analysis.operations.some(({ verb }) => verb === 'Unknown')) return undefined;
  }
  return history;
}

async function compareCatalogs(
  client: pg.Client,
  statements: readonly string[],
  context: AnalyzeContext,
): Promise<readonly string[]> {
  if (historyOf(statements, context) === undefined) return [];
  let document = '';
  const real = await readContext(client, (json) => {
    document = json;
  });
  return differences(document, real, context.database, () => {
    const history = historyOf(statements, context);
    if (history === undefined) throw new Error('the same text was understood before');
    return history;
  });
}
