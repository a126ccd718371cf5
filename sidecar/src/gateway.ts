/**
 * The gateway: one listener for each target, for callers who prove who they are on each connection. Targets
 * come and go while it runs; a listener keeps its address as long as its target is there.
 */
import type { ControlClient } from '@chaperone/core/control/types.ts';
import { snapshotText } from '@chaperone/core/policy/bundle-digest.ts';
import type { Clock } from '@chaperone/runtime/clock.ts';
import type { Logger } from '@chaperone/runtime/logging/logger.ts';
import type { SpoolRecorder } from '@chaperone/runtime/recorder/options.ts';
import { asReceived } from './control-client/answers.ts';
import { Gatekeeper } from './gatekeeper.ts';
import { type ListenAddress, type Listener, listen } from './listener.ts';
import type { ProxyMetrics } from './metrics.ts';
import { PolicyViews } from './policy-views.ts';
import type { Resolve } from './protocols/postgres/handshake/resolve-host.ts';
import type { ServerTls } from './protocols/postgres/handshake/server-tls.ts';
import { PostgresProxy } from './protocols/postgres/index.ts';

export interface GatewayOptions {
  readonly control: ControlClient;
  readonly recorder: SpoolRecorder;
  readonly metrics: ProxyMetrics;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Callers are offered TLS when present. */
  readonly tls?: ServerTls;
  /** Refuses callers without TLS. */
  readonly requireTls?: boolean;
  /** Default: DNS alone, asked each time. */
  readonly resolve?: Resolve;
  /** See PostgresProxyOptions. */
  readonly maxUnfinishedLogins?: number;
}

/** A target that is to be listened for. */
export interface GatewayTarget {
  readonly uid: string;
  /** `namespace/name`, for the log. */
  readonly name: string;
  readonly listen: ListenAddress;
}

export class Gateway {
  readonly #postgres: PostgresProxy;
  readonly #logger: Logger;
  readonly #listeners = new Map<string, Promise<Listener>>();

  constructor(options: GatewayOptions) {
    const { control, recorder, clock, metrics } = options;
    this.#logger = options.logger;
    this.#postgres = new PostgresProxy({
      ...options,
      views: new PolicyViews((bundle) => {
        metrics.policyApplied();
        recorder.recordSnapshot(bundle.digest, snapshotText(asReceived(bundle)));
      }),
      gatekeeper: new Gatekeeper(recorder, clock, (identityUid) => control.isStale(identityUid)),
    });
  }

  /** Open sessions. */
  get sessions(): number {
    return this.#postgres.size;
  }

  /**
   * Listens for exactly these targets; returns where each is, by uid. One whose address cannot be had is
   * left out and logged.
   */
  async setTargets(targets: readonly GatewayTarget[]): Promise<ReadonlyMap<string, ListenAddress>> {
    const wanted = new Set(targets.map(({ uid }) => uid));
    for (const [uid, listener] of this.#listeners) {
      if (wanted.has(uid)) continue;
      this.#listeners.delete(uid);
      // Open sessions end by their policy, which went with the target.
      listener.then((open) => open.close()).catch(() => {});
    }
    const addresses = new Map<string, ListenAddress>();
    for (const target of targets) {
      let listener = this.#listeners.get(target.uid);
      if (listener === undefined) {
        listener = listen(target.listen, (socket) => {
          void this.#postgres.serve(socket, { name: target.name, uid: () => target.uid });
        });
        this.#listeners.set(target.uid, listener);
      }
      try {
        addresses.set(target.uid, (await listener).address);
      } catch (error) {
        this.#listeners.delete(target.uid);
        this.#logger.error(
          { err: error, target: target.name, code: 'CHP-1020' },
          'a target cannot be listened for',
        );
      }
    }
    return addresses;
  }

  /** Takes no more connections; resolves when each session has ended. See PostgresProxy.drain. */
  async drain(): Promise<void> {
    const closing = this.#closeListeners();
    await this.#postgres.drain();
    await closing;
  }

  /** Ends every session and every listener. */
  async close(): Promise<void> {
    const closing = this.#closeListeners();
    this.#postgres.close();
    await closing;
  }

  async #closeListeners(): Promise<void> {
    const listeners = [...this.#listeners.values()];
    this.#listeners.clear();
    await Promise.all(
      listeners.map((listener) => listener.then((open) => open.close()).catch(() => {})),
    );
  }
}
