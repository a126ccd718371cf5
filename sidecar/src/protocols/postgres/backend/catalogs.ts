import type { Catalog } from '@chaperone/core/sql/postgres/catalog.ts';

/** A catalog and when it was last found to be what the database has. */
export interface KnownCatalog {
  readonly catalog: Catalog;
  readonly fingerprint: string;
  /** Monotonic microseconds. */
  checkedUs: number;
}

/** The catalogs that sessions share, one for each target and database. */
export class Catalogs {
  readonly #known = new Map<string, KnownCatalog>();

  get(targetUid: string, database: string): KnownCatalog | undefined {
    return this.#known.get(key(targetUid, database));
  }

  set(targetUid: string, database: string, known: KnownCatalog): void {
    this.#known.set(key(targetUid, database), known);
  }
}

const key = (targetUid: string, database: string): string => `${targetUid}\0${database}`;
