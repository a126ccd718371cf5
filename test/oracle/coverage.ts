import type { Operation, StatementAnalysis } from '@chaperone/core/sql/operation.ts';
import type { Knowledge, Sight, Touch } from './watch.ts';

/** How the operations compare with what was seen. */
export type Verdict =
  | { readonly kind: 'Covered' }
  /** An operation that only a rule naming it allows: nothing is claimed. */
  | { readonly kind: 'Unknown'; readonly reason: string }
  /** The statement changed what the watch itself stands on, such as the name of a built-in type. */
  | { readonly kind: 'Unseen' }
  | { readonly kind: 'Missed'; readonly missed: readonly string[] };

const blind: ReadonlySet<string> = new Set(['Unknown', 'Do', 'Call', 'FunctionCall']);
const verbs = (text: string): ReadonlySet<string> => new Set(text.split(' '));
const schemaVerbs = 'Create Alter Drop Comment Grant Revoke Refresh Maintain System';
const writing = 'Insert Update Delete CopyIn Truncate';

/** The verbs of which one on the relation covers a fact; undefined: any. */
const coveredBy: Readonly<Record<string, ReadonlySet<string> | undefined>> = {
  seen: undefined,
  // An INSERT looks for what would conflict, TRUNCATE builds empty indexes.
  scanned: verbs(`Select CopyOut ${writing} Merge ${schemaVerbs}`),
  inserted: verbs('Insert CopyIn Create Refresh Alter'),
  updated: verbs('Update Alter'),
  deleted: verbs('Delete Alter'),
  contents: verbs(`${writing} Alter Drop Create Refresh`),
  advanced: verbs('Update Alter Create Truncate'),
  maintained: verbs('Maintain'),
  changed: verbs(`${schemaVerbs} Truncate`),
  created: verbs('Create'),
  dropped: verbs('Drop'),
  'mode:RowShare': verbs(`Lock ${writing} Merge ${schemaVerbs}`),
  'mode:RowExclusive': verbs(`Lock ${writing} Merge ${schemaVerbs}`),
  'mode:ShareUpdateExclusive': verbs(`Lock ${schemaVerbs}`),
  'mode:Share': verbs(`Lock Truncate ${schemaVerbs}`),
  'mode:ShareRowExclusive': verbs(`Lock ${schemaVerbs}`),
  'mode:Exclusive': verbs(`Lock ${schemaVerbs}`),
  'mode:AccessExclusive': verbs(`Lock Truncate ${schemaVerbs}`),
};

/** Verbs that policies may name and that nothing the server tells of tells apart from others. */
const ownVerbs: Readonly<Record<string, ReadonlySet<string>>> = {
  MergeStmt: verbs('Merge'),
  CopyStmt: verbs('CopyIn CopyOut ServerFile ServerProgram'),
  TruncateStmt: verbs('Truncate'),
  LockStmt: verbs('Lock'),
  RefreshMatViewStmt: verbs('Refresh'),
  GrantStmt: verbs('Grant Revoke'),
  CommentStmt: verbs('Comment System'),
  NotifyStmt: verbs('Notify'),
  ListenStmt: verbs('Listen'),
};

/** Statements that keep a text for later: what it names is looked up and locked, and nothing is done to it. */
const keeping: ReadonlySet<string> = new Set([
  'CreateFunctionStmt',
  'CreatePolicyStmt',
  'AlterPolicyStmt',
  'CreateTrigStmt',
  'RuleStmt',
]);
/** Statements that only plan, where nothing but a lock tells a write. */
const planning: ReadonlySet<string> = new Set(['ExplainStmt']);

/** Compares what `analyses` say together with what was seen. The first names the statement that ran. */
export function compare(
  analyses: readonly StatementAnalysis[],
  sight: Sight,
  known: Knowledge,
  database: string,
): Verdict {
  const operations = analyses.flatMap((analysis) => analysis.operations);
  const unknown = operations.find(({ verb }) => blind.has(verb));
  if (unknown !== undefined) return { kind: 'Unknown', reason: unknown.reason ?? unknown.verb };
  const check = new Check(analyses, operations, sight, known, database);
  const missed = [...new Set(check.all())];
  return missed.length === 0 ? { kind: 'Covered' } : { kind: 'Missed', missed };
}

