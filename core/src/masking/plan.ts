import type { Refusal } from '../policy/types.ts';
import type { ColumnId, OutputColumn, StatementAnalysis } from '../sql/operation.ts';
import { type CompiledMask, isExempt, type MaskSet } from './mask-set.ts';
import { detectorPlan, isScanned, nullPlan, transformPlan } from './planned-mask.ts';
import {
  blindVerbs,
  refuseBlind,
  refuseCopy,
  refuseDerived,
  refuseKeptCode,
  refuseServerSide,
  refuseUnknownDetector,
  refuseUsage,
} from './refusals.ts';
import { errorsTellNothing, relationsOf } from './touched.ts';
import type { MaskPlan, PlannedMask } from './types.ts';

/**
 * What is to be done with each output column of one statement, or why it cannot go out: a protected column
 * would be used further than its rule lets, or shown in a form that cannot be masked with its type kept.
 * Of two rules on one output the stricter one holds. `nowMs` decides which exemptions hold.
 */
export function planMasks(
  set: MaskSet,
  statement: StatementAnalysis,
  nowMs: number,
): MaskPlan | Refusal {
  if (set.masks.length === 0) return passThrough(statement);
  return new Planner(set, statement, nowMs).plan();
}

/** Every column as it is. Each plan has columns of its own, by which more is remembered about it. */
function passThrough({ outputs = [] }: StatementAnalysis): MaskPlan {
  const columns = outputs.map(() => null);
  return { columns, exemptionsUsed: [], lookups: [], rebuildErrors: false };
}

/** What is not known to be lax is strict. */
const isStrict = (mask: CompiledMask): boolean => mask.source.strictness !== 'BestEffort';

class Planner {
  readonly #set: MaskSet;
  readonly #statement: StatementAnalysis;
  readonly #nowMs: number;
  readonly #exempt = new Set<CompiledMask>();

  constructor(set: MaskSet, statement: StatementAnalysis, nowMs: number) {
    this.#set = set;
    this.#statement = statement;
    this.#nowMs = nowMs;
  }

  plan(): MaskPlan | Refusal {
    const statement = this.#statement;
    const inner = statement.effects.prepare?.inner ?? statement.effects.declare?.inner;
    let innerPlan: MaskPlan | undefined;
    if (inner !== undefined) {
      const planned = planMasks(this.#set, inner, this.#nowMs);
      if ('verdict' in planned) return planned;
      innerPlan = planned;
    }

    const blind = this.#refuseBlind();
    if (blind !== undefined) return blind;

    const lookups: CompiledMask[] = [];
    for (const use of statement.uses) {
      for (const mask of this.#inForce(use.column)) {
        const allowed =
          use.usage === 'Lookup'
            ? mask.source.usage === 'Lookup' || mask.source.usage === 'Any'
            : use.usage === 'Any' && mask.source.usage === 'Any';
        if (!allowed) return refuseUsage(mask, use);
        if (use.usage === 'Lookup') lookups.push(mask);
      }
    }

    const columns: (PlannedMask | null)[] = [];
    for (const output of statement.outputs ?? []) {
      const planned = this.#planColumn(output);
      if (planned !== null && 'verdict' in planned) return planned;
      columns.push(planned);
    }

    const scans = this.#scanning();
    const unknown = scans.find((mask) => mask.unknownDetector !== undefined);
    if (unknown !== undefined && this.#returnsRows()) return refuseUnknownDetector(unknown);
    if (scans.length > 0) {
      statement.outputs?.forEach((output, index) => {
        if (columns[index] === null && isScanned(output.typeOid)) {
          columns[index] = detectorPlan(scans, output.typeOid);
        }
      });
    }

    const copied = this.#refuseCopy(columns);
    if (copied !== undefined) return copied;

    return {
      columns,
      exemptionsUsed: [
        ...[...this.#exempt].map((mask) => ({
          rule: mask.rule,
          ...(mask.exemptTicket !== undefined && { ticket: mask.exemptTicket }),
        })),
        ...(innerPlan?.exemptionsUsed ?? []),
      ],
      lookups: [
        ...lookups.map((mask) => mask.rule),
        ...(statement.effects.declare === undefined ? [] : (innerPlan?.lookups ?? [])),
      ],
      rebuildErrors: this.#rebuildErrors() || (innerPlan?.rebuildErrors ?? false),
    };
  }

