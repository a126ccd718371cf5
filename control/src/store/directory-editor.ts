/** Writes single objects into resource files, keeping the comments and the order of what stands there. */
import { randomBytes } from 'node:crypto';
import { readFileSync, renameSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type Document, isMap, parseAllDocuments, stringify } from 'yaml';
import { type Signature, signatureOf } from './file-scanner.ts';
import type { MergePatch } from './resource-store.ts';

export interface ObjectId {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** The file's text with one object merge-patched; undefined when the object is not in it. */
export function patchText(text: string, id: ObjectId, patch: MergePatch): string | undefined {
  const parts = partsOf(text);
  const part = parts.find(({ document }) => isObject(document, id));
  if (part === undefined) return undefined;
  mergeInto(part.document, [], patch);
  return parts
    .map((one) => (one === part ? one.document.toString({ lineWidth: 0 }) : one.text))
    .join('');
}

/** The file's text without one object; empty when it was the only one. */
export function removeText(text: string, id: ObjectId): string | undefined {
  const parts = partsOf(text);
  const rest = parts.filter(({ document }) => !isObject(document, id));
  if (rest.length === parts.length) return undefined;
  if (rest.every(({ document }) => document.contents === null)) return '';
  return rest.map((part) => part.text).join('');
}

/** The documents of a file, each with its text as it stands there: joined, they are the file. */
function partsOf(text: string): { readonly document: Document.Parsed; readonly text: string }[] {
  const documents = parseAllDocuments(text) as Document.Parsed[];
  const startOf = (index: number): number =>
    index === 0 ? 0 : (documents[index]?.range[0] ?? text.length);
  return documents.map((document, index) => ({
    document,
    text: text.slice(startOf(index), startOf(index + 1)),
  }));
}

/**
 * Merge-patches one object of a file in place; the file keeps its mode. For tools that fit a copy of the
 * examples to a machine; a running store is patched by its own methods. Throws when it is not in the file.
 */
export function patchResourceFile(path: string, id: ObjectId, patch: MergePatch): void {
  const text = patchText(readFileSync(path, 'utf8'), id, patch);
  if (text === undefined) {
    throw new Error(`${id.kind} ${id.namespace}/${id.name} is not in ${path}`);
  }
  writeWhole(path, text, statSync(path).mode & 0o777);
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
