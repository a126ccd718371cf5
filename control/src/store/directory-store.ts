/**
 * A ResourceStore over a directory of YAML files, for a Chaperone without a cluster. The files say what is
 * wanted; uids, versions, status and tickets stand in the state database.
 */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { objectName } from '@chaperone/core/resources/object.ts';
import { formatProblem, hasErrors } from '@chaperone/core/resources/problem.ts';
import { resourceSchemas } from '@chaperone/core/resources/schemas.ts';
import { applySchema } from '@chaperone/core/resources/structural.ts';
import type { ResourceKind } from '@chaperone/core/resources/types.ts';
import { validate } from '@chaperone/core/resources/validate.ts';
import type { Clock, Timer } from '@chaperone/runtime/clock.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { newText, patchText, removeText } from './directory-editor.ts';
import { DirectoryReader } from './directory-reader.ts';
import { DirectoryWatch } from './directory-watch.ts';
import { FileSet, type PlacedProblem } from './file-set.ts';
import { mergePatch } from './merge-patch.ts';
import { ObjectTable } from './object-table.ts';
import { ObjectsInForce } from './objects-in-force.ts';
import { invalid, ResourceFiles } from './resource-files.ts';
import type {
  MergePatch,
  NewObject,
  Preconditions,
  ResourceStore,
  Stored,
  StoredKind,
  WatchBatch,
} from './resource-store.ts';
import { inTransaction } from './state-database.ts';

/** Every so often all files are looked at, whether or not a change was announced. */
const rescanMs = 500;
/** From an announcement to the look, so that one save is one look. */
const announceMs = 20;
/** How long opening waits for files that keep changing. */
const openTimeoutMs = 10_000;

export interface DirectoryStoreOptions {
  readonly directory: string;
  /** See openStateDatabase; stays open when the store closes. */
  readonly database: DatabaseSync;
  /** See installationKey. */
  readonly key: Buffer;
  readonly clock: Clock;
  /** Called with all problems whenever they change, and once on opening if there are any. */
  readonly onProblems?: (problems: readonly PlacedProblem[]) => void;
}

export class DirectoryStore implements ResourceStore {
  readonly #options: DirectoryStoreOptions;
  readonly #root: string;
  readonly #files = new FileSet();
  readonly #reader: DirectoryReader;
  readonly #table: ObjectTable;
  readonly #editor: ResourceFiles;
  readonly #watch: DirectoryWatch;
  readonly #objects = new ObjectsInForce();
  /** Which file an object in force comes from. */
  #sources: ReadonlyMap<string, { readonly file: string }> = new Map();
  #problems: readonly PlacedProblem[] = [];
  #unreadable: readonly PlacedProblem[] = [];
  #timer: { readonly timer: Timer; readonly dueMs: number } | undefined;
  /** A change has been read and is not in force yet. */
  #pending = false;
  #closed = false;

