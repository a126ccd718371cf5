/**
 * Statements at random over PostgreSQL's grammar: parse trees of statements that are known to be good, of which
 * parts are exchanged for parts of others (a relation, a query, an expression, a target, a clause), and written out
 * by pgsql-deparser. What is judged is the text alone, so a mistake of the deparser costs a statement, no more.
 */
import { parseSql } from '@chaperone/core/sql/postgres/parser.ts';
import { Deparser } from 'pgsql-deparser';

type Tree = { [key: string]: unknown };

/** A place in a tree: `holder[key]` is the part, of that sort. */
interface Place {
  readonly holder: Tree | unknown[];
  readonly key: string | number;
  readonly sort: string;
}

/** Tags that may stand for one another. */
const expressions: ReadonlySet<string> = new Set(
  `A_Const A_Expr BoolExpr BoolConst NullTest SubLink FuncCall ColumnRef TypeCast CaseExpr CoalesceExpr MinMaxExpr
   A_ArrayExpr RowExpr A_Indirection`.split(/\s+/),
);
const fromItems: ReadonlySet<string> = new Set(
  'RangeVar RangeSubselect JoinExpr RangeFunction RangeTableSample'.split(' '),
);
/** Lists of which an item may be doubled, dropped or taken from another statement. */
const lists: ReadonlySet<string> = new Set(
  `targetList fromClause usingClause valuesLists sortClause groupClause lockingClause ctes mergeWhenClauses cmds
   tableElts relations objects options returningList`.split(/\s+/),
);
/** Words that change what a statement reaches. */
const words: Readonly<Record<string, readonly (string | boolean)[]>> = {
  inh: [true, false],
  behavior: ['DROP_RESTRICT', 'DROP_CASCADE'],
  op: ['SETOP_NONE', 'SETOP_UNION', 'SETOP_INTERSECT', 'SETOP_EXCEPT'],
  all: [true, false],
  jointype: ['JOIN_INNER', 'JOIN_LEFT', 'JOIN_FULL', 'JOIN_RIGHT'],
  strength: ['LCS_FORUPDATE', 'LCS_FORSHARE', 'LCS_FORKEYSHARE', 'LCS_FORNOKEYUPDATE'],
  restart_seqs: [true, false],
  concurrent: [true, false],
  skipData: [true, false],
  relpersistence: ['p', 't', 'u'],
  is_grant: [true, false],
  action: ['ONCONFLICT_NOTHING', 'ONCONFLICT_UPDATE'],
  commandType: ['CMD_DELETE', 'CMD_NOTHING'],
  is_from: [true, false],
};

export class StatementMaker {
  readonly #seeds: readonly string[];
  readonly #parts = new Map<string, unknown[]>();
  #state = 1;

  /** `seeds`: statements that the parser takes; others are passed over. */
  constructor(seeds: readonly string[]) {
    this.#seeds = seeds.filter((text) => parseSql(text).statements?.length === 1);
    for (const text of this.#seeds) {
      for (const { holder, key, sort } of places(tree(text))) {
        const part = (holder as Tree)[key];
        const known = this.#parts.get(sort);
        if (known === undefined) this.#parts.set(sort, [part]);
        else known.push(part);
      }
    }
  }

  /** The same number gives the same statement; undefined where nothing came of it. */
  make(seed: number): string | undefined {
    // Neighbouring seeds should not begin alike.
    this.#state = ((Math.imul(seed, 0x9e3779b1) >>> 1) % 0x7ffffffe) + 1;
    const made = tree(this.#pick(this.#seeds) ?? '');
    const changes = 1 + Math.floor(this.#random() ** 3 * 4);
    for (let change = 0; change < changes; change += 1) this.#change(made);
    // It tells on the console as well what it cannot write.
    const { warn } = console;
    console.warn = () => {};
    try {
      return Deparser.deparse(made as never);
    } catch {
      return undefined;
    } finally {
      console.warn = warn;
    }
  }

  #change(made: Tree): void {
    const place = this.#pick(places(made));
    if (place === undefined) return;
    const { holder, key, sort } = place;
    const at = holder as Tree;
    if (sort.startsWith('word:')) {
      at[key] = this.#pick(words[sort.slice('word:'.length)] ?? []);
      return;
    }
    const donor = structuredClone(this.#pick(this.#parts.get(sort) ?? []));
    if (donor === undefined) return;
    if (!sort.startsWith('list:')) {
      at[key] = donor;
      return;
    }
    const list = at[key] as unknown[];
    const position = Math.floor(this.#random() * (list.length + 1));
    const choice = this.#random();
    if (choice < 0.25 && list.length > 1) list.splice(position, 1);
    else if (choice < 0.7) list.splice(position, 0, this.#pick(donor as unknown[]) ?? donor);
    else at[key] = donor;
  }

  /** A number in [0, 1), by Park and Miller. */
  #random(): number {
    this.#state = (this.#state * 48271) % 0x7fffffff;
    return this.#state / 0x7fffffff;
  }

  #pick<T>(choices: readonly T[]): T | undefined {
    return choices[Math.floor(this.#random() * choices.length)];
  }
}

function tree(text: string): Tree {
  const statement = parseSql(text).statements?.[0]?.stmt;
  if (statement === undefined) throw new Error(`does not parse: ${text}`);
  return statement as Tree;
}

/** Every part that has a sort, the statement itself aside. */
function places(root: Tree): Place[] {
  const found: Place[] = [];
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    const entries: (readonly [string | number, unknown])[] = Array.isArray(value)
      ? value.map((item, index) => [index, item])
      : Object.entries(value);
    for (const [key, part] of entries) {
      const sort = sortOf(key, part);
      if (sort !== undefined) found.push({ holder: value as Tree | unknown[], key, sort });
      walk(part);
    }
  };
  for (const body of Object.values(root)) walk(body);
  return found;
}

function sortOf(key: string | number, part: unknown): string | undefined {
  if (typeof key === 'string' && Object.hasOwn(words, key)) return `word:${key}`;
  if (typeof part !== 'object' || part === null) return undefined;
  if (Array.isArray(part)) return lists.has(String(key)) ? `list:${key}` : undefined;
  // A query or a relation in a field of its own: `selectStmt`, `larg`, `relation`.
  if ('relname' in part) return 'relation';
  if ('targetList' in part && 'limitOption' in part) return 'query';
  const [tag] = Object.keys(part);
  if (tag === undefined) return undefined;
  if (expressions.has(tag)) return 'expression';
  if (fromItems.has(tag)) return 'source';
  return /^[A-Z]/.test(tag) ? `node:${tag}` : undefined;
}
