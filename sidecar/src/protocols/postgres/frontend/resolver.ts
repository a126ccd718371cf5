/** What a name stands for, and what is decided about it. */
import type { Hold, LimitObligation, Refusal } from '@chaperone/core/policy/types.ts';
import type { StatementAnalysis } from '@chaperone/core/sql/operation.ts';
import type { StatementRun } from '../backend/expectation.ts';
import { bindDecided } from '../backend/mask-binding.ts';
import { RowMasker } from '../backend/row-masker.ts';
import { inParts, isBoundedWrite, isCountable, uncountable } from './bounded-writes.ts';
import type { AnalyzedText, DecidedStatement } from './decision-context.ts';
import { fetched, standsForAnother, withArguments } from './effects.ts';
import type { Flow } from './flow.ts';
import type { Portal, PreparedStatement } from './names.ts';
import {
  cannotMask,
  missingPortal,
  missingStatement,
  notResolvable,
  prepareAgain,
  refusalOfFailure,
} from './refusals.ts';
import { emptyStatement } from './statements.ts';

/** What SQL's PREPARE can make (manual, PREPARE). */
const preparable: ReadonlySet<string> = new Set([
  'SelectStmt',
  'InsertStmt',
  'UpdateStmt',
  'DeleteStmt',
  'MergeStmt',
]);

export class Resolver {
  readonly #flow: Flow;

  constructor(flow: Flow) {
    this.#flow = flow;
  }

  /** EXECUTE or FETCH of a name that may still come to stand for something else. */
  isUnsure({ effects: { execute, fetch } }: StatementAnalysis): boolean {
    const { statements, portals } = this.#flow.state;
    if (execute !== undefined) return statements.isUnsure(execute.name);
    return fetch !== undefined && portals.isUnsure(fetch.name);
  }

  /** What EXECUTE and FETCH stand for; everything else stands for itself. Not where `isUnsure`. */
  resolve(
    statement: StatementAnalysis,
  ): { readonly analysis: StatementAnalysis } | { readonly error: Buffer } {
    const { statements, portals } = this.#flow.state;
    const { execute, fetch } = statement.effects;
    if (execute !== undefined) {
      const entry = statements.get(execute.name);
      if (entry === undefined) return { error: missingStatement(execute.name) };
      const found = this.prepared(entry);
      if ('error' in found) return found;
      const { analysis = emptyStatement } = found;
      // A Parse message can prepare what PREPARE cannot, and EXECUTE would then change names unseen.
      if (!preparable.has(analysis.kind)) return { error: notResolvable('EXECUTE', execute.name) };
      return { analysis: withArguments(statement, analysis) };
    }
    if (fetch !== undefined) {
      const analysis = portals.get(fetch.name)?.analysis;
      if (analysis === undefined) return { error: missingPortal(fetch.name, 'cursor') };
      const opened = analysis.effects.declare?.inner ?? analysis;
      // What such a portal has begun to return is not what its name may stand for by now.
      if (standsForAnother(opened) || opened.effects.lateNames) {
        return { error: notResolvable('FETCH', fetch.name) };
      }
      return { analysis: fetched(opened) };
    }
    return { analysis: statement };
  }

  /**
   * The statement behind a prepared name. The backend resolves its names anew when the search path is
   * another, or when something that it uses has changed, but not when something new stands before what it
   * uses: so everything that it has meant under this search path is decided together.
   */
  prepared(
    entry: PreparedStatement,
  ):
    | { readonly analyzed: AnalyzedText; readonly analysis: StatementAnalysis | undefined }
    | { readonly error: Buffer } {
    const { context } = this.#flow.state;
    const analyzed = context.analyze(entry.text, entry.parameterTypes);
    const { failure, statements } = analyzed.analysis;
    if (failure !== undefined) return { error: refusalOfFailure(failure) };
    const current =
      entry.preparedAt === undefined
        ? statements[0]
        : statements[entry.preparedAt]?.effects.prepare?.inner;
    if (current === undefined) return { analyzed, analysis: undefined };
    const analysis = entry.meanings.under(context.key.searchPath, current);
    if (analysis === undefined) return { error: prepareAgain };
    return { analyzed, analysis };
  }

