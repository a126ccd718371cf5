/**
 * The session's prepared statements and portals, as the backend will see them once everything in flight has
 * been carried out. Each change is made when its message is sent and can be undone, for an error makes the
 * backend skip what stands behind it.
 */
import type { StatementAnalysis } from '@chaperone/core/sql/operation.ts';

/** What a prepared statement's name stands for. */
export interface PreparedStatement {
  readonly text: string;
  readonly parameterTypes: readonly number[];
  /** Index of the PREPARE within `text`; undefined for one made by a Parse message. */
  readonly preparedAt?: number;
}

/**
 * An open portal or cursor. Its columns are those of the moment when it was opened, so its analysis is kept:
 * a view that is replaced later does not change what the cursor returns.
 */
export interface Portal {
  readonly analysis: StatementAnalysis | undefined;
  readonly fingerprint: string;
  readonly statementText: string;
  /** Result format codes of Bind; cursors and simple queries are text unless declared BINARY. */
  readonly resultFormats: readonly (0 | 1)[];
  readonly hold: boolean;
  /** The number of the message that opens it, see Inflight. */
  readonly openedBy: number;
}

/** Takes a change back. */
export type Undo = () => void;

/** Names of one kind, with changes that can be taken back in reverse order. */
export class NameTable<T> {
  #entries = new Map<string, T>();

  get(name: string): T | undefined {
    return this.#entries.get(name);
  }

  set(name: string, value: T): Undo {
    const previous = this.#entries.get(name);
    this.#entries.set(name, value);
    return () => this.#restore(name, previous);
  }

  delete(name: string): Undo {
    const previous = this.#entries.get(name);
    this.#entries.delete(name);
    return () => this.#restore(name, previous);
  }

  /** Keeps only the entries that `keep` accepts. */
  filter(keep: (value: T, name: string) => boolean): Undo {
    const previous = this.#entries;
    this.#entries = new Map([...previous].filter(([name, value]) => keep(value, name)));
    return () => {
      this.#entries = previous;
    };
  }

  #restore(name: string, previous: T | undefined): void {
    if (previous === undefined) this.#entries.delete(name);
    else this.#entries.set(name, previous);
  }
}
