/** Which Targets of other namespaces a namespace accepts: the one reading of its label and annotation. */
import {
  foreignTargetsAccepted,
  foreignTargetsFromAnnotation,
  foreignTargetsLabel,
} from './names.ts';

/** `All`, `None`, or those of these namespaces alone. */
export type ForeignAcceptance = 'All' | 'None' | ReadonlySet<string>;

/** Of a Namespace's metadata, what says which it accepts. */
export interface AcceptanceMarks {
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/**
 * `namespace`: absent where there is none. `mode`: whether the administrator asks for the label, or accepts for
 * every namespace. The annotation narrows either. What it lists and is no namespace's name accepts nothing.
 */
export function foreignAcceptance(
  namespace: AcceptanceMarks | undefined,
  mode: 'Accepted' | 'ByLabel',
): ForeignAcceptance {
  const accepts =
    mode === 'Accepted' || namespace?.labels?.[foreignTargetsLabel] === foreignTargetsAccepted;
  if (!accepts) return 'None';
  const listed = namespace?.annotations?.[foreignTargetsFromAnnotation];
  return listed === undefined ? 'All' : new Set(listed.split(',').map((name) => name.trim()));
}

/** Whether Targets of another namespace, `from`, are accepted. */
export const acceptsFrom = (acceptance: ForeignAcceptance, from: string): boolean =>
  acceptance === 'All' || (acceptance !== 'None' && acceptance.has(from));
