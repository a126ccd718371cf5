/** A line of progress, for the one who waits. */
export function say(line: string): void {
  process.stderr.write(`cluster: ${line}\n`);
}

/** Says what is done and, afterwards, how long it took. */
export async function timed<T>(what: string, action: () => T | Promise<T>): Promise<T> {
  say(`${what} …`);
  const started = performance.now();
  const result = await action();
  say(`${what}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return result;
}