class Check {
  readonly #kind: string;
  readonly #operations: readonly Operation[];
  readonly #sight: Sight;
  readonly #known: Knowledge;
  readonly #byRelation = new Map<string, Set<string>>();
  readonly #ownersCode: boolean;
  readonly #userCode: boolean;
  readonly #resolution: boolean;

  constructor(
    analyses: readonly StatementAnalysis[],
    operations: readonly Operation[],
    sight: Sight,
    known: Knowledge,
    database: string,
  ) {
    this.#kind = analyses[0]?.kind ?? '';
    this.#operations = operations;
    this.#sight = sight;
    this.#known = known;
    this.#ownersCode = operations.some(({ sideEffects }) => sideEffects === true);
    this.#userCode = analyses.some(({ userCode }) => userCode);
    this.#resolution = analyses.some(({ effects }) => effects.resolution === true);
    for (const { verb, resource } of operations) {
      if (resource.length !== 3 || resource[0] !== database) continue;
      const name = `${resource[1]?.replace(/^pg_temp_.*/, 'pg_temp')}.${resource[2]}`;
      const found = this.#byRelation.get(name);
      if (found === undefined) this.#byRelation.set(name, new Set([verb]));
      else found.add(verb);
    }
  }

  all(): string[] {
    const own = ownVerbs[this.#kind];
    // COPY of VALUES copies nothing that is anybody's.
    const nothing = this.#kind === 'CopyStmt' && this.#sight.touches.length === 0;
    const named =
      own === undefined || nothing || this.#operations.some(({ verb }) => own.has(verb));
    return [
      ...(named ? [] : [`the verb of ${this.#kind}`]),
      ...this.#sight.touches
        .filter((touch) => !this.#covered(touch) && !this.#outside(touch))
        .map(({ relation, fact }) => `${fact} ${relation}`),
      ...this.#objects(),
      ...this.#code(),
      ...this.#session(),
    ];
  }

  #verbsOn(relation: string): ReadonlySet<string> {
    return this.#byRelation.get(relation) ?? new Set();
  }

  #hasAny(relation: string, wanted: ReadonlySet<string> | undefined): boolean {
    const found = this.#verbsOn(relation);
    if (wanted === undefined) return found.size > 0;
    for (const verb of found) if (wanted.has(verb)) return true;
    return false;
  }

  #covered({ relation, fact }: Touch): boolean {
    if (!(fact in coveredBy)) throw new Error(`no such fact: ${fact}`);
    if (this.#hasAny(relation, coveredBy[fact])) return true;
    // A partition's row that moves is deleted here and inserted there.
    const moves = fact === 'inserted' || fact === 'deleted';
    return (
      moves && this.#known.partitions.includes(relation) && this.#verbsOn(relation).has('Update')
    );
  }

