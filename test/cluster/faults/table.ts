/** Prints figures, a line for each row, to standard error: what a run showed beside passing. */
export function printTable(rows: ReadonlyMap<string, Readonly<Record<string, number>>>): void {
  const titles = [...rows.keys()];
  const columns = [...new Set([...rows.values()].flatMap((row) => Object.keys(row)))];
  const head = Math.max(0, ...titles.map(({ length }) => length));
  const lines = [
    [' '.repeat(head), ...columns],
    ...[...rows].map(([title, row]) => [
      title.padEnd(head),
      ...columns.map((column) => String(row[column] ?? '').padStart(column.length)),
    ]),
  ];
  process.stderr.write(`${lines.map((cells) => cells.join(' | ')).join('\n')}\n`);
}
