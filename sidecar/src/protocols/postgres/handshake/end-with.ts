import type { Socket } from 'node:net';
import type { Clock } from '@chaperone/runtime/clock.ts';
import { ignoreErrors } from './handshake-reader.ts';

/** How long a peer may take to read its error and close. */
const LINGER_MS = 1_000;

/**
 * Sends a last message and closes. What the peer still sends is read and thrown away for a while: closing
 * with unread bytes resets the connection, and the peer would lose the message that says why.
 */
export function endWith(socket: Socket, message: Buffer, clock: Clock): void {
  socket.off('error', ignoreErrors).on('error', ignoreErrors);
  if (socket.destroyed) return;
  const timer = clock.setTimer(LINGER_MS, () => socket.destroy());
  socket.once('close', () => timer.cancel());
  socket.end(message);
  socket.resume();
}

/** Closes once all is written, or the peer has not taken it for a while. `last`: one more message. */
export function endWhenWritten(socket: Socket, clock: Clock, last?: Buffer): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const timer = clock.setTimer(LINGER_MS, () => socket.destroy());
  socket.once('close', () => timer.cancel());
  if (last !== undefined) socket.write(last);
  socket.end(() => socket.destroy());
}
