/** Figures and how they are shown. */

/** One line of the table. */
export interface Figure {
  readonly section: string;
  readonly figure: string;
  /** As in the goals; empty where there is none. */
  readonly goal: string;
  readonly measured: string;
  /** Whether the median reaches the goal; undefined where there is none. */
  readonly ok?: boolean;
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

/** Of the same round, one by one. */
export function ratios(a: readonly number[], b: readonly number[]): number[] {
  return a.map((value, round) => value / b[round]!);
}

export const mebibytes = (bytes: number): number => bytes / (1 << 20);

export function formatTable(figures: readonly Figure[]): string {
  const mark = ({ ok }: Figure): string => (ok === undefined ? '–' : ok ? 'yes' : 'no');
  const rows = [
    ['figure', 'goal', 'measured: median (min–max)', 'ok?'],
    ...figures.map((one) => [one.figure, one.goal || '–', one.measured, mark(one)]),
  ];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map(
    (row) => `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`,
  );
  lines.splice(1, 0, `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`);
  return lines.join('\n');
}
