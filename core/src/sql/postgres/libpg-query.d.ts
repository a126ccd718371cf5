/** The emscripten factory beneath libpg-query: each call gives an instance of its own. */
declare module 'libpg-query/wasm/libpg-query.js' {
  export interface ParserInstance {
    _malloc(bytes: number): number;
    _free(pointer: number): void;
    /** Returns a pointer to {tree, stderr, error}, 32 bits each; 0 when out of memory. */
    _wasm_parse_query_raw(text: number): number;
    _wasm_free_parse_result(result: number): void;
    lengthBytesUTF8(text: string): number;
    stringToUTF8(text: string, pointer: number, maxBytes: number): void;
    UTF8ToString(pointer: number): string;
    getValue(pointer: number, type: 'i32'): number;
  }
  export default function createParser(options: {
    print(line: string): void;
    printErr(line: string): void;
  }): Promise<ParserInstance>;
}
