import type pg from 'pg';
import { knowledgeSql, seenSql, watchSql } from './watch-sql.ts';

/**
 * One thing that a statement surely did to one relation, by the server's own account:
 * - `seen`: it held a lock, if only that of reading; `mode:…` a lock of that mode;
 * - `scanned`, `inserted`, `updated`, `deleted`: the counters of the transaction;
 * - `contents`: its rows are others than before; `maintained`: VACUUM or ANALYZE came by;
 * - `advanced`: a sequence gave a value or was set;
 * - `changed`, `created`, `dropped`: its definition, constraints, indexes, triggers, rules, privileges, comments.
 */
export interface Touch {
  readonly relation: string;
  readonly fact: string;
}

export interface Sight {
  readonly touches: readonly Touch[];
  /** What is no relation: `schema.name` or the name of what was made, changed or dropped. */
  readonly objects: readonly { readonly change: string; readonly name: string }[];
  /** User functions that ran and were counted, `schema.function`. */
  readonly functions: readonly string[];
  /** Settings whose value is another. */
  readonly settings: readonly string[];
  readonly advisoryLock: boolean;
  /** [referencing, referenced] after the statement. */
  readonly keys: readonly (readonly [string, string])[];
  /** Sequences that belong to a relation after the statement, by name → that relation. */
  readonly owned: Readonly<Record<string, string>>;
  /** The relations' names by now, by OID; null where none can be another. */
  readonly names: Readonly<Record<string, string>> | null;
}

/** What holds of the scratch database before anything is tried. */
export interface Knowledge {
  readonly names: Readonly<Record<string, string>>;
  readonly functions: Readonly<Record<string, string>>;
  readonly keys: readonly (readonly [string, string])[];
  readonly partitions: readonly string[];
  /** A sequence that belongs to a relation, by name → that relation. */
  readonly sequences: Readonly<Record<string, string>>;
  /** A sequence that a relation's default takes from → that relation. */
  readonly defaults: Readonly<Record<string, string>>;
}

interface Counters {
  readonly tables: Readonly<Record<string, readonly number[]>> | null;
  readonly functions: Readonly<Record<string, number>> | null;
  readonly maintained: Readonly<Record<string, readonly number[]>> | null;
}

interface Seen {
  readonly locks: readonly (readonly [oid: number, mode: string])[] | null;
  readonly advisory: boolean;
  readonly counters: Counters;
  readonly definitions: readonly (readonly [change: string, kind: string, name: string])[] | null;
  readonly contents: readonly string[] | null;
  readonly keys: readonly (readonly [string, string])[] | null;
  readonly owned: Readonly<Record<string, string>> | null;
  readonly sequences: Readonly<Record<string, string>>;
  readonly names: Readonly<Record<string, string>> | null;
}

type Settings = Readonly<Record<string, string>>;

const countedFacts = ['scanned', 'inserted', 'updated', 'deleted'] as const;

/** Sets the watch up in the database of `client`; call it after the schema is there. */
export async function installWatch(client: pg.ClientBase): Promise<void> {
  await client.query(watchSql);
  await client.query('SELECT oracle.remember()');
  await client.query('CREATE INDEX ON oracle.before (class, object); ANALYZE oracle.before');
}

export async function readKnowledge(client: pg.ClientBase): Promise<Knowledge> {
  const { rows } = await client.query<{ known: Knowledge }>(knowledgeSql);
  return (rows[0] as { known: Knowledge }).known;
}

/** Watches single statements on one connection. */
export class Watch {
  readonly #client: pg.ClientBase;
  readonly #known: Knowledge;
  #before: Counters | undefined;
  #settings: Readonly<Record<string, string>> = {};
  #sequences: Readonly<Record<string, string>> = {};

  constructor(client: pg.ClientBase, known: Knowledge) {
    this.#client = client;
    this.#known = known;
  }

  /** Call once, on a session whose settings are as they come. */
  async begin(): Promise<void> {
    this.#settings = (await this.#look(false)).settings;
  }

