import type { OutputColumn, StatementAnalysis } from '@chaperone/core/sql/operation.ts';

/** Beyond this many, a statement is to be prepared again. */
const maxMeanings = 16;

const texts = new WeakMap<StatementAnalysis, string>();

/** All of an analysis that a decision hangs on. */
function textOf(analysis: StatementAnalysis): string {
  let text = texts.get(analysis);
  if (text === undefined) {
    const { operations, outputs, uses, facts, userCode, kind } = analysis;
    text = JSON.stringify([kind, operations, outputs, uses, facts, userCode]);
    texts.set(analysis, text);
  }
  return text;
}

/**
 * What a prepared statement has meant since it was prepared, by search path. The backend may still hold any
 * of the meanings that it had under the path of now.
 */
export class Meanings {
  readonly #byPath = new Map<
    string,
    { readonly seen: Map<string, StatementAnalysis>; all: StatementAnalysis }
  >();
  /** The last answer: most statements mean the same each time. */
  #last:
    | {
        readonly searchPath: readonly string[];
        readonly current: StatementAnalysis;
        readonly all: StatementAnalysis;
      }
    | undefined;

  /**
   * Adds what it means now, and returns all that it may mean under this path as one analysis; undefined when
   * these do not go together or are too many.
   */
  under(searchPath: readonly string[], current: StatementAnalysis): StatementAnalysis | undefined {
    if (searchPath === this.#last?.searchPath && current === this.#last.current) {
      return this.#last.all;
    }
    const all = this.#under(JSON.stringify(searchPath), current);
    this.#last = all && { searchPath, current, all };
    return all;
  }

  #under(path: string, current: StatementAnalysis): StatementAnalysis | undefined {
    const known = this.#byPath.get(path);
    if (known === undefined) {
      if (this.#byPath.size >= maxMeanings) return undefined;
      this.#byPath.set(path, { seen: new Map([[textOf(current), current]]), all: current });
      return current;
    }
    const text = textOf(current);
    if (known.seen.has(text)) return known.all;
    const all = known.seen.size >= maxMeanings ? undefined : together(known.all, current);
    if (all === undefined) return undefined;
    known.seen.set(text, current);
    known.all = all;
    return all;
  }
}

/** Both at once: what either does, and for each output column what either carries. */
function together(a: StatementAnalysis, b: StatementAnalysis): StatementAnalysis | undefined {
  const outputs =
    a.outputs === undefined || b.outputs === undefined ? undefined : [a.outputs, b.outputs];
  if (outputs === undefined ? a.outputs !== b.outputs : outputs[0]!.length !== outputs[1]!.length) {
    return undefined;
  }
  // Without what only one of them would be by its parameters.
  const { settingsByParameter: _, ...rest } = b;
  return {
    ...rest,
    kind: a.kind === b.kind ? b.kind : 'Several',
    operations: [...a.operations, ...b.operations],
    uses: [...a.uses, ...b.uses],
    facts: {
      hasWhere: a.facts.hasWhere && b.facts.hasWhere,
      relations: [...new Set([...a.facts.relations, ...b.facts.relations])],
      functions: [...new Set([...a.facts.functions, ...b.facts.functions])],
    },
    userCode: a.userCode || b.userCode,
    ...(a.outputs &&
      b.outputs && { outputs: a.outputs.map((one, index) => either(one, b.outputs![index]!)) }),
  };
}

function either(a: OutputColumn, b: OutputColumn): OutputColumn {
  const sameType = a.typeOid !== undefined && a.typeOid === b.typeOid;
  return {
    name: b.name,
    ...(sameType && { typeOid: a.typeOid! }),
    values: [...a.values, ...b.values],
    derived: [...a.derived, ...b.derived],
  };
}
