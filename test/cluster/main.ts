/**
 * A cluster for development, which runs until it is told to stop: see `usage`. Ends with 2 where it was not
 * called as that says.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { cacheDirectory } from '../support/cache-directory.ts';
import { clusterBinaries } from './build/binaries.ts';
import { loadImages } from './build/load.ts';
import { ensurePrerequisites } from './build/prerequisites.ts';
import { type ImageProgram, imagePrograms, programImages } from './build/program-images.ts';
import { timed } from './build/progress.ts';
import { nodeImage, postgresImage } from './build/test-images.ts';
import { down, up } from './node/cluster.ts';
import { kubeconfigPath, readState } from './node/state.ts';

const usage = `usage: node test/cluster/main.ts COMMAND [--state DIR]

  up                          starts a one-node Kubernetes; its kubeconfig is DIR/admin.kubeconfig
  images [--only PROGRAM]...  builds the programs' images anew and loads them into it
  down                        stops it

DIR is a directory of the cache unless given; PROGRAM is one of ${imagePrograms.join(', ')}.
`;

interface Call {
  /** Where the cluster keeps what it knows. */
  readonly directory: string;
  readonly only: readonly ImageProgram[] | undefined;
}

const commands: Readonly<Record<string, (call: Call) => Promise<void>>> = {
  async up({ directory }) {
    await ensurePrerequisites();
    const binaries = await clusterBinaries();
    const state = await timed('starting the cluster', () => up(directory, binaries));
    process.stdout.write(`export KUBECONFIG=${kubeconfigPath(state)}\n`);
  },
  async images({ directory, only }) {
    const state = readState(directory);
    if (state === undefined) throw new Error(`no cluster is in ${directory}: start one with up`);
    const programs = await programImages(only);
    const images = [...programs.values(), await postgresImage(), await nodeImage()];
    await loadImages(state, images);
    for (const { reference } of images) process.stdout.write(`${reference}\n`);
  },
  down: ({ directory }) => down(directory),
};

/** What the command line asks for; a text says what is wrong with it. */
function readCall(): (() => Promise<void>) | string {
  let parsed: ReturnType<typeof parseCommandLine>;
  try {
    parsed = parseCommandLine();
  } catch (error) {
    return (error as Error).message;
  }
  const { values, positionals } = parsed;
  if (values.help) return async () => void process.stdout.write(usage);
  const [name = '', ...rest] = positionals;
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) return name === '' ? 'no command' : `there is no command ${name}`;
  if (rest.length > 0) return `${name} takes no ${rest[0]}`;
  const unknown = values.only?.find((program) => !imagePrograms.some((one) => one === program));
  if (unknown !== undefined) return `there is no program ${unknown}`;
  const directory = resolve(values.state ?? cacheDirectory('cluster'));
  return () => command({ directory, only: values.only as ImageProgram[] | undefined });
}

function parseCommandLine() {
  return parseArgs({
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h' },
      state: { type: 'string' },
      only: { type: 'string', multiple: true },
    },
  });
}

const call = readCall();
if (typeof call === 'string') {
  process.stderr.write(`${call}\n${usage}`);
  process.exitCode = 2;
} else {
  await call();
}
