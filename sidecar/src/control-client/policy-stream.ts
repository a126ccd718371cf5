import { ControlRefusal } from '@chaperone/core/control/types.ts';
import type { PolicyEvent } from '@chaperone/core/control/wire.ts';
import type { PolicyBundle } from '@chaperone/core/policy/types.ts';
import { readPolicyEvent } from './answers.ts';
import { EventSource, type EventSourceOptions } from './event-source.ts';

export interface PolicyStreamOptions
  extends Pick<
    EventSourceOptions<PolicyEvent>,
    'api' | 'tokens' | 'clock' | 'random' | 'logger' | 'onUnusable'
  > {
  /** Gateways: whose policy; absent: that of the pod that we run in. */
  readonly identityUid?: string;
  /** How long a policy holds without word from the policy API. */
  readonly maxPolicyAgeMs: () => number;
  /** An event was taken; the credentials may have changed with it, even where the policy did not. */
  readonly onEvent?: () => void;
}

type Subscriber = (bundle: PolicyBundle | undefined) => void;

const noPolicyYet = new ControlRefusal(
  'CHP-3009',
  'No policy has been received yet.',
  'Try again later; the operator of the proxy can tell why the policy API is not reachable.',
);
const noIdentity = new ControlRefusal(
  'CHP-2004',
  'No MachineIdentity names the ServiceAccount of this pod.',
  'Create one, with the ServiceAccount among its subjects.',
);

/** The policy of one identity, as the policy API sends it. */
export class PolicyStream {
  readonly #options: PolicyStreamOptions;
  readonly #source: EventSource<PolicyEvent>;
  readonly #subscribers = new Set<Subscriber>();
  readonly #waiting = new Set<() => void>();
  #bundle: PolicyBundle | undefined;
  #refusal: ControlRefusal = noPolicyYet;
  #answered = false;

  constructor(options: PolicyStreamOptions) {
    this.#options = options;
    const { identityUid } = options;
    this.#source = new EventSource<PolicyEvent>({
      ...options,
      path:
        identityUid === undefined
          ? '/v1/policy'
          : `/v1/policy?identity=${encodeURIComponent(identityUid)}`,
      event: 'policy',
      read: readPolicyEvent,
      onContent: (event) => this.#take(event),
      onRefused: () => {}, // what the attestation says decides
    });
  }

  /** Undefined: there is no identity, or nothing is known yet; `refusal` says which. */
  get bundle(): PolicyBundle | undefined {
    return this.#bundle;
  }

  /** What a caller is told when there is no bundle. */
  get refusal(): ControlRefusal {
    return this.#refusal;
  }

  /** The policy API has said whose policy this is, or that it is nobody's. */
  get answered(): boolean {
    return this.#answered;
  }

  /** See EventSource. */
  ageMs(): number {
    return this.#source.ageMs();
  }

  isStale(): boolean {
    return this.#source.ageMs() > this.#options.maxPolicyAgeMs();
  }

  subscribe(subscriber: Subscriber): () => void {
    this.#subscribers.add(subscriber);
    return () => void this.#subscribers.delete(subscriber);
  }

  get subscribers(): number {
    return this.#subscribers.size;
  }

  /** Resolves once the first answer came, or `timeoutMs` are over. */
  whenAnswered(timeoutMs: number): Promise<void> {
    if (this.#answered) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        this.#waiting.delete(done);
        resolve();
      };
      const timer = this.#options.clock.setTimer(timeoutMs, done);
      this.#waiting.add(done);
    });
  }

  /** The policy API does not know us any more: what it said before holds no longer. */
  revoke(refusal: ControlRefusal): void {
    this.#set(undefined, refusal);
    this.#source.reconnect();
  }

  close(): void {
    this.#source.close();
    for (const done of [...this.#waiting]) done();
  }

  #take({ bundle, refusal }: PolicyEvent): void {
    this.#answered = true;
    this.#set(
      bundle ?? undefined,
      refusal === undefined
        ? noIdentity
        : new ControlRefusal(refusal.code, refusal.message, refusal.hint),
    );
    this.#options.onEvent?.();
    for (const done of [...this.#waiting]) done();
  }

  #set(bundle: PolicyBundle | undefined, refusal: ControlRefusal): void {
    const changed = bundle?.digest !== this.#bundle?.digest;
    this.#refusal = refusal;
    if (!changed) return; // sessions keep the one that is compiled
    this.#bundle = bundle;
    for (const subscriber of [...this.#subscribers]) {
      try {
        subscriber(bundle);
      } catch (error) {
        this.#options.logger.error({ err: error }, 'a policy could not be applied');
      }
    }
  }
}
