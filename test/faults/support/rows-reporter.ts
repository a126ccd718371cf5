/** Prints, at the end of a run, what each fault did to client, database and record: a reporter for jest. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FaultRow, rowsFileVariable } from './tally-row.ts';

const columns = ['fault', 'level', 'client', 'database', 'record', 'contradictions'] as const;
const titles: Record<(typeof columns)[number], string> = {
  fault: 'fault',
  level: 'durability',
  client: 'client says',
  database: 'database did',
  record: 'record says',
  contradictions: 'contradictions',
};

export default class RowsReporter {
  readonly #path = join(tmpdir(), `chaperone-fault-rows-${process.pid}`);

  constructor() {
    // Workers have it from their parent.
    process.env[rowsFileVariable] = this.#path;
  }

  onRunComplete(): void {
    if (!existsSync(this.#path)) return;
    const rows = readFileSync(this.#path, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as FaultRow);
    rmSync(this.#path);
    rows.sort((a, b) => (a.fault < b.fault ? -1 : a.fault > b.fault ? 1 : 0));
    const texts = [titles, ...rows].map((row) => columns.map((name) => String(row[name])));
    const widths = columns.map((_, at) => Math.max(...texts.map((row) => row[at]!.length)));
    for (const row of texts) {
      process.stdout.write(`\n${row.map((text, at) => text.padEnd(widths[at]!)).join('  ')}`);
    }
    process.stdout.write('\n');
  }
}