  /** Code that is not seen through could show or copy anything: no mask survives it. */
  #refuseBlind(): Refusal | undefined {
    for (const operation of this.#statement.operations) {
      if (!blindVerbs.has(operation.verb)) continue;
      const database = operation.resource.slice(0, 1);
      const mask = this.#unlessExempt(this.#set.concerning(database))[0];
      if (mask !== undefined) return refuseBlind(mask, operation);
    }
    return this.#refuseKeptCode();
  }

  /** What runs later runs with the login's rights, and could copy anything to where no rule protects it. */
  #refuseKeptCode(): Refusal | undefined {
    const { keepsCode, operations } = this.#statement;
    const [operation] = operations;
    if (keepsCode === undefined || operation === undefined) return undefined;
    const database = operation.resource.slice(0, 1);
    const mask = this.#unlessExempt(this.#set.concerning(database))[0];
    return mask && refuseKeptCode(mask, operation, keepsCode);
  }

  #planColumn(output: OutputColumn): PlannedMask | null | Refusal {
    const derived = output.derived.flatMap((column) => this.#inForce(column));
    if (derived.length > 0) {
      const strict = derived.find(isStrict);
      return strict === undefined
        ? nullPlan(derived[0]!, output.typeOid)
        : refuseDerived(strict, output);
    }
    const masks = this.#strictestFirst(output.values.flatMap((column) => this.#inForce(column)));
    const strictest = masks[0];
    if (strictest === undefined) return null;
    const strict = masks.some(isStrict);
    return transformPlan(strictest, strict, output.typeOid);
  }

  /** The order of the set, which is by strictness. */
  #strictestFirst(masks: readonly CompiledMask[]): readonly CompiledMask[] {
    return masks.length < 2 ? masks : this.#set.masks.filter((mask) => masks.includes(mask));
  }

  #refuseCopy(columns: readonly (PlannedMask | null)[]): Refusal | undefined {
    const statement = this.#statement;
    const planned = columns.find((column) => column !== null);
    const serverSide = statement.operations.find(
      ({ verb }) => verb === 'ServerFile' || verb === 'ServerProgram',
    );
    if (serverSide !== undefined && planned) return refuseServerSide(planned.rule, serverSide);
    const { copy } = statement.effects;
    if (copy?.direction !== 'Out') return undefined;
    if (statement.outputs === undefined) {
      const mask = this.#inForceOn(statement.operations[0]?.resource[0])[0];
      return mask === undefined ? undefined : refuseCopy(mask.rule, copy);
    }
    if (!planned || (copy.format !== 'binary' && copy.defaults)) return undefined;
    return refuseCopy(planned.rule, copy);
  }

  /** Rules whose detectors look at what this statement returns. */
  #scanning(): readonly CompiledMask[] {
    if (!this.#returnsRows()) return [];
    const found = relationsOf(this.#statement).flatMap((relation) => this.#set.scanning(relation));
    return this.#strictestFirst(this.#unlessExempt([...new Set(found)]));
  }

  #returnsRows(): boolean {
    return (
      this.#statement.outputs !== undefined || this.#statement.effects.copy?.direction === 'Out'
    );
  }

  /** Decisions 8: rebuilt unless nothing protected was touched and no user code ran. */
  #rebuildErrors(): boolean {
    const statement = this.#statement;
    const relations = relationsOf(statement);
    if (!statement.userCode && errorsTellNothing(statement, relations)) return false;
    if (statement.userCode || relations.length === 0) return this.#inForceOn(undefined).length > 0;
    return relations.some((relation) =>
      this.#set.concerning(relation).some((mask) => !isExempt(mask, this.#nowMs)),
    );
  }

  #inForceOn(database: string | undefined): readonly CompiledMask[] {
    return this.#set.inForce(database, this.#nowMs);
  }

  #inForce(column: ColumnId): readonly CompiledMask[] {
    return this.#unlessExempt(this.#set.protecting(column));
  }

  #unlessExempt(masks: readonly CompiledMask[]): readonly CompiledMask[] {
    return masks.filter((mask) => {
      if (!isExempt(mask, this.#nowMs)) return true;
      this.#exempt.add(mask);
      return false;
    });
  }
}
