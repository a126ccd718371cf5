/**
 * What a statement does, in terms that a policy can match. Every dialect's analyzer yields these; the
 * decision never sees SQL.
 */

/** The classes of AccessPolicy rules. `Unknown` is matched only by a rule that names the verb `Unknown`. */
export type OperationClass =
  | 'Read'
  | 'Write'
  | 'Schema'
  | 'Privilege'
  | 'Session'
  | 'Procedure'
  | 'Export'
  | 'Admin'
  | 'Catalog'
  | 'Unknown';

/** Each verb belongs to one class (`classOf`), but `Select` on a reviewed system catalog is `Catalog`. */
export const verbClasses = {
  Select: 'Read',
  Insert: 'Write',
  Update: 'Write',
  Delete: 'Write',
  Merge: 'Write',
  CopyIn: 'Write',
  Truncate: 'Write',
  /** COPY … TO STDOUT: the rows leave in bulk. */
  CopyOut: 'Export',
  Create: 'Schema',
  Alter: 'Schema',
  Drop: 'Schema',
  Comment: 'Schema',
  Refresh: 'Schema',
  Grant: 'Privilege',
  Revoke: 'Privilege',
  SetRole: 'Privilege',
  Set: 'Session',
  Show: 'Session',
  Lock: 'Session',
  Listen: 'Session',
  Notify: 'Session',
  Call: 'Procedure',
  Do: 'Procedure',
  FunctionCall: 'Procedure',
  /** Files and programs on the database server, COPY FROM/TO a file or PROGRAM. */
  ServerFile: 'Admin',
  ServerProgram: 'Admin',
  Maintain: 'Admin',
  System: 'Admin',
  Replication: 'Admin',
  Unknown: 'Unknown',
} as const satisfies Record<string, OperationClass>;

export type Verb = keyof typeof verbClasses;

/** The verbs that no wildcard and no class matches: only a rule that names the verb does (attacks §10). */
export const namedOnlyVerbs: ReadonlySet<Verb> = new Set<Verb>([
  'Unknown',
  'Do',
  'Call',
  'FunctionCall',
  'ServerFile',
  'ServerProgram',
  'Replication',
  'SetRole',
]);

/**
 * One thing that a statement does to one resource.
 *
 * - `resource`: the parts of its name, outermost first: [database, schema, relation] for relations,
 *   functions and types; [database, setting] for Set/Show; [database, channel] for Listen/Notify;
 *   [database] for what concerns the whole database. Parts are exact names, never patterns.
 * - `columns`: names of the columns read or written, each once; absent where the operation is not about
 *   columns; `wholeRow` when the row is used as such (then `columns` has all of them).
 * - `reach`: `Named` when the statement names the relation; `Beneath` for what stands below it (views
 *   expanded, partitions, inheritance, rules, cascades). Allow is matched on `Named` only; Deny and
 *   RequireApproval on both.
 */
export interface Operation {
  readonly verb: Verb;
  readonly class: OperationClass;
  readonly resource: readonly string[];
  readonly columns?: readonly string[];
  readonly reach: 'Named' | 'Beneath';
  /** Triggers, RLS, defaults or constraint functions of the target's owner may run with it. */
  readonly sideEffects?: boolean;
  /** For `Unknown` and named-only verbs: what was not understood, in words fit for an error message. */
  readonly reason?: string;
}

/** One column of one relation, by catalog identity and by name. */
export interface ColumnId {
  readonly relationOid: number;
  readonly attnum: number;
  /** [database, schema, relation, column]. */
  readonly name: readonly [string, string, string, string];
  readonly typeOid: number;
}

/**
 * What one output column carries.
 * - `values`: base columns whose value it is, unchanged and with its type (through aliases, joins,
 *   sub-selects, CTEs, views, UNION, casts between text types). Several where branches of a set
 *   operation or COALESCE/CASE may each supply it.
 * - `derived`: base columns that it depends on in any other way (expressions, aggregates, whole rows).
 * A view's own column is listed as well as the base column beneath, so that a rule may name either.
 */
export interface OutputColumn {
  readonly name: string;
  /** The type's OID where the catalog tells it. */
  readonly typeOid?: number;
  readonly values: readonly ColumnId[];
  readonly derived: readonly ColumnId[];
}

