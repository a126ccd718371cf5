import type { Socket } from 'node:net';
import { ignoreErrors } from './handshake/handshake-reader.ts';
import { rehouse } from './handshake/rehouse.ts';

export interface ReusingReader {
  /** In the place of the socket that was given: the same connection, and the same state of flow. */
  readonly socket: Socket;
  /** Read before, and not given to `take`. */
  readonly pending: Buffer;
}

/**
 * Reads a connection into one buffer over and over, where Node.js lets us (see `rehouse`); else by `data`
 * events. Reads begin with `resume`.
 *
 * @param size of the buffer, in bytes: `first` until a read fills it, then four times as many, up to `most`
 * @param take is given each chunk, and may change it
 * @param isFree asked before and after each `take`: whether nothing refers to the memory of any chunk that was given.
 *   If something does, the next read goes into another buffer: the one before this, if it is free by then, or a new one
 */
export function readReusing(
  socket: Socket,
  size: { readonly first: number; readonly most: number },
  take: (chunk: Buffer) => void,
  isFree: () => boolean,
): ReusingReader {
  let bytes = size.first;
  let buffer: Buffer | undefined;
  let free = false;
  /** The buffer of the read before, and whether nothing of it was in use when the last chunk came. */
  let former: Buffer | undefined;
  let formerIsFree = false;
  const moved = rehouse(socket, {
    buffer: () => {
      // Node.js goes on with the buffer that it has when it gets none.
      if (free && buffer?.length === bytes) return undefined as unknown as Buffer;
      const next =
        formerIsFree && former?.length === bytes ? former : Buffer.allocUnsafeSlow(bytes);
      former = buffer;
      formerIsFree = false;
      buffer = next;
      return buffer;
    },
    callback: (count) => {
      formerIsFree = isFree();
      free = false;
      if (count === bytes) bytes = Math.min(bytes * 4, size.most);
      take(buffer!.subarray(0, count));
      free = isFree();
      return true;
    },
  });
  if (moved === undefined) {
    socket.on('data', take);
    return { socket, pending: Buffer.alloc(0) };
  }
  moved.socket.on('error', ignoreErrors);
  return moved;
}
