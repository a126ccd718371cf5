import {
  type ColumnId,
  type ColumnUse,
  type Operation,
  type OperationClass,
  type Verb,
  verbClasses,
} from '../operation.ts';
import type { Budget } from './budget.ts';
import type { CatalogRelation } from './catalog.ts';

/** An operation while its columns are still being collected. */
export interface OpenOperation {
  readonly verb: Verb;
  readonly class: OperationClass;
  readonly resource: readonly string[];
  readonly reach: 'Named' | 'Beneath';
  readonly relation: CatalogRelation | undefined;
  /** Undefined where the operation is not about columns. */
  readonly columns: Set<string> | undefined;
  /** Whether partitions and children are meant as well, as they are without ONLY. */
  descendants: boolean;
  sideEffects: boolean;
  reason: string | undefined;
}

export interface OperationDetails {
  readonly class?: OperationClass;
  readonly reach?: 'Named' | 'Beneath';
  readonly relation?: CatalogRelation | undefined;
  readonly columns?: Iterable<string>;
  readonly descendants?: boolean;
  readonly sideEffects?: boolean;
  readonly reason?: string;
}

/** What the analysis of one statement has found so far; each operation and each use once. */
export class Findings {
  readonly operations = new Map<string, OpenOperation>();
  readonly functions = new Set<string>();
  /** Columns that conditions, orders and the like depend on, lookups included. */
  readonly influences = new Set<ColumnId>();
  userCode = false;
  /** As in StatementAnalysis; the first that was found. */
  keepsCode: string | undefined;
  readonly #uses: ColumnUse[] = [];
  readonly #seenUses = { Any: new Set<ColumnId>(), Store: new Set<ColumnId>() };

  readonly #budget: Budget;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  get uses(): readonly ColumnUse[] {
    return this.#uses;
  }

  /** Adds an operation, or more columns to the same one. */
  add(verb: Verb, resource: readonly string[], details: OperationDetails = {}): OpenOperation {
    this.#budget.spend(1);
    const reach = details.reach ?? 'Named';
    const operationClass = details.class ?? verbClasses[verb];
    // NUL cannot occur in a name, so the key is unambiguous.
    const key = `${verb}\0${operationClass}\0${reach}\0${resource.join('\0')}\0${verb === 'Unknown' ? (details.reason ?? '') : ''}`;
    let operation = this.operations.get(key);
    if (operation === undefined) {
      operation = {
        verb,
        class: operationClass,
        resource,
        reach,
        relation: details.relation,
        columns: details.columns === undefined ? undefined : new Set(details.columns),
        descendants: details.descendants ?? false,
        sideEffects: details.sideEffects ?? false,
        reason: details.reason,
      };
      this.operations.set(key, operation);
    } else {
      if (details.columns !== undefined) {
        for (const column of details.columns) operation.columns?.add(column);
      }
      if (details.descendants === true) operation.descendants = true;
      if (details.sideEffects === true) operation.sideEffects = true;
    }
    if (operation.sideEffects) this.userCode = true;
    return operation;
  }

  /** Any and Store are kept once a column; each lookup counts by itself, since each is one more guess. */
  use(columns: readonly ColumnId[], usage: ColumnUse['usage']): void {
    this.#budget.spend(columns.length);
    for (const column of columns) {
      this.influences.add(column);
      if (usage !== 'Lookup') {
        const seen = this.#seenUses[usage];
        if (seen.has(column)) continue;
        seen.add(column);
      }
      this.#uses.push({ column, usage });
    }
  }

  /** Takes over what another statement's findings hold. */
  adopt(other: Findings): void {
    for (const [key, operation] of other.operations) this.operations.set(key, operation);
    for (const name of other.functions) this.functions.add(name);
    for (const { column, usage } of other.uses) this.use([column], usage);
    this.userCode ||= other.userCode;
    this.keepsCode ??= other.keepsCode;
  }

  /** The operations as the policy sees them, in the order in which they were found. */
  finish(): Operation[] {
    const finished: Operation[] = [];
    for (const operation of this.operations.values()) {
      const { verb, resource, reach, columns, sideEffects, reason } = operation;
      finished.push({
        verb,
        class: operation.class,
        resource,
        ...(columns === undefined ? undefined : { columns: [...columns] }),
        reach,
        ...(sideEffects ? { sideEffects } : undefined),
        ...(reason === undefined ? undefined : { reason }),
      });
    }
    return finished;
  }
}