/**
 * A use of a column outside the select list that can leak by guessing or by copying.
 * - `Lookup`: equality with a constant or parameter, IN (list), equi-join.
 * - `Any`: everything else that influences which rows come back or in which order, or whether the statement fails.
 * - `Store`: its value, or one derived from it, is written to another column or a new relation, or kept in a
 *   setting, a sequence or a lock; or the relation leaves those whose rules hold for it.
 * - `Explain`: EXPLAIN of a statement that reads it.
 */
export interface ColumnUse {
  readonly column: ColumnId;
  readonly usage: 'Lookup' | 'Any' | 'Store';
}

export interface CopyFormat {
  readonly direction: 'In' | 'Out';
  readonly format: 'text' | 'csv' | 'binary';
  /** True when only defaults of `format` are used (delimiter, null, quote, escape, header, encoding). */
  readonly defaults: boolean;
}

/** How a statement changes the session, beyond the rows it touches. */
export interface SessionEffects {
  readonly transaction?:
    | 'Begin'
    | 'Commit'
    | 'Rollback'
    | 'Savepoint'
    | 'Release'
    | 'RollbackTo'
    | 'TwoPhase';
  /** COMMIT or ROLLBACK … AND CHAIN. */
  readonly chain?: boolean;
  /** May change how later text parses or names resolve: search_path, role, DISCARD, ROLLBACK … */
  readonly resolution?: boolean;
  /** A name in it is looked up when it runs, not when it is parsed: by another search path it is another relation. */
  readonly lateNames?: boolean;
  /** May change the catalog: DDL, SELECT INTO, or anything Unknown. */
  readonly catalog?: boolean;
  /** PREPARE name AS …; `inner` is the statement it prepares. */
  readonly prepare?: { readonly name: string; readonly inner: StatementAnalysis };
  /** EXECUTE name: the session supplies what the name stands for. */
  readonly execute?: { readonly name: string };
  /** DEALLOCATE name, or null for ALL. */
  readonly deallocate?: { readonly name: string | null };
  /** DECLARE name CURSOR [WITH HOLD] FOR …. */
  readonly declare?: {
    readonly name: string;
    readonly hold: boolean;
    readonly inner: StatementAnalysis;
  };
  /** FETCH or MOVE; MOVE returns no rows. */
  readonly fetch?: { readonly name: string; readonly returnsRows: boolean };
  /** CLOSE name, or null for ALL. */
  readonly closeCursor?: { readonly name: string | null };
  readonly discard?: 'All' | 'Plans' | 'Sequences' | 'Temp';
  readonly copy?: CopyFormat;
}

/** One statement of a text, analyzed. Immutable and shared between sessions through the cache. */
export interface StatementAnalysis {
  /** The parser's node name, e.g. `SelectStmt`. */
  readonly kind: string;
  readonly operations: readonly Operation[];
  /** Undefined when it returns no rows; for EXECUTE and FETCH the session's names tell. */
  readonly outputs?: readonly OutputColumn[];
  readonly uses: readonly ColumnUse[];
  readonly facts: {
    readonly hasWhere: boolean;
    /** `database.schema.relation`, named or beneath, each once. */
    readonly relations: readonly string[];
    /** `schema.function`, each once. */
    readonly functions: readonly string[];
  };
  readonly effects: SessionEffects;
  /** A function that is not pg_catalog's, or a trigger or rule, may run: error texts are not trusted. */
  readonly userCode: boolean;
  /**
   * Present when it keeps code or a definition in the database that runs later and is not seen through, in words fit
   * for an error message. It is as the rules allow it, but no mask could hold against what it may do.
   */
  readonly keepsCode?: string;
  /**
   * Present when it shows settings whose names are values of these parameters (`$1` is 1). `operations` says
   * Unknown, which is what holds where no values are; `settled` is the statement without those settings.
   */
  readonly settingsByParameter?: {
    readonly parameters: readonly number[];
    readonly settled: StatementAnalysis;
  };
}

/** Why a text yielded no analysis. `Syntax` carries the parser's own words; the others are never forwarded. */
export interface AnalysisFailure {
  readonly kind: 'Syntax' | 'Cap' | 'Parser';
  readonly message: string;
  /** 1-based character position in the text, where the parser gave one. */
  readonly position?: number;
}

/** The outcome of analyzing one text; exactly one of `statements` and `failure` is meaningful. */
export type Analysis =
  | { readonly failure?: undefined; readonly statements: readonly StatementAnalysis[] }
  | { readonly failure: AnalysisFailure; readonly statements: readonly [] };
