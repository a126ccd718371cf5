import { formatResource } from '@chaperone/core/policy/resource-pattern.ts';
import type { SimulatedMask, Simulation } from '@chaperone/core/policy/simulate.ts';
import type { Operation } from '@chaperone/core/sql/operation.ts';
import type { Answer } from './policy-case.ts';

/** An answer for people, as lines. */
export function renderAnswer(answer: Answer): string[] {
  const lines: string[] = [answer.verdict];
  if (answer.failure !== undefined) lines.push(`  why         ${answer.failure}`);
  answer.statements.forEach((statement, index) => {
    if (answer.statements.length > 1) {
      lines.push(`statement ${index + 1}: ${statement.verdict}`);
    }
    lines.push(...renderStatement(statement));
  });
  if (answer.enforcement === 'Observe') {
    lines.push('  enforcement Observe: the statement goes out all the same, and nothing is masked');
  }
  return lines;
}

function renderStatement(statement: Simulation): string[] {
  const masks = statement.masks.filter((mask) => !isScan(mask));
  const scans = statement.masks.filter(isScan);
  return [
    ...field('rule', statement.rules),
    ...field('why', statement.message === undefined ? [] : [statement.message]),
    ...field('hint', statement.hint === undefined ? [] : [statement.hint]),
    ...field('operations', statement.operations.map(renderOperation)),
    ...field('masks', masks.map(renderMask)),
    ...field('scanned', scans.map(renderMask)),
    ...field(
      'limits',
      statement.limits.map(({ limits }) => {
        const { onExceed, scope, ...bounds } = limits;
        const named = Object.entries(bounds).map(([name, value]) => `${name} ${value}`);
        return `${named.join(', ')} (for each ${scope}, else ${onExceed})`;
      }),
    ),
    ...field(
      'dry run',
      statement.wouldDeny.map((rule) => `would refuse: ${rule}`),
    ),
  ];
}

/** Detectors look into the value and mask what they find; a transform masks it whatever it is. */
export const isScan = ({ transform }: SimulatedMask): boolean => transform.includes(':');

const renderMask = ({ column, rule, transform }: SimulatedMask): string =>
  `${column}: ${transform} (${rule})`;

function field(name: string, values: readonly string[]): string[] {
  return values.map((value, index) => `  ${(index === 0 ? name : '').padEnd(11)} ${value}`);
}

function renderOperation(operation: Operation): string {
  const parts = [operation.verb, formatResource(operation.resource)];
  if (operation.columns !== undefined) parts.push(`(${operation.columns.join(', ')})`);
  if (operation.reach === 'Beneath') parts.push('beneath');
  if (operation.sideEffects) parts.push('with side effects');
  if (operation.reason !== undefined) parts.push(`– ${operation.reason}`);
  return parts.join(' ');
}
