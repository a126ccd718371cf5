import { execFile } from 'node:child_process';
import { clusterContext } from './context.ts';

/** An object as the API server has it. */
// biome-ignore lint/suspicious/noExplicitAny: tests read any field of any kind
export type KubernetesObject = Record<string, any>;

export interface CommandOptions {
  /** Written to its standard input. */
  readonly input?: string;
  readonly timeoutMs?: number;
}

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program that ended with an exit code other than 0. */
export class CommandError extends Error {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  constructor(command: string, { code, stdout, stderr }: CommandResult) {
    super(`${command}: exit code ${code}\n${stderr || stdout}`);
    this.name = 'CommandError';
    this.code = code;
    this.stdout = stdout;
    this.stderr = stderr;
  }
}

const maxOutputBytes = 64 << 20;

/** Runs a program to its end, whatever its exit code. */
export function command(
  program: string,
  args: readonly string[],
  { input, timeoutMs = 120_000 }: CommandOptions = {},
): Promise<CommandResult> {
  const { kubeconfig } = clusterContext();
  return new Promise((resolve, reject) => {
    const child = execFile(
      program,
      [...args],
      {
        env: { ...process.env, KUBECONFIG: kubeconfig },
        maxBuffer: maxOutputBytes,
        timeout: timeoutMs,
      },
      (error, stdout, stderr) => {
        if (error === null) resolve({ code: 0, stdout, stderr });
        else if (typeof error.code === 'number') resolve({ code: error.code, stdout, stderr });
        else reject(new Error(`${program} ${args.join(' ')}: ${stderr}`, { cause: error }));
      },
    );
    child.stdin?.on('error', () => {}); // it ended without reading all: its exit code tells
    child.stdin?.end(input);
  });
}

/** Runs kubectl and returns what it prints; throws a `CommandError` when it fails. */
export async function kubectl(args: readonly string[], options?: CommandOptions): Promise<string> {
  const result = await command('kubectl', args, options);
  if (result.code !== 0) throw new CommandError(`kubectl ${args.join(' ')}`, result);
  return result.stdout;
}

/** Reads one object, or a list of them. */
export async function get(...args: readonly string[]): Promise<KubernetesObject> {
  return JSON.parse(await kubectl(['get', ...args, '-o', 'json'])) as KubernetesObject;
}

/** Reads the items of a list. */
export async function list(...args: readonly string[]): Promise<KubernetesObject[]> {
  return (await get(...args)).items as KubernetesObject[];
}

/** Applies objects, or YAML text; the API server's defaults and webhooks have their say. */
export async function apply(
  objects: string | readonly object[],
  namespace?: string,
): Promise<void> {
  await kubectl(['apply', ...inNamespace(namespace), '-f', '-'], { input: manifest(objects) });
}

/** Applies and expects a refusal: returns what kubectl says. */
export async function applyRefused(
  objects: string | readonly object[],
  namespace?: string,
): Promise<string> {
  const args = ['apply', ...inNamespace(namespace), '-f', '-'];
  const result = await command('kubectl', args, { input: manifest(objects) });
  if (result.code === 0) throw new Error(`this was accepted:\n${manifest(objects)}`);
  return result.stderr;
}

/** Merges a patch into an object. */
export async function patch(kind: string, name: string, change: object, namespace?: string) {
  const args = ['patch', kind, name, ...inNamespace(namespace), '--type=merge'];
  await kubectl([...args, '-p', JSON.stringify(change)]);
}

function inNamespace(namespace: string | undefined): string[] {
  return namespace === undefined ? [] : ['-n', namespace];
}

function manifest(objects: string | readonly object[]): string {
  if (typeof objects === 'string') return objects;
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
}
