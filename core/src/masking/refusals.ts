import { describeOperation, describeRule, shown } from '../policy/messages.ts';
import { formatResource } from '../policy/resource-pattern.ts';
import type { Refusal, RuleRef } from '../policy/types.ts';
import type { ColumnUse, CopyFormat, Operation, OutputColumn, Verb } from '../sql/operation.ts';
import type { CompiledMask } from './mask-set.ts';

/** Verbs behind which code runs that no analysis sees through, or whole tables leave: no mask could hold. */
export const blindVerbs: ReadonlySet<Verb> = new Set<Verb>([
  'Unknown',
  'Do',
  'Call',
  'FunctionCall',
  'Replication',
]);

const refuse = (
  reason: 'Masking' | 'Usage',
  rule: RuleRef,
  message: string,
  hint: string,
  operation?: Operation,
): Refusal => ({
  verdict: 'Deny',
  reason,
  rule,
  message,
  hint,
  wouldDeny: [],
  ...(operation !== undefined && { operation }),
});

const exemptionHint = (rule: RuleRef): string =>
  `an exemption in ${describeRule(rule)} for those who need the values`;

export function refuseBlind(mask: CompiledMask, operation: Operation): Refusal {
  const why = operation.reason === undefined ? '' : ` (${shown(operation.reason)})`;
  return refuse(
    'Masking',
    mask.rule,
    `${describeOperation(operation)} is refused${why}: it could show what ${describeRule(mask.rule)} protects, and cannot be masked.`,
    `Write it as a statement that can be analyzed, or ask for ${exemptionHint(mask.rule)}.`,
    operation,
  );
}

export function refuseKeptCode(mask: CompiledMask, operation: Operation, what: string): Refusal {
  return refuse(
    'Masking',
    mask.rule,
    `${describeOperation(operation)} is refused (${shown(what)}): it could come to show what ${describeRule(mask.rule)} protects.`,
    `Have it done by an identity whose masks do not concern this database, or ask for ${exemptionHint(mask.rule)}.`,
    operation,
  );
}

export function refuseDerived(mask: CompiledMask, output: OutputColumn): Refusal {
  return refuse(
    'Masking',
    mask.rule,
    `Output column ${shown(output.name)} is computed from a column that ${describeRule(mask.rule)} protects, and cannot be masked.`,
    'Select the protected column itself, without an expression around it: it is then masked.',
  );
}

export function refuseUsage(mask: CompiledMask, use: ColumnUse): Refusal {
  const column = shown(formatResource(use.column.name));
  const rule = describeRule(mask.rule);
  if (use.usage === 'Store') {
    return refuse(
      'Usage',
      mask.rule,
      `The value of ${column} would be stored elsewhere, and ${rule} protects it.`,
      `Leave the column out, or ask for ${exemptionHint(mask.rule)}.`,
    );
  }
  const allowed =
    mask.source.usage === 'None'
      ? 'Use other columns to choose rows'
      : 'Compare it for equality only (=, IN, equi-join)';
  return refuse(
    'Usage',
    mask.rule,
    `${column} is protected by ${rule} and may not be used this way to choose or order rows (usage: ${mask.source.usage}).`,
    `${allowed}, or ask for ${exemptionHint(mask.rule)}.`,
  );
}

export function refuseCopy(rule: RuleRef, copy: CopyFormat): Refusal {
  const form = copy.format === 'binary' ? 'in binary format' : 'with options of its own';
  return refuse(
    'Masking',
    rule,
    `COPY ${form} cannot be masked, and ${describeRule(rule)} protects a column of its result.`,
    'Use COPY … TO STDOUT in format text or csv without further options.',
  );
}

export function refuseServerSide(rule: RuleRef, operation: Operation): Refusal {
  return refuse(
    'Masking',
    rule,
    `${describeOperation(operation)} would write what ${describeRule(rule)} protects on the server, where it cannot be masked.`,
    'Use COPY … TO STDOUT.',
    operation,
  );
}

export function refuseUnknownDetector(mask: CompiledMask): Refusal {
  return refuse(
    'Masking',
    mask.rule,
    `${describeRule(mask.rule)} names detector ${shown(mask.unknownDetector ?? '')}, which this version does not know.`,
    'Update this program, or leave the detector out of the rule.',
  );
}
