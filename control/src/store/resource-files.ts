/** Changing the files of a directory by program: only as they were read, and never into something invalid. */
import { readFileSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { formatProblem, hasErrors } from '@chaperone/core/resources/problem.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { writeWhole } from './directory-editor.ts';
import type { DirectoryReader } from './directory-reader.ts';
import { signatureOf } from './file-scanner.ts';
import { parseResourceFile } from './yaml-file.ts';

/** Paths are relative to `root`. What is written or removed is known to the reader at once. */
export class ResourceFiles {
  readonly #root: string;
  readonly #reader: DirectoryReader;

  constructor(root: string, reader: DirectoryReader) {
    this.#root = root;
    this.#reader = reader;
  }

  /** The text of a file; throws CHP-1013 when that is not what was read last. */
  read(file: string): string {
    const path = join(this.#root, file);
    const signature = signatureOf(statSync(path, { bigint: true }));
    if (!this.#reader.isCurrent(file, signature)) {
      throw new ChaperoneError('CHP-1013', `${file} was changed just now.`);
    }
    return readFileSync(path, 'utf8');
  }

  /** Throws CHP-1010 when the text is not valid, so that no file is made so. `label`: the object that is changed. */
  check(file: string, text: string, label: string, nowMs: number): void {
    const { problems } = parseResourceFile(text, nowMs);
    if (!hasErrors(problems)) return;
    throw invalid(
      problems
        .filter(({ severity }) => severity === 'Error')
        .map((problem) => formatProblem(problem, problem.object ?? label, file)),
    );
  }

  /** Writes a whole file; without `mode` it keeps the one that it has. */
  write(file: string, text: string, mode?: number): void {
    const path = join(this.#root, file);
    const signature = writeWhole(path, text, mode ?? statSync(path).mode & 0o777);
    this.#reader.take(file, signature, text);
  }

  remove(file: string): void {
    unlinkSync(join(this.#root, file));
    this.#reader.drop(file);
  }

  /** A name for a new object's file that neither the directory nor `known` has. */
  freeName(
    { kind, namespace, name }: { kind: string; namespace: string; name: string },
    known: { has(file: string): boolean },
  ): string {
    const stem = [kind.toLowerCase(), namespace, name].filter((part) => part !== '').join('-');
    for (let attempt = 0; ; attempt += 1) {
      const file = attempt === 0 ? `${stem}.yaml` : `${stem}-${attempt}.yaml`;
      if (
        !known.has(file) &&
        statSync(join(this.#root, file), { throwIfNoEntry: false }) === undefined
      ) {
        return file;
      }
    }
  }
}

/** CHP-1010, a problem a line. */
export function invalid(lines: readonly string[]): ChaperoneError {
  return new ChaperoneError('CHP-1010', lines.join('\n'));
}
