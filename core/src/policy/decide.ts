import { planMasks } from '../masking/plan.ts';
import type { MaskPlan } from '../masking/types.ts';
import type { Operation, StatementAnalysis } from '../sql/operation.ts';
import type { TargetPolicy } from './compile.ts';
import { Judge, type Judgement } from './judge.ts';
import { refusalBy, refusalOfIdentity, refusalWithoutPolicy, waits } from './refusals.ts';
import type {
  Decided,
  Decision,
  LimitObligation,
  Permit,
  Refusal,
  RequestContext,
  RuleRef,
} from './types.ts';

/** The runtime side of Permit's brand: what is not an instance of this module's class is no permit. */
class IssuedPermit {
  readonly verdict = 'Allow';
  readonly #issued = true;
  readonly rules: readonly RuleRef[];
  readonly limits: readonly LimitObligation[];
  readonly masks: MaskPlan;
  readonly wouldDeny: readonly RuleRef[];
  constructor(content: PermitContent) {
    this.rules = content.rules;
    this.limits = content.limits;
    this.masks = content.masks;
    this.wouldDeny = content.wouldDeny;
    Object.freeze(this);
  }
  static made(value: object): boolean {
    return #issued in value && value.#issued;
  }
}

type PermitContent = Pick<Permit, 'rules' | 'limits' | 'masks' | 'wouldDeny'>;

/** The only maker of permits; it does not leave this file. */
function permit(content: PermitContent): Permit {
  return new IssuedPermit(content) as unknown as Permit;
}

/** Whether a decision is a permit that this module made; an object that merely looks like one is not. */
export function isPermit(decision: Decision): decision is Permit {
  return IssuedPermit.made(decision);
}

/**
 * Decides one statement: default deny, Deny over RequireApproval over Allow, each operation by itself, and
 * the worst outcome for the whole. Pure: the same policy, analysis and request give the same decision until
 * `validUntilMs` (epoch ms; 0: only now; Infinity: as long as the policy).
 */
export function decide(
  policy: TargetPolicy,
  statement: StatementAnalysis,
  request: RequestContext,
): Decided {
  const gone = refusalOfIdentity(policy, request.nowMs);
  if (gone !== undefined) return { decision: gone, validUntilMs: Number.POSITIVE_INFINITY };

  const judge = new Judge(policy, statement, request);
  const operations = operationsOf(statement);
  const wouldDeny = once(operations.flatMap((operation) => judge.dryRun(operation)).map(refOf));
  const judged = operations.map((operation) => ({ operation, judgement: judge.judge(operation) }));
  const decision = { ...settle(policy, statement, judged, request.nowMs), wouldDeny };

  return {
    decision: decision.verdict === 'Allow' ? permit(decision) : decision,
    validUntilMs: judge.usedRequest
      ? 0
      : Math.min(policy.expiresAtMs, policy.maskSet.nextExpiryMs(request.nowMs)),
  };
}

interface Judged {
  readonly operation: Operation;
  readonly judgement: Judgement;
}

type Unissued = Pick<Permit, 'verdict' | 'rules' | 'limits' | 'masks'>;

function settle(
  policy: TargetPolicy,
  statement: StatementAnalysis,
  judged: readonly Judged[],
  nowMs: number,
): Unissued | Refusal | ReturnType<typeof waits> {
  for (const { operation, judgement } of judged) {
    if (judgement.outcome === 'Deny') return refusalBy(policy, operation, judgement);
  }
  if (judged.length === 0 && !policy.hasAccess) return refusalWithoutPolicy(policy);

  // A mask that cannot be kept refuses before a person is asked: no approval could help.
  const masks = planMasks(policy.maskSet, statement, nowMs);
  if ('verdict' in masks) return masks;

  for (const { operation, judgement } of judged) {
    if (judgement.outcome === 'RequireApproval') return waits(operation, judgement.rule.ref);
  }
  const allowed = judged.flatMap(({ judgement }) =>
    judgement.outcome === 'Allow' ? [judgement] : [],
  );
  return {
    verdict: 'Allow',
    rules: once(allowed.flatMap(({ rules }) => rules).map(refOf)),
    limits: once(allowed.flatMap(({ limiting }) => limiting)).map((rule) => ({
      rule: rule.ref,
      limits: rule.limits!,
    })),
    masks,
  };
}

/**
 * The permit under which a statement goes out on a target with enforcement Observe, whatever the decision:
 * no masks and no limits. What would have refused it is among `wouldDeny`.
 */
export function observedPermit(decided: Decided): Permit {
  const { decision } = decided;
  const refusing = decision.verdict === 'Allow' ? undefined : decision.rule;
  return permit({
    rules: decision.verdict === 'Allow' ? decision.rules : [],
    limits: [],
    masks: { columns: [], exemptionsUsed: [], lookups: [], rebuildErrors: false },
    wouldDeny:
      refusing === undefined ? decision.wouldDeny : once([refusing, ...decision.wouldDeny]),
  });
}

/** What a statement does, with what it prepares or declares: that must be allowed before it gets a name. */
function operationsOf(statement: StatementAnalysis): readonly Operation[] {
  const inner = statement.effects.prepare?.inner ?? statement.effects.declare?.inner;
  return inner === undefined
    ? statement.operations
    : [...statement.operations, ...operationsOf(inner)];
}

const refOf = (rule: { readonly ref: RuleRef }): RuleRef => rule.ref;
const once = <T>(items: readonly T[]): T[] => [...new Set(items)];