  /**
   * The masks of what a statement or portal returns, as far as its name can be resolved now; undefined while what it
   * stands for `isUnsure`.
   */
  plannedFor(known: PreparedStatement | Portal): Masks | undefined {
    let analysis: StatementAnalysis | undefined;
    let fingerprint: string;
    if ('text' in known) {
      const found = this.prepared(known);
      if ('error' in found) return [];
      analysis = found.analysis?.settingsByParameter?.settled ?? found.analysis;
      fingerprint = found.analyzed.fingerprint;
    } else ({ analysis, fingerprint } = known);
    if (analysis === undefined) return [];
    if (this.isUnsure(analysis)) return undefined;
    const resolved = this.resolve(analysis);
    if ('error' in resolved) return [];
    return this.decide(resolved.analysis, fingerprint, 'Extended').permit?.masks.columns ?? [];
  }

  decide(
    analysis: StatementAnalysis,
    fingerprint: string,
    protocol: 'Simple' | 'Extended' | 'FunctionCall',
  ): DecidedStatement {
    const { state, events } = this.#flow;
    return state.context.decide(analysis, fingerprint, protocol, events.request());
  }

  /** Decides a statement and binds its masks by the types that the catalog tells. */
  run(
    analysis: StatementAnalysis | undefined,
    fingerprint: string,
    resultFormats: readonly (0 | 1)[],
    protocol: 'Simple' | 'Extended' = 'Extended',
  ): StatementRun {
    const decided = this.decide(analysis ?? emptyStatement, fingerprint, protocol);
    const run = newRun(decided);
    const bound = bindDecided(decided, resultFormats);
    // What cannot be bound is unmaskable, and refused by `refusalOf`.
    if ('why' in bound) return run;
    run.masks = bound.masks;
    if (bound.masks !== null) run.masker = new RowMasker(bound.masks);
    return run;
  }

  /** Why any of the statements may not go out: by policy, by its masks, by its limits. */
  refusalOf(decided: readonly DecidedStatement[]): Refusal | Hold | undefined {
    for (const { refusal, unmaskable } of decided) {
      if (refusal !== undefined) return refusal;
      if (unmaskable !== undefined) return cannotMask(unmaskable);
    }
    const uncounted = decided.some((item) => isBoundedWrite(item) && !isCountable(item.analysis));
    if (uncounted) return uncountable(decided);
    for (const item of decided) {
      const parts = item.analysis.kind === 'FetchStmt' ? inParts(item) : undefined;
      if (parts !== undefined) return parts;
    }
    for (const item of decided) {
      const limited = this.#flow.events.admit(item);
      if (limited !== undefined) return limited;
    }
    return undefined;
  }

  /** Whether a decision made at Bind is still the newest policy's, and not expired. */
  stillHolds(decided: DecidedStatement): boolean {
    const { state, events } = this.#flow;
    if (decided.event.policyDigest !== state.context.key.policyDigest) return false;
    const { validUntilMs } = decided;
    return validUntilMs === 0 || events.request().nowMs < validUntilMs;
  }
}

type Masks = NonNullable<DecidedStatement['permit']>['masks']['columns'];

export function newRun(decided: DecidedStatement): StatementRun {
  const mustMask = decided.permit?.masks.columns.some((mask) => mask !== null) ?? false;
  return { decided, mustMask, masks: null, rows: 0, bytes: 0 };
}

/** The limits of a text's statements, each rule once. */
export function obligationsOf(decided: readonly DecidedStatement[]): readonly LimitObligation[] {
  if (decided.length === 1) return decided[0]!.permit?.limits ?? [];
  return [...new Set(decided.flatMap((item) => item.permit?.limits ?? []))];
}
