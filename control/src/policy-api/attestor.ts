import type { AttestedSource } from '@chaperone/core/control/wire.ts';

/** A program that proved to be what we run for that machine. */
export interface AttestedProgram {
  readonly role: 'Pod' | 'Gateway';
  readonly source: AttestedSource;
  /** Whoever wrote the pod chose who tells the sidecar the addresses of backends. */
  readonly ownNameServers?: boolean;
}

/** A workload that proved which ServiceAccount it has. */
export interface AuthenticatedWorkload {
  readonly issuer: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Absent where the token is bound to no pod. */
  readonly pod?: { readonly name: string; readonly uid: string };
  /** Epoch ms. */
  readonly expiresMs?: number;
}

/** Who a program is cannot be told yet, as happens while a pod starts; asking again in a second will do. */
export class NotYetKnown extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'NotYetKnown';
  }
}

/** More is asked of us than the API server is to be asked; trying again in a second will do. */
export class TooMany extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'TooMany';
  }
}

/** A pod that a program was attested for. */
export interface PodReference {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** Tells machines from what they show: in a cluster by TokenReview and the live pod. */
export interface Attestor {
  /** `address`: where the connection comes from. Throws ControlRefusal; NotYetKnown; TooMany. */
  attest(token: string, address: string): Promise<AttestedProgram>;
  /**
   * A token shown to a gateway as a password; undefined where it is none of ours. `gateway`: the uid of its
   * pod, for its share. Throws TooMany.
   */
  authenticate(token: string, gateway: string): Promise<AuthenticatedWorkload | undefined>;
  /** Whether a pod that was attested is still there and has not ended. Throws where that cannot be told. */
  stillThere(pod: PodReference): Promise<boolean>;
  /** Whether it is known not to be, without asking: for streams that are open. */
  isGone(pod: PodReference): boolean;
}
