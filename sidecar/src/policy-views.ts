import { compileTarget, type TargetPolicy } from '@chaperone/core/policy/compile.ts';
import type { PolicyBundle } from '@chaperone/core/policy/types.ts';

/** What one identity may do on one target now, compiled. */
export interface PolicyView {
  readonly policy: TargetPolicy;
  readonly version: number;
  readonly digest: string;
}

/** Compiles each bundle once for all the sessions that it concerns. */
export class PolicyViews {
  readonly #views = new WeakMap<PolicyBundle, Map<string, PolicyView>>();
  readonly #applied: (bundle: PolicyBundle) => void;

  /** `applied`: called for each bundle that comes into use. */
  constructor(applied: (bundle: PolicyBundle) => void = () => {}) {
    this.#applied = applied;
  }

  /** Undefined when the bundle does not open that target to its identity. */
  get(bundle: PolicyBundle, targetUid: string): PolicyView | undefined {
    let byTarget = this.#views.get(bundle);
    if (byTarget === undefined) {
      this.#views.set(bundle, (byTarget = new Map()));
      this.#applied(bundle);
    }
    let view = byTarget.get(targetUid);
    if (view === undefined) {
      const target = bundle.targets.find((candidate) => candidate.target.uid === targetUid);
      if (target === undefined) return undefined;
      const policy = compileTarget(target, bundle.identity);
      view = { policy, version: bundle.version, digest: bundle.digest };
      byTarget.set(targetUid, view);
    }
    return view;
  }
}
