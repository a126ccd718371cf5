/** The cluster as kubectl reaches it: its kubeconfig, its context, its plug-ins for logging in. */
import { spawn } from 'node:child_process';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';

/** Flags of kubectl's that are handed on as they are. */
export interface KubectlFlags {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly cluster?: string;
  readonly user?: string;
  readonly as?: string;
}

/** In plain JSON, as the API server gave it. */
export interface RawObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly generation?: number;
    readonly creationTimestamp?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
}

/** Objects, or that we may not see them. */
export type Listed =
  | { readonly allowed: true; readonly items: readonly RawObject[] }
  | { readonly allowed: false };

const requestTimeout = '--request-timeout=30s';

export class Kubectl {
  readonly #flags: readonly string[];

  constructor(flags: KubectlFlags) {
    this.#flags = Object.entries(flags).flatMap(([name, value]) =>
      value === undefined ? [] : [`--${name}=${value}`],
    );
  }

  /** The namespace of the context. */
  async namespace(): Promise<string> {
    const path = 'jsonpath={.contexts[0].context.namespace}';
    const name = await this.#output(['config', 'view', '--minify', '--output', path]);
    return name === '' ? 'default' : name;
  }

  /** All objects of a kind, in one namespace or, without one, in all. `fields`: a field selector. Throws CHP-1022. */
  async list(
    kind: string,
    namespace: string | undefined,
    selector?: string,
    fields?: string,
  ): Promise<Listed> {
    const scope = namespace === undefined ? ['--all-namespaces'] : [`--namespace=${namespace}`];
    const selected = [
      ...(selector === undefined ? [] : [`--selector=${selector}`]),
      ...(fields === undefined ? [] : [`--field-selector=${fields}`]),
    ];
    const args = ['get', kind, ...scope, ...selected];
    const text = await this.#read(args);
    if (text === undefined) return { allowed: false };
    const { items } = parse(args, text) as { readonly items?: readonly RawObject[] };
    return { allowed: true, items: items ?? [] };
  }

  /** Undefined: forbidden. */
  async #read(args: readonly string[]): Promise<string | undefined> {
    const [verb, ...rest] = args;
    const full = [verb!, '--output=json', requestTimeout, ...rest];
    const { code, stdout, stderr } = await this.#run(full);
    if (code === 0) return stdout;
    if (/\(Forbidden\)/.test(stderr)) return undefined;
    throw failure(args, stderr);
  }

  async #output(args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.#run(args);
    if (code !== 0) throw failure(args, stderr);
    return stdout.trim();
  }

  /** Never through a shell: names of objects are arguments and nothing else. */
  async #run(
    args: readonly string[],
  ): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
    const child = spawn('kubectl', [...this.#flags, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    return new Promise((resolve, reject) => {
      child.once('error', (cause) =>
        reject(
          new ChaperoneError('CHP-1022', `kubectl cannot be run: ${cause.message}.`, { cause }),
        ),
      );
      child.once('close', (code) => {
        const [out, complaint] = [stdout, stderr].map((chunks) => Buffer.concat(chunks).toString());
        resolve({ code, stdout: out!, stderr: complaint! });
      });
    });
  }
}

function parse(args: readonly string[], text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw failure(args, 'its answer is no JSON');
  }
}

function failure(args: readonly string[], stderr: string): ChaperoneError {
  const why = stderr.trim().split('\n').slice(-3).join('; ').slice(0, 1000);
  return new ChaperoneError('CHP-1022', `kubectl ${args.join(' ')}: ${why}`);
}
