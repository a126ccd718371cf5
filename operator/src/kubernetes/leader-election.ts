import type { Clock } from '@chaperone/runtime/clock.ts';
import type { Logger } from '@chaperone/runtime/logging/logger.ts';
import { ApiError, toApiError } from './api-error.ts';
import type { KubernetesApi } from './client.ts';
import type { KubernetesMetrics } from './metrics.ts';
import type { KubernetesObject } from './object.ts';
import { resourceTypes } from './resource-types.ts';
import { microTime, pause } from './time.ts';

/** Others may take the lead when the Lease has not been renewed for so long. */
const leaseDurationMs = 15_000;
/** The leader gives up when it could not renew for so long: before anybody else may take over. */
const renewDeadlineMs = 10_000;
const retryPeriodMs = 2000;
/** Up to so much longer, so that replicas do not try in step. */
const jitter = 0.2;

interface Lease extends KubernetesObject {
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

export interface LeaderElectionOptions {
  readonly api: Pick<KubernetesApi, 'find' | 'create' | 'replace'>;
  readonly namespace: string;
  /** Of the Lease. */
  readonly name: string;
  /** Unique: the pod's name and something random, as a container may restart within its pod. */
  readonly identity: string;
  /** This replica leads from now on. */
  readonly onStarted: () => void;
  /**
   * It does not any more, and cannot be sure that nobody else does: the program should end. Not called for
   * `stop`.
   */
  readonly onLost: (reason: string) => void;
  readonly clock: Clock;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly logger: Logger;
  readonly metrics: KubernetesMetrics;
}

/**
 * At most one replica leads, by a Lease. As client-go does it: others' claims are timed by when this replica
 * saw them change, never by the clock of another machine.
 */
export class LeaderElection {
  readonly #options: LeaderElectionOptions;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #observed: { readonly lease: Lease | undefined; readonly atUs: number } | undefined;
  /** Monotonic: when the last successful renewal was sent; undefined: not leading. */
  #renewedUs: number | undefined;

  constructor(options: LeaderElectionOptions) {
    this.#options = options;
    options.metrics.leader.set({ name: options.name }, 0);
  }

  /** Whether this replica leads, also as time stands: a program that was frozen does not. */
  get isLeader(): boolean {
    return this.#renewedUs !== undefined && this.#sinceMs(this.#renewedUs) < renewDeadlineMs;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Gives the lead back, so that another replica need not wait; to be called when the leader's work has ended. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    const led = this.#renewedUs !== undefined;
    this.#setLeading(undefined);
    if (led) await this.#release();
  }

  async #run(): Promise<void> {
    const { clock, random, logger, onStarted, onLost, identity } = this.#options;
    const stopping = this.#stopping.signal;
    let problem = '';
    while (!stopping.aborted) {
      const sentUs = clock.monotonicUs();
      const wasLeading = this.#renewedUs !== undefined;
      try {
        const leads = await this.#tryOnce();
        problem = '';
        if (stopping.aborted) {
          if (leads) this.#renewedUs = sentUs;
          return;
        }
        if (leads) {
          this.#setLeading(sentUs);
          if (!wasLeading) {
            logger.info({ identity }, 'leading');
            onStarted();
          }
        } else if (wasLeading) {
          this.#setLeading(undefined);
          onLost('another replica holds the Lease');
          return;
        }
      } catch (error) {
        if (stopping.aborted) return;
        problem = toApiError(error).message;
        logger.warn({ err: error }, 'the Lease could not be read or renewed');
      }
      if (this.#renewedUs !== undefined && !this.isLeader) {
        this.#setLeading(undefined);
        onLost(`the Lease could not be renewed for ${renewDeadlineMs / 1000} s: ${problem}`);
        return;
      }
      const restMs =
        this.#renewedUs === undefined
          ? Number.POSITIVE_INFINITY
          : renewDeadlineMs - this.#sinceMs(this.#renewedUs);
      const pauseMs =
        this.#renewedUs === undefined ? retryPeriodMs * (1 + random() * jitter) : retryPeriodMs;
      await pause(clock, Math.max(0, Math.min(pauseMs, restMs)), stopping);
    }
  }

  /** Takes or renews the Lease if that is this replica's to do; whether it leads now. */
  async #tryOnce(): Promise<boolean> {
    const { api, namespace, name, identity, clock } = this.#options;
    const call = { signal: this.#stopping.signal, timeoutMs: this.#requestTimeoutMs() };
    const lease = await api.find<Lease>(resourceTypes.Lease, namespace, name, call);
    const version = lease?.metadata.resourceVersion;
    if (
      this.#observed === undefined ||
      this.#observed.lease?.metadata.resourceVersion !== version
    ) {
      this.#observed = { lease, atUs: clock.monotonicUs() };
    }
    const holder = lease?.spec?.holderIdentity ?? '';
    const theirs = holder !== '' && holder !== identity;
    if (theirs) {
      const durationMs = (lease?.spec?.leaseDurationSeconds ?? leaseDurationMs / 1000) * 1000;
      if (this.#sinceMs(this.#observed.atUs) < durationMs) return false;
    }
    const now = microTime(clock.nowUs());
    const mine = holder === identity;
    const transitions = lease?.spec?.leaseTransitions ?? 0;
    const spec = {
      holderIdentity: identity,
      leaseDurationSeconds: leaseDurationMs / 1000,
      acquireTime: mine ? (lease?.spec?.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: lease === undefined || mine ? transitions : transitions + 1,
    };
    try {
      const written =
        lease === undefined
          ? await api.create<Lease>(
              resourceTypes.Lease,
              {
                apiVersion: 'coordination.k8s.io/v1',
                kind: 'Lease',
                metadata: { namespace, name },
                spec,
              } as Lease,
              call,
            )
          : await api.replace<Lease>(resourceTypes.Lease, { ...lease, spec }, call);
      this.#observed = { lease: written, atUs: clock.monotonicUs() };
      return true;
    } catch (error) {
      // Somebody was faster, or wrote between read and write: the next read tells.
      if (!(error instanceof ApiError) || !(error.isConflict || error.isAlreadyExists)) throw error;
      if (!mine) return false;
      throw error;
    }
  }

  /** A request must not outlast the lead: what it would renew is over by then. */
  #requestTimeoutMs(): number {
    if (this.#renewedUs === undefined) return renewDeadlineMs / 2;
    const restMs = renewDeadlineMs - this.#sinceMs(this.#renewedUs);
    return Math.max(1, Math.min(renewDeadlineMs / 2, restMs));
  }

  async #release(): Promise<void> {
    const { api, identity, clock, logger } = this.#options;
    const lease = this.#observed?.lease;
    if (lease?.spec?.holderIdentity !== identity) return;
    const spec = {
      ...lease.spec,
      holderIdentity: '',
      leaseDurationSeconds: 1,
      renewTime: microTime(clock.nowUs()),
    };
    try {
      const call = { timeoutMs: retryPeriodMs };
      await api.replace<Lease>(resourceTypes.Lease, { ...lease, spec }, call);
    } catch (error) {
      // It ends by itself.
      logger.warn({ err: error }, 'the Lease could not be released');
    }
  }

  #setLeading(renewedUs: number | undefined): void {
    const { metrics, name } = this.#options;
    this.#renewedUs = renewedUs;
    metrics.leader.set({ name }, renewedUs === undefined ? 0 : 1);
  }

  #sinceMs(us: number): number {
    return (this.#options.clock.monotonicUs() - us) / 1000;
  }
}
