/** Refusals of a login by the control plane, in the protocol's words. */
import type { ControlRefusal } from '@chaperone/core/control/types.ts';
import type { PolicyBundle, RefusalReason } from '@chaperone/core/policy/types.ts';
import { type RefusalText, refusalResponse } from './refusal.ts';

/** Ours to mend, not the caller's: drivers may try again. */
const passing: ReadonlySet<string> = new Set(['CHP-2014', 'CHP-2020', 'CHP-3009', 'CHP-3010']);

/** Why the login was refused, as the protocol has words for it. */
export function refusalReason({ code }: ControlRefusal): RefusalReason {
  if (code === 'CHP-2002') return 'Suspended';
  if (code === 'CHP-2003') return 'Expired';
  if (passing.has(code)) return 'StalePolicy';
  return 'NoPolicy';
}

/** The FATAL for it. */
export function controlRefusalResponse(refusal: ControlRefusal): Buffer {
  return refusalResponse(refusalReason(refusal), 'Login', {
    message: `${refusal.message} (${refusal.code})`,
    hint: refusal.hint,
  });
}

/** For a target (`namespace/name`) that is not among those of the caller. */
export function notOpen(target: string, bundle: PolicyBundle | undefined): RefusalText {
  const who =
    bundle === undefined ? 'the caller' : `${bundle.identity.namespace}/${bundle.identity.name}`;
  return {
    message: `Target ${target} is not open to ${who}, or does not exist any more (CHP-2012)`,
    hint: "If the Target is gone, have its owner restore it; if not, have its allowedNamespaces include the identity's namespace.",
  };
}
