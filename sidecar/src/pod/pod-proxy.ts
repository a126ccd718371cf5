/**
 * The proxy within a pod: listeners at the loopback addresses that the targets' names lead to there. Whoever
 * connects is the pod itself, so nobody from elsewhere may.
 */
import type { Socket } from 'node:net';
import { snapshotText } from '@chaperone/core/policy/bundle-digest.ts';
import type { Clock } from '@chaperone/runtime/clock.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import type { Logger } from '@chaperone/runtime/logging/logger.ts';
import type { SpoolRecorder } from '@chaperone/runtime/recorder/options.ts';
import type { ListenEntry } from '../config.ts';
import { asReceived } from '../control-client/answers.ts';
import type { PodControl } from '../control-client/pod-control.ts';
import { Gatekeeper } from '../gatekeeper.ts';
import { type ListenAddress, type Listener, listen } from '../listener.ts';
import type { ProxyMetrics } from '../metrics.ts';
import { PolicyViews } from '../policy-views.ts';
import { isLoopback, type Resolve } from '../protocols/postgres/handshake/resolve-host.ts';
import type { ServerTls } from '../protocols/postgres/handshake/server-tls.ts';
import { PostgresProxy } from '../protocols/postgres/index.ts';

export interface PodProxyOptions {
  readonly control: PodControl;
  readonly recorder: SpoolRecorder;
  readonly metrics: ProxyMetrics;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tls: ServerTls;
  readonly resolve: Resolve;
  /** See PostgresProxyOptions. */
  readonly podAddress?: () => string | undefined;
}

export class PodProxy {
  readonly #options: PodProxyOptions;
  readonly #postgres: PostgresProxy;
  readonly #listeners: Listener[] = [];

  constructor(options: PodProxyOptions) {
    const { control, recorder, metrics, clock } = options;
    this.#options = options;
    this.#postgres = new PostgresProxy({
      ...options,
      views: new PolicyViews((bundle) => {
        metrics.policyApplied();
        recorder.recordSnapshot(bundle.digest, snapshotText(asReceived(bundle)));
      }),
      gatekeeper: new Gatekeeper(recorder, clock, () => control.isStale()),
      // The targets' names lead to ourselves here.
      refuseLoopback: true,
    });
  }

  /** Open sessions. */
  get sessions(): number {
    return this.#postgres.size;
  }

  /** Where each target is listened for, by `namespace/name`. Throws ChaperoneError CHP-1020. */
  async listen(entries: readonly ListenEntry[]): Promise<ReadonlyMap<string, ListenAddress>> {
    const { control } = this.#options;
    const addresses = new Map<string, ListenAddress>();
    for (const { target: name, address: host, port } of entries) {
      const target = { name, uid: () => control.targetNamed(name) };
      try {
        const listener = await listen({ host, port }, (socket) => {
          if (this.#isOurs(socket, name)) void this.#postgres.serve(socket, target);
        });
        this.#listeners.push(listener);
        addresses.set(name, listener.address);
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw new ChaperoneError(
          'CHP-1020',
          `cannot listen on ${host}:${port} for ${name}: ${reason}`,
          { cause },
        );
      }
    }
    return addresses;
  }

  /** Takes no more connections; resolves when each session has ended. See PostgresProxy.drain. */
  async drain(): Promise<void> {
    const closing = this.#listeners.map((listener) => listener.close());
    await this.#postgres.drain();
    await Promise.all(closing);
  }

  /** Ends what is left. */
  close(): void {
    for (const listener of this.#listeners.splice(0)) void listener.close();
    this.#postgres.close();
  }

  #isOurs(socket: Socket, target: string): boolean {
    const { remoteAddress } = socket;
    if (remoteAddress !== undefined && isLoopback(remoteAddress)) return true;
    this.#options.logger.warn(
      { target, address: remoteAddress },
      'a connection from outside of the pod was refused',
    );
    socket.destroy();
    return false;
  }
}
