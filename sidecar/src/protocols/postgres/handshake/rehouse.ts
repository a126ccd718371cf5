import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { TLSSocket } from 'node:tls';

/** The handle below a socket, as far as this file knows it. */
interface Handle {
  reading: boolean;
  readStop(): number;
}
interface WithHandle {
  _handle: Handle | null;
}

export interface Rehoused {
  /** Reads into `onread.buffer`; paused until `resume`. */
  readonly socket: Socket;
  /** What the old socket had read and not given out: it precedes whatever `onread` gets. */
  readonly pending: Buffer;
}

/**
 * Moves a connection to a socket that reads into a reusable buffer. Node.js offers `onread` only to sockets
 * that it is told about before they connect, which an accepted one never is; the same constructor takes a
 * handle, as its own server does. Allocating a buffer per read costs a good part of a proxy's time.
 *
 * Undefined when there is no plain handle to move: TLS, a socket that is gone, bytes still being written, or
 * a Node.js that works otherwise. The caller then goes on with `data` events.
 *
 * @param socket paused, without listeners that matter; not to be used afterwards
 */
export function rehouse(socket: Socket, onread: OnReadOpts): Rehoused | undefined {
  const owner = socket as unknown as WithHandle;
  const handle = owner._handle;
  if (
    socket instanceof TLSSocket ||
    typeof handle?.readStop !== 'function' ||
    socket.writableLength > 0 ||
    socket.readableEnded ||
    socket.writableEnded
  ) {
    return undefined;
  }
  handle.readStop();
  handle.reading = false;
  const chunks: Buffer[] = [];
  while (socket.readableLength > 0) {
    const chunk = socket.read();
    if (chunk === null) break;
    chunks.push(chunk);
  }
  // `read` may have asked the handle for more.
  handle.readStop();
  handle.reading = false;
  owner._handle = null;
  socket.destroy();
  const options = { handle, onread, allowHalfOpen: socket.allowHalfOpen };
  const moved = new Socket(options as unknown as SocketConstructorOpts);
  moved.pause();
  return { socket: moved, pending: Buffer.concat(chunks) };
}
