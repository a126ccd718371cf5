import type { Outcome } from './scratch.ts';

interface Row {
  statements: number;
  covered: number;
  unknown: number;
  missed: number;
}

/** Counts outcomes by kind of statement, over those that the server took. */
export class Tally {
  readonly #rows = new Map<string, Row>();
  readonly #reasons = new Map<string, number>();
  refused = 0;
  unseen = 0;

  add(outcome: Outcome): void {
    if (outcome === undefined) {
      this.refused += 1;
      return;
    }
    const { kind, verdict } = outcome;
    if (verdict.kind === 'Unseen') {
      this.unseen += 1;
      return;
    }
    let row = this.#rows.get(kind);
    if (row === undefined) {
      row = { statements: 0, covered: 0, unknown: 0, missed: 0 };
      this.#rows.set(kind, row);
    }
    row.statements += 1;
    if (verdict.kind === 'Covered') row.covered += 1;
    else if (verdict.kind === 'Missed') row.missed += 1;
    else {
      row.unknown += 1;
      const reason = verdict.reason.replace(/[\w.]+ does not resolve/, '… does not resolve');
      this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + 1);
    }
  }

  get total(): Row {
    const total: Row = { statements: 0, covered: 0, unknown: 0, missed: 0 };
    for (const row of this.#rows.values()) {
      total.statements += row.statements;
      total.covered += row.covered;
      total.unknown += row.unknown;
      total.missed += row.missed;
    }
    return total;
  }

  get kinds(): ReadonlySet<string> {
    return new Set(this.#rows.keys());
  }

  /** kind × statements × covered × Unknown × mismatch, and the most frequent reasons for Unknown. */
  table(): string {
    const line = (kind: string, row: Row): string =>
      [
        kind.padEnd(30),
        ...[row.statements, row.covered, row.unknown, row.missed].map((count) =>
          String(count).padStart(10),
        ),
        `${((100 * row.unknown) / Math.max(1, row.statements)).toFixed(1)} %`.padStart(10),
      ].join('');
    const head = `${'kind'.padEnd(30)}${['statements', 'covered', 'Unknown', 'mismatch', 'Unknown'].map((word) => word.padStart(10)).join('')}`;
    const rows = [...this.#rows].sort(([a], [b]) => a.localeCompare(b));
    const reasons = [...this.#reasons].sort(([, a], [, b]) => b - a).slice(0, 15);
    return [
      head,
      ...rows.map(([kind, row]) => line(kind, row)),
      line('all', this.total),
      `not taken by the server: ${this.refused}`,
      `not seen, since the watch itself was changed: ${this.unseen}`,
      'Unknown most often because:',
      ...reasons.map(([reason, count]) => `${String(count).padStart(8)}  ${reason}`),
    ].join('\n');
  }
}
