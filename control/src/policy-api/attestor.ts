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

/** Tells machines from what they show: in a cluster by TokenReview and the live pod. */
export interface Attestor {
  /** `address`: where the connection comes from. Throws ControlRefusal; NotYetKnown. */
  attest(token: string, address: string): Promise<AttestedProgram>;
  /** A token shown to a gateway as a password; undefined where it is none of ours. */
  authenticate(token: string): Promise<AuthenticatedWorkload | undefined>;
}
