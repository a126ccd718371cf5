import type { LabelSelector, LabelSelectorMatchExpression } from './types.ts';

type Labels = Readonly<Record<string, string>>;

/** Whether an object with these labels is selected. A selector without conditions selects nothing. */
export function selectorMatches(selector: LabelSelector, labels: Labels | undefined): boolean {
  const matchLabels = Object.entries(selector.matchLabels ?? {});
  const expressions = selector.matchExpressions ?? [];
  if (matchLabels.length + expressions.length === 0) return false;
  return (
    matchLabels.every(([key, value]) => labelValue(labels, key) === value) &&
    expressions.every((expression) =>
      expressionHolds(expression, labelValue(labels, expression.key)),
    )
  );
}

function labelValue(labels: Labels | undefined, key: string): string | undefined {
  return labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined;
}

function expressionHolds(
  { operator, values = [] }: LabelSelectorMatchExpression,
  value: string | undefined,
): boolean {
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
  }
}

/** The label for which the conditions contradict each other, so that nothing can be selected. */
export function contradictoryLabel(selector: LabelSelector): string | undefined {
  const keys = new Set([
    ...Object.keys(selector.matchLabels ?? {}),
    ...(selector.matchExpressions ?? []).map(({ key }) => key),
  ]);
  return [...keys].find((key) => !satisfiable(selector, key));
}

function satisfiable(selector: LabelSelector, key: string): boolean {
  const expressions = (selector.matchExpressions ?? []).filter((one) => one.key === key);
  const candidates = new Set(expressions.flatMap(({ values = [] }) => values));
  const wanted = selector.matchLabels;
  if (wanted !== undefined && Object.hasOwn(wanted, key)) candidates.add(wanted[key]!);
  // Beside the values that are named, all others behave alike: one of them stands for all.
  let other = 'other';
  while (candidates.has(other)) other += '-';
  candidates.add(other);
  const only: LabelSelector = {
    ...(wanted !== undefined && Object.hasOwn(wanted, key)
      ? { matchLabels: { [key]: wanted[key]! } }
      : {}),
    matchExpressions: expressions,
  };
  return (
    selectorMatches(only, {}) ||
    [...candidates].some((value) => selectorMatches(only, { [key]: value }))
  );
}
