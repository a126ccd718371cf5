/**
 * Runs the containers of compose.yaml as it says: the same images, commands, users, rights, variables and volumes. There
 * is no Docker engine here, so each service becomes a pod with a Service of its name, and volumes directories of the node.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { parse } from 'yaml';
import type { ImageProgram } from '../build/program-images.ts';
import { waitFor } from '../node/wait-for.ts';
import { clusterContext } from './context.ts';
import { apply, get } from './kubectl.ts';
import { ready } from './pods.ts';

interface ComposeService {
  readonly image: string;
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly user?: string;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly cap_add?: readonly string[];
  readonly working_dir?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly profiles?: readonly string[];
}

export interface ComposeOptions {
  readonly namespace: string;
  /** A directory of the node, for the volumes. */
  readonly directory: string;
  /** Directories or files that stand in for mounted ones, by their path in compose.yaml. */
  readonly instead: Readonly<Record<string, string>>;
  /** The port that others reach a service at. */
  readonly ports: Readonly<Record<string, number>>;
}

const root = resolve(import.meta.dirname, '../../..');

export class Compose {
  readonly #options: ComposeOptions;
  readonly #services: Readonly<Record<string, ComposeService>>;

  constructor(options: ComposeOptions) {
    this.#options = options;
    const text = readFileSync(join(root, 'compose.yaml'), 'utf8');
    this.#services = (
      parse(text, { merge: true }) as { services: Record<string, ComposeService> }
    ).services;
  }

  /** `docker compose up --wait`: each service when those that it depends on are as it wants them. */
  async up(): Promise<void> {
    const started = new Map<string, Promise<void>>();
    const start = (name: string): Promise<void> => {
      const running = started.get(name) ?? this.#startAfter(name, start);
      started.set(name, running);
      return running;
    };
    const wanted = Object.entries(this.#services).filter(([, { profiles }]) => !profiles);
    await Promise.all(wanted.map(([name]) => start(name)));
  }

  /** `docker compose run NAME ARGS`, as a pod of that name; resolves when it has succeeded. */
  async run(name: string, pod: string, args: readonly string[]): Promise<void> {
    await this.#apply(pod, { ...this.#services[name]!, command: args }, 'Never');
    await this.#ended(pod);
  }

  async #startAfter(name: string, start: (name: string) => Promise<void>): Promise<void> {
    const service = this.#services[name]!;
    await Promise.all(Object.keys(service.depends_on ?? {}).map(start));
    const ends = Object.values(this.#services).some(
      ({ depends_on }) => depends_on?.[name]?.condition === 'service_completed_successfully',
    );
    await this.#apply(name, service, ends ? 'Never' : 'Always');
    if (ends) await this.#ended(name);
    else await ready(`pod/${name}`, this.#options.namespace);
  }

  async #ended(pod: string): Promise<void> {
    const { namespace } = this.#options;
    const phase = await waitFor(
      async () => {
        const { status } = await get('pod', pod, '-n', namespace);
        return ['Succeeded', 'Failed'].includes(status.phase) ? status.phase : undefined;
      },
      { what: `the end of ${pod}`, timeoutMs: 60_000, intervalMs: 300 },
    );
    if (phase !== 'Succeeded') throw new Error(`${pod} failed`);
  }

  async #apply(name: string, service: ComposeService, restartPolicy: string): Promise<void> {
    const { namespace, ports } = this.#options;
    const labels = { compose: name };
    const mounts = (service.volumes ?? []).map((volume, index) => this.#mount(volume, index));
    const [user, group] = (service.user ?? '').split(':').map(Number);
    const probe = service.healthcheck?.test.slice(1);
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels },
      spec: {
        restartPolicy,
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        containers: [
          {
            name: 'app',
            image: imageOf(service.image),
            command: service.entrypoint,
            args: service.command,
            workingDir: service.working_dir,
            env: Object.entries(service.environment ?? {}).map(([key, value]) => ({
              name: key,
              value: String(value),
            })),
            ...(probe && {
              readinessProbe: { exec: { command: probe }, periodSeconds: 2, timeoutSeconds: 5 },
            }),
            securityContext: {
              ...(service.user !== undefined && { runAsUser: user, runAsGroup: group }),
              readOnlyRootFilesystem: service.read_only ?? false,
              capabilities: { drop: service.cap_drop ?? [], add: service.cap_add ?? [] },
            },
            volumeMounts: mounts.map(({ mount }) => mount),
          },
        ],
        volumes: mounts.map(({ volume }) => volume),
      },
    };
    const port = ports[name];
    const reached = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name },
      spec: { selector: labels, ports: [{ port }] },
    };
    await apply(port === undefined ? [pod] : [pod, reached], namespace);
  }

  /** `SOURCE:PATH[:ro]`; a source without a slash is a volume, which the engine makes as root. */
  #mount(text: string, index: number) {
    const [source, mountPath, mode] = text.split(':') as [string, string, string?];
    const { directory, instead } = this.#options;
    const name = `volume-${index}`;
    let path: string;
    if (source.startsWith('.') || isAbsolute(source)) {
      path = instead[source] ?? resolve(root, source);
    } else {
      path = join(directory, source);
      mkdirSync(path, { recursive: true });
    }
    return {
      volume: { name, hostPath: { path } },
      mount: { name, mountPath, readOnly: mode === 'ro' },
    };
  }
}

/** `…/chaperone-PROGRAM:…` is one of ours. */
function imageOf(reference: string): string {
  const [, program] = /\/chaperone-([a-z]+):/.exec(reference) ?? [];
  return program === undefined ? reference : clusterContext().images[program as ImageProgram];
}
