import {
  type AuthenticatedCaller,
  type BackendReport,
  type ControlClient,
  ControlRefusal,
  type LeasedCredential,
  type LeaseTarget,
} from '@chaperone/core/control/types.ts';
import type { AttestedSource } from '@chaperone/core/control/wire.ts';
import type { PolicyBundle } from '@chaperone/core/policy/types.ts';
import type { BackendReporter } from './backend-reporter.ts';
import type { Leases } from './leases.ts';
import type { PolicyStream } from './policy-stream.ts';

export interface PodControlOptions {
  readonly stream: PolicyStream;
  readonly leases: Leases;
  readonly reporter: BackendReporter;
  readonly source: AttestedSource;
}

/** The control plane for the pod that we run in: whoever reaches us is the pod, and has its identity. */
export class PodControl implements ControlClient {
  readonly proof = 'Connection';
  readonly #stream: PolicyStream;
  readonly #leases: Leases;
  readonly #reporter: BackendReporter;
  readonly #proof: AuthenticatedCaller['proof'];

  constructor({ stream, leases, reporter, source }: PodControlOptions) {
    this.#stream = stream;
    this.#leases = leases;
    this.#reporter = reporter;
    this.#proof = {
      method: 'Pod',
      namespace: source.namespace,
      serviceAccount: source.serviceAccount,
      pod: source.pod.name,
      podUid: source.pod.uid,
      ...(source.node !== undefined && { node: source.node }),
    };
  }

  async authenticate(): Promise<AuthenticatedCaller> {
    const { bundle } = this.#stream;
    if (bundle === undefined) throw this.#stream.refusal;
    return { identityUid: bundle.identity.uid, proof: this.#proof };
  }

  /** Uid of the target of that name (`namespace/name`) in the policy now. */
  targetNamed(name: string): string | undefined {
    return this.#stream.bundle?.targets.find(
      ({ target }) => `${target.namespace}/${target.name}` === name,
    )?.target.uid;
  }

  bundle(identityUid: string): PolicyBundle | undefined {
    const { bundle } = this.#stream;
    return bundle?.identity.uid === identityUid ? bundle : undefined;
  }

  subscribe(identityUid: string, onBundle: (bundle: PolicyBundle | undefined) => void): () => void {
    // The pod may come to another identity: for sessions of the one before, theirs is gone.
    return this.#stream.subscribe((bundle) =>
      onBundle(bundle?.identity.uid === identityUid ? bundle : undefined),
    );
  }

  isStale(): boolean {
    return this.#stream.isStale();
  }

  lease(
    identityUid: string,
    target: LeaseTarget,
    refused?: LeasedCredential,
  ): Promise<LeasedCredential> {
    if (this.bundle(identityUid) === undefined) {
      return Promise.reject(
        new ControlRefusal('CHP-2004', 'The identity does not exist any more.', 'Connect again.'),
      );
    }
    return this.#leases.get(undefined, target, refused);
  }

  reportBackend(report: BackendReport): void {
    this.#reporter.report(report);
  }
}
