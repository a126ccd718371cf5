/** Whether pods that were attested are still there, from a cache of all pods. */
import type { PodReference } from '@chaperone/control/policy-api/attestor.ts';
import type { Clock } from '@chaperone/runtime/clock.ts';
import type { KubernetesObject } from '../kubernetes/object.ts';

/** Of a pod, what tells whether it has ended. */
export interface PodLife {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly resourceVersion: string;
  };
  /** Each of its containers has ended for good. */
  readonly over: boolean;
  /** Epoch ms: the end of its grace period, once it is being deleted. */
  readonly endsMs?: number;
}

/** For a Reflector. */
export function podLife({ metadata, ...pod }: KubernetesObject): PodLife {
  const { name, namespace = '', uid, resourceVersion, deletionTimestamp } = metadata;
  const { phase } = (pod as { readonly status?: { readonly phase?: string } }).status ?? {};
  return {
    metadata: { name, namespace, uid, resourceVersion },
    over: phase === 'Succeeded' || phase === 'Failed',
    ...(deletionTimestamp !== undefined && { endsMs: Date.parse(deletionTimestamp) }),
  };
}

/** In its grace period a pod still finishes its work. */
export function hasEnded(
  { over, endsMs }: Pick<PodLife, 'over' | 'endsMs'>,
  nowMs: number,
): boolean {
  return over || (endsMs !== undefined && endsMs <= nowMs);
}

export interface LivePodsOptions {
  /** What the cache has; it is at most 5 s old, or nobody is served. */
  readonly cached: (namespace: string, name: string) => PodLife | undefined;
  /** What there is now. Throws where the API server cannot be asked. */
  readonly find: (namespace: string, name: string) => Promise<KubernetesObject | undefined>;
  readonly clock: Clock;
}

/** How long a pod that the cache does not have is believed to be there once it was found: the cache has it by then. */
const believedMs = 10_000;
/** Pods that are remembered of each kind; of more, the oldest are asked for anew. */
const maxRemembered = 10_000;

type State = 'There' | 'Gone' | 'Unknown';

export class LivePods {
  readonly #options: LivePodsOptions;
  /** By uid: when (monotonic ms) it was found. */
  readonly #found = new Map<string, number>();
  /** Uids; none comes back. */
  readonly #gone = new Set<string>();
  readonly #asking = new Map<string, Promise<boolean>>();

  constructor(options: LivePodsOptions) {
    this.#options = options;
  }

  /** Asks the API server for one that the cache does not have: it may be new. Throws where it cannot. */
  async stillThere(pod: PodReference): Promise<boolean> {
    const state = this.#stateOf(pod);
    if (state !== 'Unknown') return state === 'There';
    const asking = this.#asking.get(pod.uid);
    if (asking !== undefined) return asking;
    const answer = this.#ask(pod).finally(() => this.#asking.delete(pod.uid));
    this.#asking.set(pod.uid, answer);
    return answer;
  }

  /** For pods that `stillThere` said to be there once. */
  isGone(pod: PodReference): boolean {
    return this.#stateOf(pod) !== 'There';
  }

  #stateOf({ namespace, name, uid }: PodReference): State {
    const { cached, clock } = this.#options;
    if (this.#gone.has(uid)) return 'Gone';
    const life = cached(namespace, name);
    if (life?.metadata.uid === uid) return hasEnded(life, clock.nowMs()) ? 'Gone' : 'There';
    const foundMs = this.#found.get(uid);
    if (foundMs === undefined) return 'Unknown';
    return clock.monotonicUs() / 1000 - foundMs < believedMs ? 'There' : 'Unknown';
  }

  async #ask({ namespace, name, uid }: PodReference): Promise<boolean> {
    const { find, clock } = this.#options;
    const pod = await find(namespace, name);
    this.#found.delete(uid);
    if (pod === undefined || pod.metadata.uid !== uid || hasEnded(podLife(pod), clock.nowMs())) {
      makeRoom(this.#gone);
      this.#gone.add(uid);
      return false;
    }
    makeRoom(this.#found);
    this.#found.set(uid, clock.monotonicUs() / 1000);
    return true;
  }
}

function makeRoom(remembered: Set<string> | Map<string, unknown>): void {
  if (remembered.size >= maxRemembered) remembered.delete(remembered.keys().next().value!);
}
