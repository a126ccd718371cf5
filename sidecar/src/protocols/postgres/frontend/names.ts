/**
 * The session's prepared statements and portals, as the backend will see them once everything in flight has
 * been carried out. Each change is made when its message is sent and can be undone, for an error makes the
 * backend skip what stands behind it.
 */
import type { StatementAnalysis } from '@chaperone/core/sql/operation.ts';
import type { Meanings } from './meanings.ts';

/** What a prepared statement's name stands for. */
export interface PreparedStatement {
  readonly text: string;
  readonly parameterTypes: readonly number[];
  /** What it has meant since it was prepared. */
  readonly meanings: Meanings;
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

/** Which of the messages sent are not answered yet, see Inflight. */
interface Numbers {
  readonly firstNumber: number;
  readonly nextNumber: number;
  mayFailAlone(number: number): boolean;
}

interface Version<T> {
  /** Undefined: the name is gone. */
  readonly value: T | undefined;
  /** Of the message that makes the change. */
  readonly number: number;
  /** What holds when this one is taken back; unknown once it cannot be any more. */
  previous: Version<T> | undefined;
  undone: boolean;
}

/** PostgreSQL's NAMEDATALEN less one: a longer name of a statement or portal is cut there, at any byte. */
const maxNameBytes = 63;

/** Of one session and kind: what a name stands for is kept as long as the session wants it. */
const maxNames = 10_000;
const maxTextChars = 16 * 1024 * 1024;

/** The bytes of a name that count, one character each. */
function keyOf(name: string): string {
  // Most names are short and ASCII, and are asked for several times a statement.
  if (name.length <= maxNameBytes && isAscii(name)) return name;
  return Buffer.from(name).toString('latin1', 0, maxNameBytes);
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    if (text.charCodeAt(index) > 0x7f) return false;
  }
  return true;
}

/** What is answered and not taken back stays, so nothing beneath it is needed. */
function forgetBeneathAnswered<T>(newest: Version<T> | undefined, firstNumber: number): void {
  for (let one = newest; one !== undefined; one = one.previous) {
    if (!one.undone && one.number < firstNumber) one.previous = undefined;
  }
}

/**
 * Names of one kind, with changes that can be taken back in any order: an error takes back those of its own
 * pipeline, while later pipelines have already changed the same names.
 */
export class NameTable<T> {
  readonly #numbers: Numbers;
  readonly #newest = new Map<string, Version<T>>();
  /** Deletions that may still be taken back, oldest first. */
  readonly #deleted: { readonly key: string; readonly version: Version<T> }[] = [];
  readonly #textOf: (value: T) => string;
  /** Characters of the texts of all versions, and of those forgotten since they were last counted. */
  #maxChars = 0;

  constructor(numbers: Numbers, textOf: (value: T) => string) {
    this.#numbers = numbers;
    this.#textOf = textOf;
  }

  /**
   * Whether one more is too much: too many names, unless it has this one or it is the unnamed, or too much
   * text, counting what may still be taken back.
   */
  isFull(name: string): boolean {
    if (this.#maxChars >= maxTextChars) this.#count();
    if (this.#maxChars >= maxTextChars) return true;
    if (this.#newest.size < maxNames || name === '' || this.#newest.has(keyOf(name))) return false;
    this.#forgetDeleted(this.#numbers.firstNumber);
    return this.#newest.size >= maxNames;
  }

  get(name: string): T | undefined {
    return this.#newest.get(keyOf(name))?.value;
  }

  /**
   * Whether the name may still come to stand for something else than `get` tells, for a message that is sent now: what
   * it was given by may fail in a pipeline of its own. Nothing is to be decided by it then.
   */
  isUnsure(name: string): boolean {
    const newest = this.#newest.get(keyOf(name));
    return newest !== undefined && this.#numbers.mayFailAlone(newest.number);
  }

  set(name: string, value: T): Undo {
    return this.#change(keyOf(name), value);
  }

  delete(name: string): Undo {
    const key = keyOf(name);
    return this.#newest.has(key) ? this.#change(key, undefined) : () => {};
  }

  /** Keeps only the entries that `keep` accepts. */
  filter(keep: (value: T, name: string) => boolean): Undo {
    const undo: Undo[] = [];
    // A change replaces the entry of its key, so that the iteration does not come by it again.
    for (const [key, { value }] of this.#newest) {
      if (value !== undefined && !keep(value, key)) undo.push(this.#change(key, undefined));
    }
    return () => {
      for (const back of undo) back();
    };
  }

  #change(key: string, value: T | undefined): Undo {
    const { firstNumber, nextNumber } = this.#numbers;
    this.#forgetDeleted(firstNumber);
    const version: Version<T> = {
      value,
      number: nextNumber,
      previous: this.#newest.get(key),
      undone: false,
    };
    forgetBeneathAnswered(version.previous, firstNumber);
    this.#newest.set(key, version);
    if (value !== undefined) this.#maxChars += this.#textOf(value).length;
    if (value === undefined) this.#deleted.push({ key, version });
    return () => {
      version.undone = true;
      let top = this.#newest.get(key);
      while (top?.undone) top = top.previous;
      if (top === undefined) this.#newest.delete(key);
      else this.#newest.set(key, top);
    };
  }

  #count(): void {
    const { firstNumber } = this.#numbers;
    this.#forgetDeleted(firstNumber);
    this.#maxChars = 0;
    for (const newest of this.#newest.values()) {
      forgetBeneathAnswered(newest, firstNumber);
      for (let one: Version<T> | undefined = newest; one !== undefined; one = one.previous) {
        if (one.value !== undefined) this.#maxChars += this.#textOf(one.value).length;
      }
    }
  }

  #forgetDeleted(firstNumber: number): void {
    let count = 0;
    for (const { key, version } of this.#deleted) {
      if (version.number >= firstNumber) break;
      if (this.#newest.get(key) === version) this.#newest.delete(key);
      count += 1;
    }
    if (count > 0) this.#deleted.splice(0, count);
  }
}
