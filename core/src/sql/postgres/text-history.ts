import { type StatementAnalysis, verbClasses } from '../operation.ts';

/** Statements whose DDL concerns only the relations that they name. */
const namedChanges: ReadonlySet<string> = new Set([
  'CreateStmt',
  'CreateTableAsStmt',
  'SelectStmt',
  'IndexStmt',
  'ViewStmt',
  'CreateSeqStmt',
  'AlterSeqStmt',
  'AlterTableStmt',
  'RenameStmt',
  'CommentStmt',
  'RefreshMatViewStmt',
]);

/** Statements that resolve no name. */
const independent: ReadonlySet<string> = new Set([
  'TransactionStmt',
  'VariableSetStmt',
  'VariableShowStmt',
  'DiscardStmt',
  'DeallocateStmt',
  'ClosePortalStmt',
  'FetchStmt',
  'UnlistenStmt',
  'ConstraintsSetStmt',
]);

/**
 * What the earlier statements of one text may have changed (decisions 2). The catalog was read before the
 * text, so a later statement that depends on such a change is not understood.
 */
export class TextHistory {
  readonly #names = new Set<string>();
  #everything = false;
  #resolution = false;

  /** The analysis as it holds at that place in the text; remembers what the statement changes. */
  follow(analysis: StatementAnalysis, database: string): StatementAnalysis {
    const reason = this.#objection(analysis);
    this.#remember(analysis);
    if (reason === undefined) return analysis;
    return {
      ...analysis,
      operations: [
        ...analysis.operations,
        {
          verb: 'Unknown',
          class: verbClasses.Unknown,
          resource: [database],
          reach: 'Named',
          reason,
        },
      ],
      effects: { ...analysis.effects, resolution: true, catalog: true },
      userCode: true,
    };
  }

  #objection({ kind, operations }: StatementAnalysis): string | undefined {
    if (independent.has(kind) && operations.length === 0) return undefined;
    // Operators and types are names too, so even SELECT 1 + 1 depends on the path.
    if (this.#resolution) {
      return 'an earlier statement of the same text may change how names resolve';
    }
    if (this.#everything) return 'an earlier statement of the same text changes the catalog';
    for (const { resource } of operations) {
      const name = resource.at(-1);
      if (name !== undefined && this.#names.has(name)) {
        return `an earlier statement of the same text changes ${name}`;
      }
    }
    return undefined;
  }

  #remember({ kind, effects, operations }: StatementAnalysis): void {
    if (effects.resolution === true) this.#resolution = true;
    if (effects.catalog !== true) return;
    if (!namedChanges.has(kind) || operations.some(({ verb }) => verb === 'Unknown')) {
      this.#everything = true;
    }
    for (const { resource } of operations) {
      const name = resource.at(-1);
      if (name !== undefined) this.#names.add(name);
    }
  }
}
