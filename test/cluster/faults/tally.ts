/** The load's own account of what it asked and what came of it: a line of JSON each. */
import type { StatementKind } from './statements.ts';

/** One attempt to connect. */
export interface ConnectionEntry {
  readonly connection: 'Opened' | 'Failed';
  readonly worker: string;
  readonly at: number;
  /** Of the failure: SQLSTATE or the system's code. */
  readonly code?: string;
}

/** One statement; it is never sent again. Times in milliseconds of the epoch. */
export interface StatementEntry {
  readonly number: number;
  readonly kind: StatementKind;
  readonly worker: string;
  readonly sentAt: number;
  readonly at: number;
  /** `Broken`: nobody said whether it ran. */
  readonly outcome: 'Done' | 'Refused' | 'Broken';
  /** SQLSTATE, or the system's code. */
  readonly code?: string;
  /** Of the one field of the one row that was asked for. */
  readonly value?: string;
}

/** The last line. */
export interface EndEntry {
  readonly end: true;
}

export type TallyEntry = ConnectionEntry | StatementEntry | EndEntry;

export class Tally {
  readonly entries: readonly TallyEntry[];

  /** A line that is not complete yet is left out. */
  constructor(text: string) {
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    const lines = whole.split('\n').filter((line) => line !== '');
    this.entries = lines.map((line) => JSON.parse(line) as TallyEntry);
  }

  get ended(): boolean {
    return this.entries.some((entry) => 'end' in entry);
  }

  get statements(): readonly StatementEntry[] {
    return this.entries.filter((entry) => 'number' in entry);
  }

  get connections(): readonly ConnectionEntry[] {
    return this.entries.filter((entry) => 'connection' in entry);
  }

  /** Statements with this outcome. */
  with(outcome: StatementEntry['outcome']): readonly StatementEntry[] {
    return this.statements.filter((statement) => statement.outcome === outcome);
  }

  /** Whether a statement's worker lost its connection, or got none, before a statement of it was next carried out. */
  isCutOffAfter(statement: StatementEntry): boolean {
    for (const entry of this.entries.slice(this.entries.indexOf(statement) + 1)) {
      if ('end' in entry || entry.worker !== statement.worker) continue;
      if ('connection' in entry) {
        if (entry.connection === 'Failed') return true;
      } else if (entry.outcome !== 'Refused') return entry.outcome === 'Broken';
    }
    return false;
  }

  /** What began at or after a time, in milliseconds of the epoch. */
  since(ms: number): readonly StatementEntry[] {
    return this.statements.filter(({ sentAt }) => sentAt >= ms);
  }
}
