import { type StatementAnalysis, verbClasses } from '../operation.ts';
import { bodyOf, type Node } from './ast.ts';
import { type Budget, CapError } from './budget.ts';
import type { CatalogRelation } from './catalog.ts';
import { isRelationType } from './objects.ts';
import { type AnalyzeContext, Run } from './run.ts';
import { TextCatalog } from './text-catalog.ts';
import { followSchema, followSetPath, type NamePath } from './text-path.ts';
import { followStatement } from './text-statements.ts';

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

/** What RenameStmt gives other names, besides relations: parts of them. */
const renamedParts: ReadonlySet<string> = new Set([
  'OBJECT_COLUMN',
  'OBJECT_TABCONSTRAINT',
  'OBJECT_TRIGGER',
  'OBJECT_RULE',
  'OBJECT_POLICY',
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

/** Statements that keep another for later, when the text is analyzed again, by the catalog of then. */
const keeping: ReadonlySet<string> = new Set(['PrepareStmt', 'DeclareCursorStmt']);

/** So many changes are followed in one text: each may look through those before it. */
const maxFollowed = 500;

/** The ends of names that PostgreSQL chooses for indexes and sequences of what was not followed. */
const chosenEndings = ['pkey', 'key', 'idx', 'excl', 'seq'];

/** Kinds of relations that go with others. */
const goesAlong: ReadonlySet<string> = new Set(['i', 'I', 'S', 'v', 'm']);

/** Classes whose operations on a whole schema or database reach relations that only the catalog lists. */
const listing: ReadonlySet<string> = new Set(['Privilege', 'Admin']);

/**
 * What the earlier statements of one text have changed (decisions 2). The catalog was read before the text. What
 * a statement makes and changes is followed where it is told by the statement alone (text-statements.ts); a later
 * statement that depends on any other change is not understood.
 */
export class TextHistory {
  readonly #text: TextCatalog;
  readonly #context: AnalyzeContext;
  readonly #budget: Budget;
  #path: NamePath;
  /** Changed by what was not followed. */
  readonly #names = new Set<string>();
  /** Changed at all. */
  readonly #allNames = new Set<string>();
  #everything = false;
  #resolution = false;
  #pathFollowed = false;
  #followed = 0;

  constructor(context: AnalyzeContext, budget: Budget) {
    this.#context = context;
    this.#budget = budget;
    this.#text = new TextCatalog(context.catalog, budget);
    this.#path = context;
  }

  /** What the next statement is to be analyzed by. */
  get context(): AnalyzeContext {
    return { ...this.#context, ...this.#path, catalog: this.#text.current };
  }

  /** The analysis as it holds at that place in the text; remembers what the statement changes. */
  follow(analysis: StatementAnalysis, node: Node | undefined): StatementAnalysis {
    const { database } = this.#context;
    const reason = this.#objection(analysis);
    if (reason === undefined) {
      this.#remember(analysis, node);
      return analysis;
    }
    this.#everything = true;
    const objected = objectedTo(analysis, database, reason);
    const { prepare, declare } = analysis.effects;
    return {
      ...objected,
      effects: {
        ...objected.effects,
        resolution: true,
        catalog: true,
        // What is kept for later is decided then without what was said of its keeping.
        ...(prepare && {
          prepare: { ...prepare, inner: objectedTo(prepare.inner, database, reason) },
        }),
        ...(declare && {
          declare: { ...declare, inner: objectedTo(declare.inner, database, reason) },
        }),
      },
    };
  }

  #objection({ kind, operations }: StatementAnalysis): string | undefined {
    if (independent.has(kind) && operations.length === 0) return undefined;
    // Operators and types are names too, so even SELECT 1 + 1 depends on the path.
    if (this.#resolution) {
      return 'an earlier statement of the same text may change how names resolve';
    }
    if (this.#everything) return 'an earlier statement of the same text changes the catalog';
    if (this.#allNames.size > 0 || this.#pathFollowed) {
      // What it stands for is looked up by the catalog of before the text.
      if (kind === 'ExecuteStmt')
        return 'an earlier statement of the same text changes the catalog';
      if (this.#pathFollowed && keeping.has(kind)) {
        return 'an earlier statement of the same text changes how names resolve';
      }
    }
    const isKept = keeping.has(kind);
    for (const { resource, class: operationClass } of operations) {
      const name = resource.at(-1) ?? '';
      if (this.#names.has(name) || (isKept && this.#allNames.has(name))) {
        return `an earlier statement of the same text changes ${name}`;
      }
      const anyChanged = this.#names.size > 0 || (isKept && this.#allNames.size > 0);
      if (anyChanged && resource.length < 3 && listing.has(operationClass)) {
        return 'an earlier statement of the same text changes what is there';
      }
    }
    return undefined;
  }

  #remember(analysis: StatementAnalysis, node: Node | undefined): void {
    const { effects, operations } = analysis;
    if (effects.resolution === true && !this.#followPath(analysis, node)) this.#resolution = true;
    if (effects.catalog !== true) return;
    for (const { resource } of operations) {
      this.#allNames.add(resource.at(-1) ?? '');
      // With its first object, the temporary schema comes into the path.
      if (resource[1]?.startsWith('pg_temp')) this.#pathFollowed = true;
    }
    try {
      if (!this.#followChange(analysis, node)) this.#distrust(analysis, node);
    } catch (error) {
      if (error instanceof CapError) throw error;
      // A fault of ours: fail closed.
      this.#everything = true;
    }
  }

  #followPath(analysis: StatementAnalysis, node: Node | undefined): boolean {
    if (node === undefined || isUnknown(analysis)) return false;
    const usable = new Set(this.#context.searchPath);
    const path = followSetPath(node, this.#path, usable, this.#text);
    if (path === undefined) return false;
    this.#changePath(path);
    return true;
  }

  #changePath(path: NamePath): void {
    if (path !== this.#path) this.#pathFollowed = true;
    this.#path = path;
  }

  #followChange(analysis: StatementAnalysis, node: Node | undefined): boolean {
    // What somebody's code does to what was just made is not told.
    const { hasEventTriggers } = this.#context.catalog;
    this.#followed += 1;
    if (this.#followed > maxFollowed) {
      this.#everything = true;
      return true;
    }
    if (node === undefined || isUnknown(analysis) || hasEventTriggers) return false;
    const lost: string[] = [];
    const done = this.#text.attempt(() => {
      const run = new Run(this.context, false, this.#budget);
      const schema = bodyOf(node, 'CreateSchemaStmt');
      if (schema !== undefined) {
        const path = followSchema(schema, this.#path, this.#text);
        if (path !== undefined) this.#changePath(path);
        return path !== undefined;
      }
      return followStatement({ run, text: this.#text }, node, analysis, (name) => lost.push(name));
    });
    if (done) for (const name of lost) this.#names.add(name);
    return done;
  }

  /** From here on, nothing is known of what the statement names. */
  #distrust(analysis: StatementAnalysis, node: Node | undefined): void {
    const { kind, operations } = analysis;
    const rename = bodyOf(node, 'RenameStmt');
    const isOther =
      rename !== undefined &&
      !isRelationType(rename.renameType) &&
      !renamedParts.has(rename.renameType ?? '');
    if (!namedChanges.has(kind) || isUnknown(analysis) || isOther) {
      this.#everything = true;
      return;
    }
    // What hangs on a type, or on a name in a text, is not told by operations.
    if (kind !== 'CommentStmt') for (const name of namesIn(node)) this.#names.add(name);
    this.#text.attempt(() => {
      for (const { verb, resource } of operations) {
        const [, schema = '', name = schema] = resource;
        this.#names.add(resource.at(-1) ?? '');
        for (const ending of chosenEndings) this.#text.addChosenName(schema, ending);
        // A relation is a type, too; of one that is temporary the path may not have the schema yet.
        if (verb === 'Create' && resource.length === 3) {
          const [first = schema] = this.#path.searchPath;
          this.#text.addType(schema.startsWith('pg_temp') ? first : schema, name);
        }
        const relation = resource.length === 3 ? this.#text.relation(schema, name) : undefined;
        if (relation !== undefined) this.#distrustParts(relation);
      }
      return true;
    });
  }

  /** Indexes, sequences and views may go with what they hang on, and their names become those of others. */
  #distrustParts({ oid, dependents }: CatalogRelation): void {
    const waiting = [...this.#text.indexesOf(oid), ...dependents];
    const seen = new Set<number>();
    for (let part = waiting.pop(); part !== undefined; part = waiting.pop()) {
      this.#budget.search(1);
      const relation = seen.has(part) ? undefined : this.#text.relationByOid(part);
      seen.add(part);
      if (relation === undefined || !goesAlong.has(relation.kind)) continue;
      this.#names.add(relation.name);
      waiting.push(...this.#text.indexesOf(part), ...relation.dependents);
    }
  }
}

/** The analysis, and that it may not be what the statement does. */
function objectedTo(
  analysis: StatementAnalysis,
  database: string,
  reason: string,
): StatementAnalysis {
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
    userCode: true,
  };
}

function isUnknown({ operations }: StatementAnalysis): boolean {
  return operations.some(({ verb }) => verb === 'Unknown');
}

/** Every text in a tree that may be the last part of a name, as it stands or as an identifier. */
function namesIn(node: Node | undefined): ReadonlySet<string> {
  const names = new Set<string>();
  const waiting: unknown[] = [node];
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    if (typeof value === 'string') {
      const last = value.slice(value.lastIndexOf('.') + 1).trim();
      const plain = last.replace(/^_|"/g, '');
      for (const name of [value, last, plain, plain.toLowerCase()]) names.add(name);
    } else if (typeof value === 'object' && value !== null) {
      for (const child of Object.values(value)) if (child !== undefined) waiting.push(child);
    }
  }
  return names;
}
