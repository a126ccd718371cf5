import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '@chaperone/runtime/clock.ts';
import type { CancelKey } from '../messages/backend-reader.ts';
import { cancelRequest } from '../messages/frontend-writer.ts';
import { CANCEL_KEY_BYTES_30, CANCEL_KEY_BYTES_32 } from '../messages/types.ts';
import { backendError } from './connect-backend.ts';
import { withDeadline } from './deadline.ts';
import { ignoreErrors } from './handshake-reader.ts';
import { type OpenBackendOptions, openBackend } from './open-backend.ts';

/** Protocol 3.2 begins to have keys of more than four bytes. */
const FIRST_MINOR_WITH_LONG_KEYS = 2;

/** Process ids are positive in PostgreSQL, and some clients expect no other. */
const PID_MASK = 0x7fff_ffff;

interface Entry<Session> {
  readonly secret: Buffer;
  readonly session: Session;
}

/**
 * The cancel keys that clients hold: our own, so that no backend's key is ever shown, and each good for the
 * one session that it was issued to. One registry per listener. `randomness` gives that many random bytes.
 */
export class CancelRegistry<Session> {
  readonly #entries = new Map<number, Entry<Session>>();
  readonly #randomness: (bytes: number) => Buffer;

  constructor(randomness: (bytes: number) => Buffer = randomBytes) {
    this.#randomness = randomness;
  }

  /** A new key for a session that speaks minor version `minor`. To be removed when the session ends. */
  issue(session: Session, minor: number): CancelKey {
    let pid: number;
    do {
      pid = this.#randomness(4).readUInt32BE(0) & PID_MASK;
    } while (pid === 0 || this.#entries.has(pid));
    const bytes = minor >= FIRST_MINOR_WITH_LONG_KEYS ? CANCEL_KEY_BYTES_32 : CANCEL_KEY_BYTES_30;
    const secret = this.#randomness(bytes);
    this.#entries.set(pid, { secret, session });
    return { pid, secret };
  }

  /** The session that the key was issued to; undefined for any other, however little it differs. */
  find(key: CancelKey): Session | undefined {
    const entry = this.#entries.get(key.pid);
    if (entry === undefined || entry.secret.length !== key.secret.length) return undefined;
    return timingSafeEqual(entry.secret, key.secret) ? entry.session : undefined;
  }

  remove(key: CancelKey): void {
    this.#entries.delete(key.pid);
  }

  /** Keys that are good now. */
  get size(): number {
    return this.#entries.size;
  }
}

export interface ForwardCancelOptions extends OpenBackendOptions {
  readonly clock: Clock;
  /** Default 5 s. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

const DEFAULT_TIMEOUT_MS = 5_000;

/**
 * Has the backend cancel what its session `key` runs: on a connection of its own, secured as the session's
 * is. Resolves when the backend has closed that connection, which it does once the signal is sent.
 *
 * The request must reach the server that the session is on: pass the session's `remoteAddress` as the host
 * and the target's name as `tls.servername` where one name stands for several servers.
 *
 * @throws BackendError
 */
export async function forwardCancel(key: CancelKey, options: ForwardCancelOptions): Promise<void> {
  try {
    await withDeadline(
      options.clock,
      options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      options.signal,
      (signal) => send(key, options, signal),
    );
  } catch (error) {
    throw backendError(error, options);
  }
}

async function send(
  key: CancelKey,
  options: OpenBackendOptions,
  signal: AbortSignal,
): Promise<void> {
  const socket = await openBackend(options, signal);
  await new Promise<void>((resolve, reject) => {
    const onAbort = () => {
      socket.destroy();
      reject(signal.reason);
    };
    signal.addEventListener('abort', onAbort);
    socket.off('error', ignoreErrors).on('error', ignoreErrors);
    socket.once('close', () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
    // Nothing is answered; whatever comes is thrown away until the end.
    socket.resume();
    socket.write(cancelRequest(key.pid, key.secret));
    if (signal.aborted) onAbort();
    else if (socket.destroyed) resolve();
  });
}
