/** The state database's part of an object: its uid, versions and status, and its last valid body. */
import { createHmac, randomUUID } from 'node:crypto';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { canonicalJson } from '@chaperone/core/canonical-json.ts';
import { objectName } from '@chaperone/core/resources/object.ts';
import type { AnyObject } from '@chaperone/core/resources/validate.ts';
import type { Stored, StoredKind } from './resource-store.ts';

interface Row {
  readonly kind: StoredKind;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  readonly resource_version: number;
  readonly created: string;
  readonly digest: string;
  readonly spec_digest: string;
  readonly file: string;
  readonly body: string | null;
  readonly status: string | null;
}

export class ObjectTable {
  readonly #database: DatabaseSync;
  readonly #key: Buffer;
  readonly #select: StatementSync;

  /** `key` is the installation's: plain digests of Secrets could be guessed. */
  constructor(database: DatabaseSync, key: Buffer) {
    this.#database = database;
    this.#key = key;
    this.#select = database.prepare(
      'SELECT * FROM objects WHERE kind = ? AND namespace = ? AND name = ?',
    );
  }

  /** The last resourceVersion given. */
  version(): number {
    const row = this.#database.prepare('SELECT resource_version FROM version').get();
    return (row as { resource_version: number }).resource_version;
  }

  /** The objects that stood in a file when it was last valid; Secrets are not kept, so not among them. */
  lastValid(file: string): AnyObject[] | undefined {
    const rows = this.#database.prepare('SELECT * FROM objects WHERE file = ?').all(file);
    if (rows.length === 0) return undefined;
    return rows.flatMap((row) => {
      const { body } = row as unknown as Row;
      return body === null ? [] : [JSON.parse(body) as AnyObject];
    });
  }

  /** All objects with their stored metadata and status; Secrets are not among them. */
  all(): Stored[] {
    const rows = this.#database.prepare('SELECT * FROM objects').all();
    return rows.flatMap((row) => {
      const typed = row as unknown as Row;
      return typed.body === null ? [] : [stored(JSON.parse(typed.body) as AnyObject, typed)];
    });
  }

  /**
   * Makes the table say exactly `objects` and returns them with their stored metadata. Unchanged ones keep
   * their versions. To be called in a transaction.
   */
  replaceAll(
    objects: ReadonlyMap<string, { readonly object: AnyObject; readonly file: string }>,
    nowMs: number,
  ): Map<string, Stored> {
    const result = new Map<string, Stored>();
    for (const [name, { object, file }] of objects) {
      result.set(name, stored(object, this.#upsert(object, file, nowMs)));
    }
    const known = this.#database.prepare('SELECT kind, namespace, name FROM objects').all();
    for (const { kind, namespace, name } of known as unknown as Row[]) {
      if (result.has(objectName({ kind, metadata: { namespace, name } }))) continue;
      this.#nextVersion();
      this.#database
        .prepare('DELETE FROM objects WHERE kind = ? AND namespace = ? AND name = ?')
        .run(kind, namespace, name);
    }
    return result;
  }

  /** Writes `status` and returns the object's new version. To be called in a transaction. */
  setStatus({ kind, metadata }: Stored, status: unknown): string {
    const version = this.#nextVersion();
    this.#database
      .prepare(
        `UPDATE objects SET status = ?, resource_version = ? WHERE kind = ? AND namespace = ? AND name = ?`,
      )
      .run(JSON.stringify(status), version, kind, metadata.namespace, metadata.name);
    return String(version);
  }

  #upsert(object: AnyObject, file: string, nowMs: number): Row {
    const { namespace, name, labels, annotations } = object.metadata;
    const { metadata: _, ...content } = object;
    const specDigest = this.#digest(content);
    const digest = this.#digest({ content, labels, annotations });
    const row = this.#select.get(object.kind, namespace, name) as Row | undefined;
    if (row !== undefined && row.digest === digest && row.file === file) return row;
    const changed = row?.digest !== digest;
    const next: Row = {
      kind: object.kind,
      namespace,
      name,
      uid: row?.uid ?? randomUUID(),
      generation: (row?.generation ?? 0) + (row?.spec_digest === specDigest ? 0 : 1),
      resource_version: changed ? this.#nextVersion() : row.resource_version,
      created: row?.created ?? new Date(nowMs).toISOString(),
      digest,
      spec_digest: specDigest,
      file,
      // What is secret stays in the file that holds it.
      body: object.kind === 'Secret' ? null : JSON.stringify(object),
      status: row?.status ?? null,
    };
    this.#database
      .prepare(
        `INSERT INTO objects (kind, namespace, name, uid, generation, resource_version, created, digest, spec_digest, file, body, status)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (kind, namespace, name) DO UPDATE SET generation = excluded.generation,
           resource_version = excluded.resource_version, digest = excluded.digest,
           spec_digest = excluded.spec_digest, file = excluded.file, body = excluded.body`,
      )
      .run(
        next.kind,
        next.namespace,
        next.name,
        next.uid,
        next.generation,
        next.resource_version,
        next.created,
        next.digest,
        next.spec_digest,
        next.file,
        next.body,
        next.status,
      );
    return next;
  }

  #nextVersion(): number {
    const row = this.#database
      .prepare(
        'UPDATE version SET resource_version = resource_version + 1 RETURNING resource_version',
      )
      .get();
    return (row as { resource_version: number }).resource_version;
  }

  #digest(value: unknown): string {
    return createHmac('sha256', this.#key).update(canonicalJson(value)).digest('hex');
  }
}

function stored(object: AnyObject, row: Row): Stored {
  return {
    ...object,
    metadata: {
      ...object.metadata,
      uid: row.uid,
      generation: row.generation,
      resourceVersion: String(row.resource_version),
      creationTimestamp: row.created,
    },
    ...(row.status !== null && { status: JSON.parse(row.status) }),
  } as Stored;
}