  /** Ends the transaction of the statement before, and what a rollback leaves of it, outside of any transaction. */
  async clear(): Promise<void> {
    const { sequences } = await this.#lastRow<{ sequences: Readonly<Record<string, string>> }>(
      'ROLLBACK; DEALLOCATE ALL; SELECT pg_advisory_unlock_all(); SELECT oracle.sequences() AS sequences',
    );
    this.#sequences = sequences;
  }

  /** Just before the statement; `transaction` begins one. */
  async before(transaction: boolean): Promise<void> {
    const { counters } = await this.#lastRow<{ counters: Counters }>(
      `${transaction ? 'BEGIN; ' : ''}SELECT oracle.counters() AS counters`,
    );
    this.#before = counters;
  }

  /** The first row of the last of several statements, of which each returns one result. */
  async #lastRow<Row extends pg.QueryResultRow>(sql: string): Promise<Row> {
    const results = (await this.#client.query<Row>(sql)) as unknown as
      | pg.QueryResult<Row>
      | readonly pg.QueryResult<Row>[];
    const last = 'rows' in results ? results : results.at(-1);
    return last?.rows[0] as Row;
  }

  /** Just after it; `everything` where its transaction is over. */
  async after(everything: boolean): Promise<Sight> {
    const { seen, settings } = await this.#look(everything);
    const touches = [
      ...this.#locked(seen),
      ...this.#counted(seen),
      ...(seen.contents ?? []).map((relation) => ({ relation, fact: 'contents' })),
    ];
    const objects: { change: string; name: string }[] = [];
    for (const [change, kind, name] of seen.definitions ?? []) {
      if (kind === 'relation') touches.push({ relation: name, fact: change });
      else objects.push({ change, name });
    }
    return {
      touches,
      objects,
      functions: this.#ran(seen),
      settings: Object.keys(settings).filter((name) => settings[name] !== this.#settings[name]),
      advisoryLock: seen.advisory,
      keys: seen.keys ?? [],
      owned: seen.owned ?? {},
      names: seen.names,
    };
  }

  async #look(everything: boolean): Promise<{ seen: Seen; settings: Settings }> {
    const { rows } = await this.#client.query<{ seen: Seen; settings: Settings }>(seenSql, [
      everything,
    ]);
    return rows[0] as { seen: Seen; settings: Settings };
  }

  /** By the name that it had before; what is new is named as it is now; undefined for indexes and the like. */
  #name(oid: string | number, seen: Seen): string | undefined {
    return this.#known.names[oid] ?? seen.names?.[oid];
  }

  #locked(seen: Seen): Touch[] {
    return (seen.locks ?? []).flatMap(([oid, mode]) => {
      const relation = this.#known.names[oid];
      if (relation === undefined) return [];
      return mode === 'AccessShareLock'
        ? [{ relation, fact: 'seen' }]
        : [{ relation, fact: `mode:${mode.replace(/Lock$/, '')}` }];
    });
  }

  #counted(seen: Seen): Touch[] {
    const touches: Touch[] = [];
    const grown = (
      now: Readonly<Record<string, readonly number[]>> | null,
      then: Readonly<Record<string, readonly number[]>> | null | undefined,
      facts: readonly string[],
    ): void => {
      for (const [oid, values] of Object.entries(now ?? {})) {
        const relation = this.#name(oid, seen);
        if (relation === undefined) continue;
        facts.forEach((fact, at) => {
          if ((values[at] ?? 0) > (then?.[oid]?.[at] ?? 0)) touches.push({ relation, fact });
        });
      }
    };
    const { tables, maintained } = seen.counters;
    grown(tables, this.#before?.tables, countedFacts);
    grown(maintained, this.#before?.maintained, ['maintained', 'maintained']);
    for (const [oid, value] of Object.entries(seen.sequences)) {
      const relation = this.#known.names[oid];
      if (relation !== undefined && value !== this.#sequences[oid]) {
        touches.push({ relation, fact: 'advanced' });
      }
    }
    return touches;
  }

  #ran(seen: Seen): string[] {
    return Object.entries(seen.counters.functions ?? {}).flatMap(([oid, calls]) => {
      const name = this.#known.functions[oid];
      const ran = calls > (this.#before?.functions?.[oid] ?? 0);
      return ran && name !== undefined && !name.startsWith('oracle.') ? [name] : [];
    });
  }
}
