import type { SessionEffects } from '../operation.ts';
import { Budget } from './budget.ts';
import type { Catalog } from './catalog.ts';
import { Findings } from './findings.ts';

/** What a text is analyzed against. */
export interface AnalyzeContext {
  readonly catalog: Catalog;
  readonly database: string;
  /** Effective schemas in order, the implicit ones (pg_temp_N, pg_catalog) included. */
  readonly searchPath: readonly string[];
  /** The names that the setting has, whether or not there are such schemas: one may be made. */
  readonly pathSetting?: readonly string[];
  readonly currentUser: string;
  /** OIDs of $1, $2, …; 0 where the client left one open. */
  readonly parameterTypes?: readonly number[];
}

/** Nodes whose handling is known to need none of their children. */
const leaves: ReadonlySet<string> = new Set([
  'String',
  'Integer',
  'Float',
  'Boolean',
  'BitString',
  'A_Const',
  'A_Star',
  'ParamRef',
]);

/**
 * The analysis of one statement, or of one view's definition: the environment, what was found, and which
 * nodes were looked at. `visit` is called for every node that is handled; `sweep` then finds what was not,
 * so that nothing in a parse tree can be skipped by mistake.
 */
export class Run {
  readonly context: AnalyzeContext;
  /** True for a definition of the target's owner: code that it calls is the owner's, not the client's. */
  readonly insideView: boolean;
  readonly findings: Findings;
  /** Shared by all statements of a text; a view's definition has its own. */
  readonly budget: Budget;
  effects: SessionEffects = {};
  hasWhere = false;
  /** The setting's name, within a query of pg_settings that asks for just one. */
  settingName: string | undefined;
  /** Parameters that name settings to be shown. */
  readonly settingParameters = new Set<number>();
  /** How many views and sub-selects deep; bounds recursion. */
  depth = 0;
  readonly #visited = new Set<object>();
  readonly #opaque = new Set<object>();

  constructor(context: AnalyzeContext, insideView: boolean, budget: Budget = new Budget()) {
    this.budget = budget;
    this.findings = new Findings(budget);
    this.context = context;
    this.insideView = insideView;
  }

  /** Marks a node's body as handled; its children must be handled too. */
  visit(body: object): void {
    this.budget.spend(1);
    this.#visited.add(body);
  }

  /** Marks a node and all beneath it as known not to matter. */
  ignore(value: object | undefined): void {
    if (value !== undefined) this.#opaque.add(value);
  }

  /** What is not understood: the statement is refused unless a rule names Unknown. */
  unknown(reason: string): void {
    this.findings.add('Unknown', [this.context.database], { reason });
  }

  /** A function, operator or cast that is not a reviewed one of pg_catalog. */
  unknownCode(reason: string): void {
    this.findings.userCode = true;
    if (!this.insideView) this.unknown(reason);
  }

  /** It leaves something in the database that runs later and is not seen through: no mask holds against that. */
  keepsCode(reason: string): void {
    this.findings.keepsCode ??= reason;
  }

  /** Grammar that came with PostgreSQL `major`: an older backend may read the text differently. */
  requireVersion(major: number, what: string): void {
    const { serverVersion } = this.context.catalog;
    if (serverVersion < major * 10_000) {
      this.unknown(`${what} is not known to PostgreSQL ${Math.floor(serverVersion / 10_000)}`);
    }
  }

  /** Reports every part of the tree that no handler has visited. */
  sweep(value: unknown): void {
    if (typeof value !== 'object' || value === null || this.#opaque.has(value)) return;
    if (Array.isArray(value)) {
      for (const item of value) this.sweep(item);
      return;
    }
    for (const key in value) {
      const child = (value as Record<string, unknown>)[key];
      if (typeof child !== 'object' || child === null || this.#opaque.has(child)) continue;
      if (isTag(key)) {
        if (leaves.has(key)) continue;
        if (key === 'List' || this.#visited.has(child)) this.sweep(child);
        else this.unknown(`${key} is not understood here`);
      } else if (Array.isArray(child) || isEmptyOrTagged(child) || this.#visited.has(child)) {
        this.sweep(child);
      } else this.unknown(`the clause ${key} is not understood here`);
    }
  }
}

/** Tags begin with a capital, fields do not. */
export function isTag(key: string): boolean {
  const first = key.charCodeAt(0);
  return first >= 65 && first <= 90;
}

/** True for `{Tag: body}`, which is looked into, and for the empty node. */
function isEmptyOrTagged(value: object): boolean {
  for (const key in value) return isTag(key);
  return true;
}
