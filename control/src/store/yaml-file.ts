/** Text of a resource file → validated objects. Hostile files cost little: size, aliases and keys are bounded. */
import { objectName } from '@chaperone/core/resources/object.ts';
import { error, hasErrors, type Problem } from '@chaperone/core/resources/problem.ts';
import { type AnyObject, validate } from '@chaperone/core/resources/validate.ts';
import { type Document, isMap, isScalar, LineCounter, parseAllDocuments, visit } from 'yaml';

/** Largest file that is read, in bytes. */
export const maxFileBytes = 1024 * 1024;
const maxDocuments = 2000;
const maxAliases = 64;

export interface FileProblem extends Problem {
  /** How messages name the object, where it is known. */
  readonly object?: string;
  /** 1-based line of the document or of the fault. */
  readonly line: number;
}

export interface ParsedFile {
  /** Meaningful as a whole only where no problem is an error. */
  readonly objects: readonly AnyObject[];
  readonly problems: readonly FileProblem[];
  /** 1-based line where each object begins, in the order of `objects`. */
  readonly lines: readonly number[];
}

/** Parses and validates. Never throws, and never quotes the text: it may hold secrets. */
export function parseResourceFile(text: string, nowMs: number): ParsedFile {
  const lines = new LineCounter();
  const documents = readDocuments(text, lines);
  if (!Array.isArray(documents)) return { objects: [], lines: [], problems: [documents] };
  const objects: AnyObject[] = [];
  const starts: number[] = [];
  const problems: FileProblem[] = [];
  const names = new Map<string, number>();
  for (const document of documents) {
    const line = lines.linePos(document.contents?.range?.[0] ?? document.range[0]).line;
    const read = readDocument(document, lines, line);
    if (Array.isArray(read)) {
      problems.push(...read);
      continue;
    }
    if (read.value === null) continue; // an empty document between two separators
    const validation = validate(read.value, nowMs);
    const name = validation.name === '' ? {} : { object: validation.name };
    problems.push(...validation.problems.map((problem) => ({ ...problem, ...name, line })));
    if (validation.object === undefined) continue;
    const first = names.get(validation.name);
    if (first !== undefined) {
      problems.push({
        ...error('', `stands in this file already, at line ${first}`),
        ...name,
        line,
      });
      continue;
    }
    names.set(objectName(validation.object), line);
    objects.push(validation.object);
    starts.push(line);
  }
  return { objects, problems, lines: starts };
}

/** The first document of a YAML text that is no resource, under the same bounds. Throws Error with the line. */
export function parsePlainYaml(text: string): unknown {
  const lines = new LineCounter();
  const documents = readDocuments(text, lines);
  const [first] = Array.isArray(documents) ? documents : [];
  const read = Array.isArray(documents) ? first && readDocument(first, lines, 1) : [documents];
  if (!Array.isArray(read)) return read?.value;
  throw new Error(read.map(({ line, message }) => `line ${line}: ${message}`).join('; '));
}

export const isValid = (file: ParsedFile): boolean => !hasErrors(file.problems);

function readDocuments(text: string, lineCounter: LineCounter): Document.Parsed[] | FileProblem {
  try {
    // Keys are compared below: the library's own check takes quadratic time.
    const documents = parseAllDocuments(text, {
      lineCounter,
      prettyErrors: false,
      uniqueKeys: false,
      strict: true,
    });
    if (!Array.isArray(documents)) return [];
    if (documents.length <= maxDocuments) return documents as Document.Parsed[];
    return { ...error('', `has more than ${maxDocuments} documents`), line: 1 };
  } catch {
    return { ...error('', 'is nested too deeply to be read'), line: 1 };
  }
}

function readDocument(
  document: Document.Parsed,
  lines: LineCounter,
  line: number,
): { readonly value: unknown } | FileProblem[] {
  const faults = [...document.errors, ...document.warnings];
  if (faults.length > 0) {
    return faults.slice(0, 5).map(({ code, pos }) => ({
      ...error('', `is not YAML: ${describe(code)}`),
      line: lines.linePos(pos[0]).line,
    }));
  }
  try {
    const unfit = unfitNode(document);
    if (unfit !== undefined) {
      return [{ ...error('', unfit.message), line: lines.linePos(unfit.offset).line }];
    }
    return { value: document.toJS({ maxAliasCount: maxAliases }) };
  } catch {
    return [{ ...error('', 'has too many or unresolved aliases, or is nested too deeply'), line }];
  }
}

/** The parser's own messages may quote the text, so only its codes are told. */
function describe(code: string): string {
  return code.toLowerCase().replaceAll('_', ' ');
}

/** Repeated keys, and keys that are no plain values. */
function unfitNode(document: Document.Parsed): { message: string; offset: number } | undefined {
  let found: { message: string; offset: number } | undefined;
  visit(document, {
    Node(_, node) {
      if (!isMap(node)) return undefined;
      const seen = new Set<string>();
      for (const { key } of node.items) {
        const offset = (isScalar(key) ? key.range?.[0] : node.range?.[0]) ?? 0;
        if (!isScalar(key)) found = { message: 'has a key that is no plain text', offset };
        else if (seen.has(String(key.value))) found = { message: 'has the same key twice', offset };
        else seen.add(String(key.value));
        if (found !== undefined) return visit.BREAK;
      }
      return undefined;
    },
  });
  return found;
}
