/** What a newer policy means for what was allowed by the one before, and goes on. */
import type { TargetPolicy } from '@chaperone/core/policy/compile.ts';
import type { RequestContext, RuleRef } from '@chaperone/core/policy/types.ts';
import type { Cut } from './backend/expectation.ts';
import { refusalResponse } from './errors/refusal.ts';
import type { DecidedStatement, DecisionContext } from './frontend/decision-context.ts';
import { masksChanged } from './session-reports.ts';

const idOf = ({ namespace, object }: RuleRef): string => `${namespace}/${object}`;

/** Why a statement that runs may not go on, if so: it is refused by now, or its result is masked otherwise. */
export type CutBy = (decided: DecidedStatement) => Cut | undefined;

/** @param context holds the newer policy */
export function cutBy(
  former: TargetPolicy,
  context: DecisionContext,
  request: RequestContext,
): CutBy {
  const changed = changedMasks(former, context.key.policy);
  return (decided) => {
    const { analysis, event } = decided;
    const now = context.decide(analysis, event.fingerprint ?? '', event.protocol, request);
    if (now.refusal !== undefined) {
      const reason = now.refusal.verdict === 'Deny' ? now.refusal.reason : 'ApprovalRequired';
      return { error: refusalResponse(reason, 'Statement', now.refusal), sqlstate: '42501' };
    }
    const rule = maskedOtherwise(decided, now, changed);
    return rule && { error: masksChanged(rule), sqlstate: '42501' };
  };
}

/** The MaskingRules that are new or were changed, as `namespace/name`; `Any` where one of them searches values. */
function changedMasks(former: TargetPolicy, now: TargetPolicy): ReadonlySet<string> | 'Any' {
  const before = new Map(former.bundle.masks.map((mask) => [idOf(mask.ref), JSON.stringify(mask)]));
  const changed = now.bundle.masks.filter(
    (mask) => before.get(idOf(mask.ref)) !== JSON.stringify(mask),
  );
  // Detectors of several rules make one mask, which tells the rule of a hit only.
  if (changed.some(({ detectors }) => detectors.length > 0)) return 'Any';
  return new Set(changed.map(({ ref }) => idOf(ref)));
}

function maskedOtherwise(
  before: DecidedStatement,
  now: DecidedStatement,
  changed: ReadonlySet<string> | 'Any',
): RuleRef | undefined {
  const former = before.permit?.masks.columns ?? [];
  const mask = now.permit?.masks.columns.find((planned, index) => {
    if (planned === null) return false;
    const { rule } = former[index] ?? {};
    if (rule === undefined || changed === 'Any') return true;
    return idOf(rule) !== idOf(planned.rule) || changed.has(idOf(planned.rule));
  });
  return mask?.rule;
}

/** Whether a session may hear of a channel: as long as it may LISTEN to it, however it came to. */
export function mayHear(
  context: DecisionContext,
  channel: string,
  request: RequestContext,
): boolean {
  const text = `LISTEN "${channel.replaceAll('"', '""')}"`;
  const { analysis, fingerprint } = context.analyze(text);
  const [listen] = analysis.statements;
  if (listen === undefined) return false;
  return context.decide(listen, fingerprint, 'Simple', request).refusal === undefined;
}
