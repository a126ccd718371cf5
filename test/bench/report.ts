/** Figures and how they are shown. */
import { type Goal, goalText, reached } from './goals.ts';

/** One line of the table. */
export interface Figure {
  readonly section: string;
  readonly figure: string;
  readonly goal?: Goal;
  /** What is held against the goal: the median of what was measured, in the goal's unit. */
  readonly value?: number;
  readonly measured: string;
  /** For the JSON file: every sample. */
  readonly samples?: Readonly<Record<string, readonly number[]>>;
}

export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** `median (min–max)`. */
export function spread(values: readonly number[], digits = 2, unit = ''): string {
  if (values.length === 0) return 'not measured';
  const show = (value: number): string => value.toFixed(digits);
  return `${show(median(values))}${unit} (${show(Math.min(...values))}–${show(Math.max(...values))})`;
}

/** What a goal needs, from samples in the goal's unit; nothing where nothing was measured. */
export function against(
  goal: Goal,
  values: readonly number[],
): { readonly goal: Goal; readonly value?: number } {
  return values.length === 0 ? { goal } : { goal, value: median(values) };
}

/** Of the same round, one by one. */
export function ratios(a: readonly number[], b: readonly number[]): number[] {
  return a.map((value, round) => value / b[round]!);
}

export const mebibytes = (bytes: number): number => bytes / (1 << 20);

/** `moonshot`, `solid` or `short`; empty where there is no goal or nothing was measured. */
export function verdict({ goal, value }: Figure): string {
  return goal === undefined || value === undefined ? '' : reached(goal, value);
}

/** A Markdown table: each figure beside what it is to reach. */
export function formatTable(figures: readonly Figure[]): string {
  const rows = [
    ['figure', 'solid', 'moonshot', 'measured: median (min–max)', 'reached'],
    ...figures.map((one) => [
      one.figure,
      ...(one.goal === undefined ? ['', ''] : goalText(one.goal)),
      one.measured,
      verdict(one),
    ]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map(
    (row) => `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`,
  );
  lines.splice(1, 0, `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`);
  return lines.join('\n');
}
