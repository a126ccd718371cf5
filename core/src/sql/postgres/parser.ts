import { setFlagsFromString } from 'node:v8';
import type { RawStmt } from 'libpg-query';
import createParser, { type ParserInstance } from 'libpg-query/wasm/libpg-query.js';
import type { AnalysisFailure } from '../operation.ts';

/** What PostgreSQL's own parser made of a text. */
export type ParseOutcome =
  | { readonly failure?: undefined; readonly statements: readonly RawStmt[] }
  | { readonly failure: AnalysisFailure; readonly statements?: undefined };

const silent = { print: () => {}, printErr: () => {} };
const unavailable: ParseOutcome = {
  failure: { kind: 'Parser', message: 'the SQL parser is not available at the moment' },
};

// V8 would compile the parser a second time, optimized, after the first statements: that takes some 550 MB for
// a second and stalls decisions, and saves a few microseconds a statement. A pod with a memory limit would be
// killed by it. Both flags are needed, and before the module is compiled.
setFlagsFromString('--no-wasm-tier-up');
setFlagsFromString('--no-wasm-dynamic-tiering');

let instance: ParserInstance | undefined;
let loading: Promise<void> | undefined;

/** Loads the parser; resolves when `parseSql` can be used. Later calls wait for the same instance. */
export function loadParser(): Promise<void> {
  if (instance !== undefined) return Promise.resolve();
  loading ??= createParser(silent).then(
    (created) => {
      instance = created;
      loading = undefined;
    },
    (error: unknown) => {
      loading = undefined;
      throw new Error('the SQL parser could not be loaded', { cause: error });
    },
  );
  return loading;
}

/** True when `parseSql` can be used; false while a fresh instance is being loaded. */
export function parserReady(): boolean {
  return instance !== undefined;
}

/**
 * Drops the instance and loads a fresh one. Whatever is thrown other than a syntax error may have left the
 * WebAssembly memory or stack broken for good, and a broken parser may misread the next text.
 */
function replaceInstance(): void {
  instance = undefined;
  loadParser().catch(() => {
    // Texts keep failing closed; the next one tries to load again.
  });
}

/**
 * Parses a text. Never throws: a syntax error is a failure of kind `Syntax` with PostgreSQL's own message;
 * anything else that goes wrong is of kind `Parser`, and the instance is replaced before the next text.
 */
export function parseSql(text: string): ParseOutcome {
  if (text.includes('\0')) {
    // The parser would stop there and judge only what stands before it.
    return { failure: { kind: 'Parser', message: 'the text contains a NUL character' } };
  }
  if (text === '') return { statements: [] };
  const parser = instance;
  if (parser === undefined) {
    replaceInstance();
    return unavailable;
  }
  try {
    return parseWith(parser, text);
  } catch {
    replaceInstance();
    return {
      failure: { kind: 'Parser', message: 'the SQL parser could not cope with the statement' },
    };
  }
}

function parseWith(parser: ParserInstance, text: string): ParseOutcome {
  const bytes = parser.lengthBytesUTF8(text) + 1;
  const textPointer = parser._malloc(bytes);
  if (textPointer === 0) throw new Error('out of memory');
  parser.stringToUTF8(text, textPointer, bytes);
  const result = parser._wasm_parse_query_raw(textPointer);
  parser._free(textPointer);
  if (result === 0) throw new Error('out of memory');
  const tree = parser.getValue(result, 'i32');
  const error = parser.getValue(result + 8, 'i32');
  let outcome: ParseOutcome;
  if (error !== 0) {
    outcome = { failure: syntaxFailure(parser, error) };
  } else {
    if (tree === 0) throw new Error('no parse tree');
    const parsed = JSON.parse(parser.UTF8ToString(tree)) as { stmts?: RawStmt[] };
    outcome = { statements: parsed.stmts ?? [] };
  }
  parser._wasm_free_parse_result(result);
  return outcome;
}

/** PgQueryError: {message, function, file, line, position}, 32 bits each; the position is 1-based. */
function syntaxFailure(parser: ParserInstance, error: number): AnalysisFailure {
  const message = parser.UTF8ToString(parser.getValue(error, 'i32'));
  const position = parser.getValue(error + 16, 'i32');
  return position > 0 ? { kind: 'Syntax', message, position } : { kind: 'Syntax', message };
}
