import { setFlagsFromString } from 'node:v8';

/**
 * Leaves WebAssembly as V8's first compiler makes it. Compiling the SQL parser a second time, optimized,
 * takes some 550 MB for a second or two, soon after the first statements, and saves a few microseconds a
 * statement: a pod with a memory limit would be killed by it. Call it before any WebAssembly is compiled.
 */
export function compileWasmOnce(): void {
  setFlagsFromString('--no-wasm-tier-up');
  setFlagsFromString('--no-wasm-dynamic-tiering');
}