  private constructor(options: DirectoryStoreOptions) {
    this.#options = options;
    this.#root = resolve(options.directory);
    this.#table = new ObjectTable(options.database, options.key);
    this.#reader = new DirectoryReader(this.#root, options.clock, this.#files, (file) =>
      this.#table.lastValid(file),
    );
    this.#editor = new ResourceFiles(this.#root, this.#reader);
    this.#watch = new DirectoryWatch(() => this.#schedule(announceMs));
  }

  /**
   * Reads the directory and begins to watch it. Throws CHP-1010 when a file has errors and no earlier valid
   * state is known: without it, a rule that denies or masks might be missing.
   */
  static async open(options: DirectoryStoreOptions): Promise<DirectoryStore> {
    const store = new DirectoryStore(options);
    try {
      await store.#firstScan();
      return store;
    } catch (error) {
      store.close();
      throw error;
    }
  }

  /** What is wrong with the files now, warnings included. */
  problems(): readonly PlacedProblem[] {
    return this.#problems;
  }

  /** Stops watching. The database stays open. */
  close(): void {
    this.#closed = true;
    this.#timer?.timer.cancel();
    this.#watch.close();
    this.#objects.close();
  }

  async get<K extends StoredKind>(
    kind: K,
    namespace: string,
    name: string,
  ): Promise<Stored<K> | undefined> {
    return this.#objects.find(kind, namespace, name);
  }

  async list<K extends StoredKind>(
    kind: K,
    namespace?: string,
  ): Promise<{ items: readonly Stored<K>[]; resourceVersion: string }> {
    return this.#objects.list(kind, namespace);
  }

  watch(kinds: readonly StoredKind[], onBatch: (batch: WatchBatch) => void): () => void {
    return this.#objects.watch(kinds, onBatch);
  }

  async create(object: NewObject): Promise<Stored> {
    const { name, object: valid, problems } = validate(object, this.#options.clock.nowMs());
    if (valid === undefined) throw invalid(problems.map((problem) => formatProblem(problem, name)));
    if (this.#objects.all.has(name))
      throw new ChaperoneError('CHP-1012', `${name} exists already.`);
    const file = this.#editor.freeName({ kind: valid.kind, ...valid.metadata }, this.#files);
    this.#editor.write(file, newText(object), 0o600);
    this.#commit();
    return this.#objects.all.get(name)!;
  }

  async patch<K extends StoredKind>(
    kind: K,
    namespace: string,
    name: string,
    patch: MergePatch,
    preconditions: Preconditions = {},
  ): Promise<Stored<K>> {
    const { status: _, ...withoutStatus } = patch;
    const { object, file, text } = this.#editable(kind, namespace, name, preconditions);
    const next = patchText(text, { kind, namespace, name }, withoutStatus);
    if (next === undefined)
      throw new ChaperoneError('CHP-1014', `${objectName(object)} is not in ${file}.`);
    this.#editor.check(file, next, objectName(object), this.#options.clock.nowMs());
    this.#editor.write(file, next);
    this.#commit();
    return this.#objects.require(kind, namespace, name);
  }

  async patchStatus<K extends ResourceKind>(
    kind: K,
    namespace: string,
    name: string,
    patch: MergePatch,
    preconditions: Preconditions = {},
  ): Promise<Stored<K>> {
    const object: Stored<ResourceKind> = this.#objects.require(kind, namespace, name);
    check(object, preconditions);
    const status = mergePatch(object.status, patch);
    const { problems } = applySchema(status, resourceSchemas[kind].status, 'status');
    if (hasErrors(problems)) {
      throw invalid(problems.map((problem) => formatProblem(problem, objectName(object))));
    }
    if (JSON.stringify(status) === JSON.stringify(object.status ?? {})) return object as Stored<K>;
    const resourceVersion = inTransaction(this.#options.database, () =>
      this.#table.setStatus(object, status),
    );
    const next = { ...object, status, metadata: { ...object.metadata, resourceVersion } } as Stored;
    this.#objects.replace(
      new Map(this.#objects.all).set(objectName(object), next),
      Number(resourceVersion),
    );
    return next as Stored<K>;
  }

  async delete(
    kind: StoredKind,
    namespace: string,
    name: string,
    preconditions: Preconditions = {},
  ): Promise<void> {
    const { object, file, text } = this.#editable(kind, namespace, name, preconditions);
    const rest = removeText(text, { kind, namespace, name });
    if (rest === undefined)
      throw new ChaperoneError('CHP-1014', `${objectName(object)} is not in ${file}.`);
    if (rest === '') {
      this.#editor.remove(file);
    } else {
      this.#editor.write(file, rest);
    }
    this.#commit();
  }

  async #firstScan(): Promise<void> {
    const { clock } = this.#options;
    if (!statSync(this.#root).isDirectory()) {
      throw new ChaperoneError('CHP-1004', `${this.#root} is not a directory.`);
    }
    const deadlineUs = clock.monotonicUs() + openTimeoutMs * 1000;
    for (;;) {
      const { againMs, directories, unreadable } = this.#reader.scan();
      this.#unreadable = unreadable;
      if (againMs === undefined) {
        this.#watch.set(directories);
        break;
      }
      if (clock.monotonicUs() > deadlineUs) {
        throw new ChaperoneError('CHP-1004', `The files in ${this.#root} keep changing.`);
      }
      await new Promise<void>((done) => clock.setTimer(againMs, done));
    }
    const { neverValid, problems } = this.#files.resolve();
    if (neverValid.length > 0 || this.#unreadable.length > 0) {
      throw invalid(
        [...this.#unreadable, ...problems]
          .filter(({ severity }) => severity === 'Error')
          .map(formatPlaced),
      );
    }
    this.#commit();
    this.#schedule(rescanMs);
  }

  /** Looks again after `delayMs`, or earlier if that was planned already. */
  #schedule(delayMs: number): void {
    if (this.#closed) return;
    const dueMs = this.#options.clock.monotonicUs() / 1000 + delayMs;
    if (this.#timer !== undefined && this.#timer.dueMs <= dueMs) return;
    this.#timer?.timer.cancel();
    const timer = this.#options.clock.setTimer(delayMs, () => {
      this.#timer = undefined;
      this.#scan();
    });
    this.#timer = { timer, dueMs };
  }

  #scan(): void {
    try {
      const { changed, againMs, directories, unreadable } = this.#reader.scan();
      this.#watch.set(directories);
      const unreadableChanged = JSON.stringify(unreadable) !== JSON.stringify(this.#unreadable);
      this.#unreadable = unreadable;
      if (changed || unreadableChanged || this.#pending) this.#commit();
      this.#schedule(Math.min(againMs ?? rescanMs, rescanMs));
    } catch (error) {
      // A full disk under the database, say. What is in force stays; the next look tries again.
      this.#setProblems([
        {
          severity: 'Error',
          path: '',
          message: `changes cannot be taken: ${error instanceof Error ? error.message : error}`,
          file: '.',
          line: 1,
        },
      ]);
      this.#schedule(rescanMs);
    }
  }

  /** Puts what the files say now into force, all at once. */
  #commit(): void {
    this.#pending = true;
    const { objects, problems } = this.#files.resolve();
    const { database, clock } = this.#options;
    const { next, version } = inTransaction(database, () => ({
      next: this.#table.replaceAll(objects, clock.nowMs()),
      version: this.#table.version(),
    }));
    this.#sources = objects;
    this.#setProblems([...this.#unreadable, ...problems]);
    this.#pending = false;
    this.#objects.replace(next, version);
  }

  #setProblems(problems: readonly PlacedProblem[]): void {
    if (JSON.stringify(problems) === JSON.stringify(this.#problems)) return;
    this.#problems = problems;
    this.#options.onProblems?.(problems);
  }

  /** An object and the text of its file, if the file says now what is in force. */
  #editable(
    kind: StoredKind,
    namespace: string,
    name: string,
    preconditions: Preconditions,
  ): { object: Stored; file: string; text: string } {
    const object = this.#objects.require(kind, namespace, name);
    check(object, preconditions);
    const { file } = this.#sources.get(objectName(object))!;
    return { object, file, text: this.#editor.read(file) };
  }
}

/** `FILE:LINE: object: path: message`. */
export function formatPlaced(problem: PlacedProblem): string {
  return formatProblem(problem, problem.object, `${problem.file}:${problem.line}`);
}

function check(object: Stored, { uid, resourceVersion }: Preconditions): void {
  const { metadata } = object;
  const holds =
    (uid === undefined || uid === metadata.uid) &&
    (resourceVersion === undefined || resourceVersion === metadata.resourceVersion);
  if (!holds) throw new ChaperoneError('CHP-1013', `${objectName(object)} was changed meanwhile.`);
}
