import { describePlan } from '../masking/planned-mask.ts';
import type { PlannedMask } from '../masking/types.ts';
import type { Operation, StatementAnalysis } from '../sql/operation.ts';
import { compileTarget } from './compile.ts';
import { decide } from './decide.ts';
import { describeRule } from './messages.ts';
import type {
  BundleIdentity,
  LimitObligation,
  RefusalReason,
  RequestContext,
  TargetBundle,
} from './types.ts';

/** The mask of one output column, in words. */
export interface SimulatedMask {
  readonly column: string;
  /** `MaskingRule data/card-numbers`. */
  readonly rule: string;
  /** `Partial`, or `PaymentCard, Email: Partial` where detectors look into the value. */
  readonly transform: string;
}

/** What would become of one statement; plain JSON. */
export interface Simulation {
  readonly verdict: 'Allow' | 'Deny' | 'RequireApproval';
  readonly reason?: RefusalReason;
  /** The rules that decided. */
  readonly rules: readonly string[];
  readonly operations: readonly Operation[];
  readonly masks: readonly SimulatedMask[];
  readonly limits: readonly LimitObligation[];
  /** Rules of policies in DryRun that would have refused it. */
  readonly wouldDeny: readonly string[];
  readonly message?: string;
  readonly hint?: string;
}

/** Decides statements as a session would, each by itself, for `chaperone policy test`. */
export function simulate(
  bundle: TargetBundle,
  identity: BundleIdentity,
  statements: readonly StatementAnalysis[],
  request: RequestContext,
): readonly Simulation[] {
  const policy = compileTarget(bundle, identity);
  return statements.map((statement) => {
    const { decision } = decide(policy, statement, request);
    const common = {
      verdict: decision.verdict,
      operations: statement.operations,
      wouldDeny: decision.wouldDeny.map(describeRule),
    };
    if (decision.verdict === 'Allow') {
      return {
        ...common,
        rules: decision.rules.map(describeRule),
        limits: decision.limits,
        masks: masksOf(statement, decision.masks.columns),
      };
    }
    return {
      ...common,
      ...(decision.verdict === 'Deny' && { reason: decision.reason }),
      rules: decision.rule === undefined ? [] : [describeRule(decision.rule)],
      limits: [],
      masks: [],
      message: decision.message,
      hint: decision.hint,
    };
  });
}

function masksOf(
  statement: StatementAnalysis,
  columns: readonly (PlannedMask | null)[],
): readonly SimulatedMask[] {
  return columns.flatMap((planned, index) => {
    if (planned === null) return [];
    const column = statement.outputs?.[index]?.name ?? '';
    return [{ column, rule: describeRule(planned.rule), transform: describePlan(planned) }];
  });
}
