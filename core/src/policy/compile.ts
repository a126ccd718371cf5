import { compileMaskSet, type MaskSet } from '../masking/mask-set.ts';
import { type CompiledRule, compileRule } from './compiled-rule.ts';
import { IdentityScope, TargetScope } from './condition-scope.ts';
import { RuleIndex } from './rule-index.ts';
import type { BundleIdentity, TargetBundle } from './types.ts';

/** All that decides over one identity on one target; made once a snapshot. Immutable. */
export interface TargetPolicy {
  readonly bundle: TargetBundle;
  readonly identity: BundleIdentity;
  readonly maskSet: MaskSet;
  /** Any MaskingRule concerns this identity on this target, exempt or not. */
  readonly anyMask: boolean;
  /** At least one rule allows something: catalogs, transactions and harmless settings come with it. */
  readonly hasAccess: boolean;
  /** Epoch ms; Infinity without an expiry, 0 when it cannot be read, so that it has passed. */
  readonly expiresAtMs: number;
  readonly deny: RuleIndex;
  readonly approval: RuleIndex;
  readonly allow: RuleIndex;
  /** Deny and RequireApproval of policies in DryRun. */
  readonly dryRun: RuleIndex;
  readonly scope: { readonly identity: IdentityScope; readonly target: TargetScope };
}

/** Compiles what the policy API sent. Never throws: a rule that does not compile is held as its action says. */
export function compileTarget(bundle: TargetBundle, identity: BundleIdentity): TargetPolicy {
  const deny = new RuleIndex();
  const approval = new RuleIndex();
  const allow = new RuleIndex();
  const dryRun = new RuleIndex();
  bundle.rules.forEach((source, ordinal) => {
    const rule = compileRule(source, ordinal);
    indexFor(rule, source.mode)?.add(rule);
  });

  function indexFor(rule: CompiledRule, mode: 'Enforce' | 'DryRun'): RuleIndex | undefined {
    if (rule.action === 'Allow') {
      return mode === 'Enforce' && rule.broken === undefined ? allow : undefined;
    }
    if (mode === 'DryRun') return dryRun;
    return rule.action === 'RequireApproval' ? approval : deny;
  }

  return {
    bundle,
    identity,
    maskSet: compileMaskSet(bundle.masks),
    anyMask: bundle.masks.length > 0,
    hasAccess: allow.size > 0,
    expiresAtMs:
      identity.expiresAt === undefined ? Number.POSITIVE_INFINITY : timeOf(identity.expiresAt),
    deny,
    approval,
    allow,
    dryRun,
    scope: { identity: new IdentityScope(identity), target: new TargetScope(bundle.target) },
  };
}

/** Epoch ms of an RFC 3339 time; one that cannot be read has passed. */
function timeOf(text: string): number {
  const time = Date.parse(text);
  return Number.isNaN(time) ? 0 : time;
}
