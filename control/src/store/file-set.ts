/**
 * All files of a directory, each with what it says now and what it last said validly, and which objects
 * follow from them. Pure but for its own state.
 */
import { objectName } from '@chaperone/core/resources/object.ts';
import { error, warning } from '@chaperone/core/resources/problem.ts';
import type { AnyObject } from '@chaperone/core/resources/validate.ts';
import { type FileProblem, isValid, type ParsedFile } from './yaml-file.ts';

/** A problem and the file, below the directory, that has it. */
export interface PlacedProblem extends FileProblem {
  readonly file: string;
}

interface FileState {
  parsed: ParsedFile;
  /** What the file said when it was last valid; undefined when it never was. */
  lastValid: readonly AnyObject[] | undefined;
  /** Permission bits. */
  mode: number;
}

export interface ObjectInForce {
  readonly object: AnyObject;
  readonly file: string;
  /** Where it begins in the file; 1 when the file says something else by now. */
  readonly line: number;
}

export interface Resolution {
  /** What is in force, by objectName. */
  readonly objects: ReadonlyMap<string, ObjectInForce>;
  readonly problems: readonly PlacedProblem[];
  /** Files with errors that have no earlier valid state to fall back to. */
  readonly neverValid: readonly string[];
}

export class FileSet {
  readonly #files = new Map<string, FileState>();
  /** Which file an object in force comes from. */
  #owners: ReadonlyMap<string, { readonly file: string }> = new Map();

  /** `lastValid` is what a file said validly in an earlier run of the program. */
  set(file: string, parsed: ParsedFile, mode: number, lastValid?: readonly AnyObject[]): void {
    const earlier = this.#files.get(file)?.lastValid ?? lastValid;
    this.#files.set(file, { parsed, mode, lastValid: earlier });
  }

  remove(file: string): void {
    this.#files.delete(file);
  }

  has(file: string): boolean {
    return this.#files.has(file);
  }

  get paths(): readonly string[] {
    return [...this.#files.keys()].sort();
  }

  /**
   * What is in force now. A file with an error counts with what it last said validly, as a whole. An object
   * that two files define belongs to the one that had it; the other file then has an error.
   */
  resolve(): Resolution {
    const problems: PlacedProblem[] = [];
    const objects = new Map<string, ObjectInForce>();
    const neverValid: string[] = [];
    const rightful = this.#rightfulOwners();
    const fallingBack: [string, FileState][] = [];
    for (const file of this.paths) {
      const state = this.#files.get(file)!;
      const own = this.#problemsOf(file, state, rightful);
      problems.push(...own);
      if (own.some(({ severity }) => severity === 'Error')) {
        fallingBack.push([file, state]);
        continue;
      }
      state.lastValid = state.parsed.objects;
      state.parsed.objects.forEach((object, index) => {
        objects.set(objectName(object), { object, file, line: state.parsed.lines[index] ?? 1 });
      });
    }
    // After the valid ones: an object that has moved to a valid file is that file's.
    for (const [file, { lastValid }] of fallingBack) {
      if (lastValid === undefined) neverValid.push(file);
      for (const object of lastValid ?? []) {
        const name = objectName(object);
        if (!objects.has(name)) objects.set(name, { object, file, line: 1 });
      }
    }
    this.#owners = objects;
    return { objects, problems, neverValid };
  }

  #rightfulOwners(): ReadonlyMap<string, string> {
    const owners = new Map<string, string>();
    for (const file of this.paths) {
      const { parsed } = this.#files.get(file)!;
      if (!isValid(parsed)) continue;
      for (const object of parsed.objects) {
        const name = objectName(object);
        if (!owners.has(name) || this.#owners.get(name)?.file === file) owners.set(name, file);
      }
    }
    return owners;
  }

  #problemsOf(
    file: string,
    { parsed, mode }: FileState,
    rightful: ReadonlyMap<string, string>,
  ): PlacedProblem[] {
    const problems: PlacedProblem[] = parsed.problems.map((problem) => ({ ...problem, file }));
    parsed.objects.forEach((object, index) => {
      const name = objectName(object);
      const line = parsed.lines[index] ?? 1;
      const owner = rightful.get(name);
      if (owner !== undefined && owner !== file) {
        problems.push({ ...error('', `is defined in ${owner} already`), object: name, file, line });
      }
      if (object.kind === 'Secret' && (mode & 0o077) !== 0) {
        const message = `the file has mode ${mode.toString(8).padStart(4, '0')}: others than its owner can read the secret; use 0600`;
        problems.push({ ...warning('', message), object: name, file, line });
      }
    });
    return problems;
  }
}
