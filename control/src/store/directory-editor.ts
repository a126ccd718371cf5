/** Writes single objects into resource files, keeping the comments and the order of what stands there. */
import { randomBytes } from 'node:crypto';
import { renameSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type Document, isMap, parseAllDocuments, stringify } from 'yaml';
import { type Signature, signatureOf } from './file-scanner.ts';
import type { MergePatch } from './resource-store.ts';

interface ObjectId {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** The file's text with one object merge-patched; undefined when the object is not in it. */
export function patchText(text: string, id: ObjectId, patch: MergePatch): string | undefined {
  const documents = parseAllDocuments(text) as Document[];
  const document = documents.find((candidate) => isObject(candidate, id));
  if (document === undefined) return undefined;
  mergeInto(document, [], patch);
  return joined(documents);
}

/** The file's text without one object; empty when it was the only one. */
export function removeText(text: string, id: ObjectId): string | undefined {
  const documents = parseAllDocuments(text) as Document[];
  const rest = documents.filter((candidate) => !isObject(candidate, id));
  if (rest.length === documents.length) return undefined;
  return joined(rest.filter(({ contents }) => contents !== null));
}

export const newText = (object: unknown): string => stringify(object);

/** Replaces a file in one step: readers see the old or the new text, never a part. */
export function writeWhole(path: string, text: string, mode: number): Signature {
  const draft = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  try {
    writeFileSync(draft, text, { mode, flag: 'wx' });
    renameSync(draft, path);
  } catch (error) {
    try {
      unlinkSync(draft);
    } catch {
      // It was never made.
    }
    throw error;
  }
  return signatureOf(statSync(path, { bigint: true }));
}

function isObject(document: Document, { kind, namespace, name }: ObjectId): boolean {
  if (!isMap(document.contents)) return false;
  const ownNamespace =
    document.getIn(['metadata', 'namespace']) ?? (namespace === '' ? '' : 'default');
  return (
    document.get('kind') === kind &&
    document.getIn(['metadata', 'name']) === name &&
    ownNamespace === namespace
  );
}

function mergeInto(document: Document, path: readonly string[], patch: MergePatch): void {
  for (const [name, value] of Object.entries(patch)) {
    const at = [...path, name];
    if (value === null) document.deleteIn(at);
    else if (typeof value !== 'object' || Array.isArray(value)) document.setIn(at, value);
    else {
      if (!isMap(document.getIn(at))) document.setIn(at, document.createNode({}));
      mergeInto(document, at, value as MergePatch);
    }
  }
}

function joined(documents: readonly Document[]): string {
  return documents
    .map((document, index) => {
      const text = document.toString();
      return index === 0 || text.startsWith('---') ? text : `---\n${text}`;
    })
    .join('');
}
