/** Reads what `node --cpu-prof` writes: where a program's time went, by groups of what we know. Pure. */
import type { SourceMap } from 'node:module';

interface ProfileNode {
  readonly id: number;
  readonly callFrame: {
    readonly functionName: string;
    readonly url: string;
    /** From 0; -1 for what is no JavaScript. */
    readonly lineNumber: number;
    readonly columnNumber: number;
  };
  readonly children?: readonly number[];
}

/** As the DevTools protocol describes `Profiler.Profile`. */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  /** Microseconds of the monotonic clock, which all processes of a machine share. */
  readonly startTime: number;
  /** Ids of nodes. */
  readonly samples: readonly number[];
  /** Microseconds from the sample before, the first from `startTime`. */
  readonly timeDeltas: readonly number[];
}

/** What a frame is counted as; `idle` is left out of every share. */
export const groups = [
  'socket writes (kernel)',
  'waiting for and reading sockets (kernel, libuv)',
  'reading and framing messages',
  'deciding',
  'results: framing, counting, masks',
  'recording',
  'files (kernel)',
  'shipping',
  'session',
  'garbage collection',
  'Node.js',
  'other',
  'idle',
] as const;
export type Group = (typeof groups)[number];

/** The first that fits. Paths from the root of the repository. */
const byPath: readonly (readonly [RegExp, Group])[] = [
  [
    /^runtime\/src\/recorder\/(shipper|uploader|transport|http-transport|delivery|backoff)\./,
    'shipping',
  ],
  [/^runtime\/src\/recorder\/spool-reader\./, 'shipping'],
  [/^(runtime\/src\/recorder|core\/src\/events)\//, 'recording'],
  [/^core\/src\/masking\//, 'results: framing, counting, masks'],
  [/^core\/src\/(sql|policy)\//, 'deciding'],
  [/^node_modules\/libpg-query\//, 'deciding'],
  [/^sidecar\/src\/gatekeeper\./, 'deciding'],
  [/^sidecar\/src\/protocols\/postgres\/frontend\//, 'deciding'],
  [/^sidecar\/src\/protocols\/postgres\/backend\//, 'results: framing, counting, masks'],
  [
    /^sidecar\/src\/protocols\/postgres\/(messages\/|read-reusing\.)/,
    'reading and framing messages',
  ],
  [/^sidecar\/src\//, 'session'],
  [/^runtime\/src\/clock\./, 'session'],
];

const socketWrites = /^(writeBuffer|writev|write(Utf8|Latin1|Ascii|Ucs2)String|shutdown)$/;

interface Frame {
  readonly name: string;
  /** Path from the root and line, `node:net`, or empty. */
  readonly place: string;
  readonly group: Group;
  /** Not JavaScript: a call into Node.js itself or the kernel. */
  readonly isNative: boolean;
}

export interface Share {
  readonly name: string;
  /** Path and line; of what is no JavaScript, its group. */
  readonly place: string;
  /** Neither Node.js nor the kernel. */
  readonly isOurs: boolean;
  /** Microseconds in it alone, and in it with what it called. */
  readonly selfUs: number;
  readonly totalUs: number;
}

export interface ProfileReport {
  /** Of all samples, idle ones included. */
  readonly wallUs: number;
  readonly idleUs: number;
  /** By group: in its own frames; with what they call that is in no other group of ours. */
  readonly groups: readonly {
    readonly group: Group;
    readonly selfUs: number;
    readonly onBehalfUs: number;
  }[];
  /** By time alone, most first. */
  readonly functions: readonly Share[];
}

export interface ReadOptions {
  /** Source map of the bundle. */
  readonly map: SourceMap;
  /** Of the bundle, as it stands in the profile's frames. */
  readonly bundleUrl: string;
  /** From a path of the source map to one from the root of the repository. */
  readonly sourcePath: (source: string) => string;
  /** Samples of this time alone, in microseconds of the monotonic clock. */
  readonly fromUs: number;
  readonly toUs: number;
}

/** What of `profile` falls into the time asked for. */
export function readProfile(profile: CpuProfile, options: ReadOptions): ProfileReport {
  const parents = new Map<number, number>();
  for (const { id, children = [] } of profile.nodes) {
    for (const child of children) parents.set(child, id);
  }
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const frames = new Map<number, Frame>();
  const frameOf = (id: number): Frame => {
    let frame = frames.get(id);
    if (frame === undefined) {
      const parent = parents.get(id);
      const node = nodes.get(id)!;
      frame = makeFrame(node, parent === undefined ? undefined : frameOf(parent), options);
      frames.set(id, frame);
    }
    return frame;
  };
  const own = new Map<Group, number>();
  const onBehalf = new Map<Group, number>();
  const functions = new Map<string, { frame: Frame; selfUs: number; totalUs: number }>();
  const shareOf = (frame: Frame) => {
    const key = `${frame.name} ${frame.place} ${frame.group}`;
    let share = functions.get(key);
    if (share === undefined) {
      share = { frame, selfUs: 0, totalUs: 0 };
      functions.set(key, share);
    }
    return share;
  };
  let atUs = profile.startTime;
  let wallUs = 0;
  let idleUs = 0;
  profile.samples.forEach((id, index) => {
    atUs += profile.timeDeltas[index]!;
    if (atUs < options.fromUs || atUs > options.toUs) return;
    // A sample stands for the time until the next one.
    const us = profile.timeDeltas[index + 1] ?? 0;
    wallUs += us;
    const leaf = frameOf(id);
    if (leaf.group === 'idle') {
      idleUs += us;
      return;
    }
    add(own, leaf.group, us);
    shareOf(leaf).selfUs += us;
    let owner: Group | undefined;
    const seen = new Set<object>();
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
      const frame = frameOf(at);
      if (owner === undefined && !isForeign(frame)) owner = frame.group;
      const share = shareOf(frame);
      if (!seen.has(share)) share.totalUs += us;
      seen.add(share);
    }
    add(onBehalf, owner ?? leaf.group, us);
  });
  return {
    wallUs,
    idleUs,
    groups: groups
      .filter((group) => group !== 'idle')
      .map((group) => ({
        group,
        selfUs: own.get(group) ?? 0,
        onBehalfUs: onBehalf.get(group) ?? 0,
      })),
    functions: [...functions.values()]
      .map(({ frame: { name, place, group, isNative }, selfUs, totalUs }) => ({
        name,
        place: isNative ? group : place,
        isOurs: !isNative && !place.startsWith('node:'),
        selfUs,
        totalUs,
      }))
      .sort((a, b) => b.selfUs - a.selfUs),
  };
}

/** Called by ours, and speaking for whoever called. */
const isForeign = ({ group, isNative }: Frame): boolean =>
  isNative || group === 'Node.js' || group === 'other' || group === 'garbage collection';

function makeFrame(
  { callFrame }: ProfileNode,
  parent: Frame | undefined,
  { map, bundleUrl, sourcePath }: ReadOptions,
): Frame {
  const { functionName, url, lineNumber, columnNumber } = callFrame;
  const name = functionName === '' ? '(anonymous)' : functionName;
  const native = (group: Group): Frame => ({ name, place: '', group, isNative: true });
  if (name === '(idle)') return native('idle');
  if (name === '(garbage collector)') return native('garbage collection');
  if (name === '(program)') return native('waiting for and reading sockets (kernel, libuv)');
  if (name === '(root)') return native('other');
  if (url === bundleUrl && lineNumber >= 0) {
    const found = map.findEntry(lineNumber, Math.max(columnNumber, 0));
    if ('originalSource' in found && found.originalSource !== undefined) {
      const path = sourcePath(found.originalSource);
      const group = byPath.find(([pattern]) => pattern.test(path))?.[1] ?? 'other';
      return { name, place: `${path}:${found.originalLine + 1}`, group, isNative: false };
    }
    return { name, place: 'bundle', group: 'other', isNative: false };
  }
  if (url.startsWith('node:')) return { name, place: url, group: 'Node.js', isNative: false };
  if (url.startsWith('wasm:')) return { name, place: 'wasm', group: 'deciding', isNative: true };
  if (url !== '') return { name, place: url, group: 'other', isNative: false };
  // Node.js' own functions in C++ have no URL; the files' have the names of the sockets' ones.
  if (parent?.place.startsWith('node:fs') || parent?.place.startsWith('node:internal/fs')) {
    return native('files (kernel)');
  }
  if (socketWrites.test(name)) return native('socket writes (kernel)');
  return native('Node.js');
}

function add<Key>(map: Map<Key, number>, key: Key, us: number): void {
  map.set(key, (map.get(key) ?? 0) + us);
}
