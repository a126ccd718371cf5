/** Reads a directory of resources once, without a state: for tools that check files. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { objectName } from '@chaperone/core/resources/object.ts';
import { error, warning } from '@chaperone/core/resources/problem.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { unresolvedReferences } from '../controllers/references.ts';
import { Snapshot, watchedKinds } from '../controllers/snapshot.ts';
import { listFiles, readFileAtRest, reasonOf } from './file-scanner.ts';
import { FileSet, type PlacedProblem } from './file-set.ts';
import type { Stored, WatchEvent } from './resource-store.ts';
import { parseResourceFile } from './yaml-file.ts';

export interface LoadedDirectory {
  /** What is valid; uids are made up of the names. */
  readonly snapshot: Snapshot;
  /** Of the files, and then as warnings what they refer to and is not there. */
  readonly problems: readonly PlacedProblem[];
  /** How many files were read, and how many objects in them are valid. */
  readonly counts: { readonly files: number; readonly objects: number };
}

/** Throws CHP-1004 when `directory` is none. */
export function loadDirectory(directory: string, nowMs: number): LoadedDirectory {
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new ChaperoneError('CHP-1004', `${directory} is not a directory`, {
      hint: 'Name the directory that holds the YAML files of the resources.',
    });
  }
  const files = new FileSet();
  const { files: listed, unreadable } = listFiles(directory);
  const problems: PlacedProblem[] = [...unreadable].map(([file, message]) => ({
    ...error('', message),
    file,
    line: 1,
  }));
  for (const [file, signature] of listed) {
    try {
      const text = readFileAtRest(join(directory, file), signature);
      if (text === undefined) throw new Error('changes while it is read');
      files.set(file, parseResourceFile(text, nowMs), signature.mode);
    } catch (cause) {
      problems.push({ ...error('', reasonOf(cause)), file, line: 1 });
    }
  }
  const resolution = files.resolve();
  const snapshot = new Snapshot();
  const events = [...resolution.objects.values()].map(
    ({ object }): WatchEvent => ({
      type: 'Added',
      object: {
        ...object,
        metadata: {
          ...object.metadata,
          uid: objectName(object),
          generation: 1,
          resourceVersion: '1',
          creationTimestamp: new Date(0).toISOString(),
        },
      } as Stored,
    }),
  );
  snapshot.apply({
    events: events.filter(({ object }) => watchedKinds.includes(object.kind)),
    resourceVersion: '1',
  });
  const references = unresolvedReferences(snapshot).map(
    ({ object, path, message }): PlacedProblem => {
      const { file, line } = resolution.objects.get(object)!;
      return { ...warning(path, `CHP-1011: ${message}`), object, file, line };
    },
  );
  return {
    snapshot,
    problems: [...problems, ...resolution.problems, ...references],
    counts: { files: files.paths.length, objects: resolution.objects.size },
  };
}
