import { spawn } from 'node:child_process';

export interface ProgramOutput {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface ProgramOptions {
  /** Standard input. */
  readonly input?: string;
  /** Instead of the test's own environment; PATH and HOME come with it. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A bound on hanging, not a measure. */
const timeoutMs = 50_000;

/** Runs a program to its end; one that hangs is killed, and its code is then null. */
export async function runProgram(
  file: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<ProgramOutput> {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(file, args, {
    env: { PATH, HOME, ...options.env },
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text;
  });
  child.stdin.on('error', () => {}); // it ended without reading everything
  child.stdin.end(options.input ?? '');
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', resolve);
  });
  return { code, out, err };
}