  /** What decisions leave outside of the coverage: the owner's code, checks of foreign keys, a table's own sequences. */
  #outside(touch: Touch): boolean {
    const { relation, fact } = touch;
    const onlyLocked = fact === 'seen' || fact.startsWith('mode:');
    // What hangs on a relation, such as statistics, goes under a lock on it, and nothing of it changes.
    if (this.#kind === 'DropStmt' && fact === 'mode:ShareUpdateExclusive') return true;
    if (keeping.has(this.#kind) && onlyLocked) return true;
    if (planning.has(this.#kind) && onlyLocked && this.#hasAny(relation, undefined)) return true;
    if (fact === 'seen' && this.#asksCatalog()) return true;
    if (onlyLocked && this.#siblingGoes(relation)) return true;
    if (relation.startsWith('own.') && (this.#ownersCode || this.#userCode)) return true;
    return this.#checkOfKey(touch) || this.#ownSequence(touch);
  }

  /** The default partition is locked while another one goes: what it may hold changes, and not what it holds. */
  #siblingGoes(relation: string): boolean {
    const { partitions } = this.#known;
    return (
      partitions.includes(relation) && partitions.some((other) => this.#verbsOn(other).has('Drop'))
    );
  }

  /** A function of the catalog, such as one that prints a view, locks what it tells of. */
  #asksCatalog(): boolean {
    return this.#operations.some(
      ({ class: operationClass, columns }) => operationClass === 'Catalog' && columns === undefined,
    );
  }

  /**
   * Rows of one side are looked up, or share-locked, when the other side's change; making or dropping a key locks
   * the relation that it refers to. The relation that refers loses a constraint only by an operation of its own.
   */
  #checkOfKey({ relation, fact }: Touch): boolean {
    const looks = ['seen', 'scanned', 'mode:RowShare'].includes(fact);
    for (const [from, to] of [...this.#sight.keys, ...this.#known.keys]) {
      const other = relation === from ? to : relation === to ? from : undefined;
      if (other === undefined) continue;
      if (looks && this.#hasAny(other, verbs(`${writing} Alter Create`))) return true;
      // An index that is built anew is another one to the keys that lean on it.
      const leans = fact === 'changed' || fact.startsWith('mode:');
      if (leans && relation === from && this.#hasAny(to, verbs('Maintain'))) return true;
      const gone = !this.#sight.keys.some(([left, right]) => left === from && right === to);
      const ties = fact === 'seen' || fact === 'changed' || fact.startsWith('mode:');
      if (ties && relation === to && this.#hasAny(from, verbs('Create Alter Drop'))) {
        if (gone || this.#verbsOn(relation).has('Select')) return true;
      }
    }
    return false;
  }

  /** A sequence that is a part of its relation goes with it; one that only a default names is used by its writes. */
  #ownSequence({ relation, fact }: Touch): boolean {
    const { sequences, defaults } = this.#known;
    const owners = [sequences[relation], this.#sight.owned[relation]];
    const used = fact === 'advanced' || fact === 'seen' || fact === 'mode:RowExclusive';
    if (used) {
      const users = [...owners, defaults[relation]];
      if (users.some((one) => one && this.#hasAny(one, verbs(`${writing} Merge`)))) return true;
    }
    return owners.some((one) => one && this.#hasAny(one, verbs(`${schemaVerbs} Truncate`)));
  }

  /** Functions, types, roles and the like: named in the schema that they stand in, or an operation on the server. */
  #objects(): string[] {
    return this.#sight.objects
      .filter(({ name }) => {
        const plain = name.replaceAll('"', '');
        return !this.#operations.some(({ verb, class: operationClass, resource }) => {
          if (verb === 'System') return true;
          const structural = ['Schema', 'Privilege'].includes(operationClass);
          if (!structural) return false;
          const named = resource.slice(1).join('.');
          // A whole schema's functions are named by the schema.
          return resource.length === 1 || named === plain || plain.startsWith(`${named}.`);
        });
      })
      .map(({ change, name }) => `${change} ${name}`);
  }

  #code(): string[] {
    return this.#sight.functions
      .filter((name) => !(name.startsWith('own.') && (this.#ownersCode || this.#userCode)))
      .map((name) => `ran ${name}`);
  }

  #session(): string[] {
    const has = (verb: string): boolean =>
      this.#operations.some((operation) => operation.verb === verb);
    const missed = this.#sight.settings
      .filter((name) => {
        switch (name) {
          case 'role':
          case 'session_authorization':
            return !has('SetRole') && !this.#resolution;
          case 'search_path':
            return !this.#resolution;
          default:
            return !has('Set');
        }
      })
      .map((name) => `set ${name}`);
    if (this.#sight.advisoryLock && !has('Lock')) missed.push('took an advisory lock');
    return missed;
  }
}
