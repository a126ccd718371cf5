import type { Clock } from '@chaperone/runtime/clock.ts';

/** Why a handshake ended without a broken rule of the protocol. */
export type HandshakeEnd = 'Closed' | 'Timeout' | 'Aborted';

/** The peer went away, took too long, or we are stopping. */
export class HandshakeEnded extends Error {
  readonly end: HandshakeEnd;
  constructor(end: HandshakeEnd) {
    super(`the handshake ended: ${end}`);
    this.name = 'HandshakeEnded';
    this.end = end;
  }
}

/**
 * Runs `handshake` under one deadline for all of it: a peer that sends a byte now and then gains nothing.
 * The signal's reason is a HandshakeEnded (Timeout, or Aborted when `outer` is).
 */
export async function withDeadline<T>(
  clock: Clock,
  timeoutMs: number,
  outer: AbortSignal | undefined,
  handshake: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const timer = clock.setTimer(timeoutMs, () => controller.abort(new HandshakeEnded('Timeout')));
  const abort = () => controller.abort(new HandshakeEnded('Aborted'));
  outer?.addEventListener('abort', abort);
  if (outer?.aborted) abort();
  try {
    return await handshake(controller.signal);
  } finally {
    timer.cancel();
    outer?.removeEventListener('abort', abort);
  }
}
