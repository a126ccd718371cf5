import type { BackendOutcome } from '@chaperone/core/control/types.ts';

export type BackendFailure = Exclude<BackendOutcome, 'Connected'>;

/** For how long a report counts. Proxies repeat theirs before that, as long as somebody connects. */
export const reportWindowMs = 10 * 60_000;
/** While nothing but numbers changes, they are told anew after this at the earliest. */
const recountMs = 30_000;
/** Of one Target: beyond it, who has not been heard of for longest is forgotten. */
const maxSources = 200;

/** What those who tried in the last `reportWindowMs` said last, each counted once. */
export interface BackendTally {
  readonly connected: number;
  readonly failed: ReadonlyMap<BackendFailure, number>;
}

interface Backend {
  /** What of the Target the reports are about. */
  readonly basis: string;
  /** That is new since we looked first, and nobody has tried it. */
  changed: boolean;
  /** By who reported, the newest report last. */
  readonly sources: Map<string, { readonly outcome: BackendOutcome; readonly atMs: number }>;
  /** As it was told last. */
  told?: { readonly tally: BackendTally; readonly verdict: string; readonly atMs: number };
}

/**
 * What sidecars and gateways said lately of connecting to Targets. In memory, bounded, and whole only if all of
 * them report here: of several replicas, the one that writes statuses takes reports.
 *
 * `basis` names what of a Target an outcome depends on; a report of another one than before ends those of before.
 */
export class BackendReports {
  readonly #nowMs: () => number;
  readonly #backends = new Map<string, Backend>();
  #onChange: (() => void) | undefined;
  #sinceMs = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Takes reports from now on, of which it has none yet. `onChange`: who said what has changed. */
  start(onChange: () => void): void {
    this.#backends.clear();
    this.#sinceMs = this.#nowMs();
    this.#onChange = onChange;
  }

  stop(): void {
    this.#backends.clear();
    this.#onChange = undefined;
  }

  /** Whether reports are to come here. */
  get started(): boolean {
    return this.#onChange !== undefined;
  }

  /** Whether it has listened for as long as a report counts: who has not been heard of has not tried. */
  get complete(): boolean {
    return this.started && this.#nowMs() - this.#sinceMs >= reportWindowMs;
  }

  /** `source`: the uid of the pod that says so. */
  add(targetUid: string, basis: string, source: string, outcome: BackendOutcome): void {
    const backend = this.#backend(targetUid, basis);
    const before = backend.sources.get(source)?.outcome;
    backend.changed = false;
    backend.sources.delete(source);
    backend.sources.set(source, { outcome, atMs: this.#nowMs() });
    const [oldest] = backend.sources.keys();
    if (backend.sources.size > maxSources && oldest !== undefined) backend.sources.delete(oldest);
    if (before !== outcome) this.#onChange?.();
  }

  /** Undefined: nobody said anything lately. */
  tally(targetUid: string, basis: string): BackendTally | undefined {
    const backend = this.#backend(targetUid, basis);
    const nowMs = this.#nowMs();
    for (const [source, { atMs }] of backend.sources) {
      if (nowMs - atMs >= reportWindowMs) backend.sources.delete(source);
    }
    if (backend.sources.size === 0) {
      delete backend.told;
      return undefined;
    }
    const tally = count(backend);
    const verdict = JSON.stringify([tally.connected > 0, worstOf(tally)]);
    const { told } = backend;
    if (told?.verdict === verdict && nowMs - told.atMs < recountMs) return told.tally;
    backend.told = { tally, verdict, atMs: nowMs };
    return tally;
  }

  /** Whether the Target is another one than when we looked first, and nobody has tried it since. */
  isUntried(targetUid: string, basis: string): boolean {
    return this.#backend(targetUid, basis).changed;
  }

  /** Forgets the other Targets. */
  keepOnly(targetUids: ReadonlySet<string>): void {
    for (const uid of this.#backends.keys()) if (!targetUids.has(uid)) this.#backends.delete(uid);
  }

  #backend(targetUid: string, basis: string): Backend {
    const known = this.#backends.get(targetUid);
    if (known?.basis === basis) return known;
    const backend: Backend = { basis, changed: known !== undefined, sources: new Map() };
    this.#backends.set(targetUid, backend);
    return backend;
  }
}

/** The failure that most have; undefined where all could connect. */
export function worstOf({ failed }: BackendTally): BackendFailure | undefined {
  let worst: BackendFailure | undefined;
  for (const [failure, sources] of failed) {
    if (worst === undefined || sources > failed.get(worst)!) worst = failure;
  }
  return worst;
}

function count({ sources }: Backend): BackendTally {
  let connected = 0;
  const failed = new Map<BackendFailure, number>();
  for (const { outcome } of sources.values()) {
    if (outcome === 'Connected') connected += 1;
    else failed.set(outcome, (failed.get(outcome) ?? 0) + 1);
  }
  return { connected, failed };
}
