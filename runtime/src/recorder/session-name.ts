import { sessionPiece } from '@chaperone/core/events/envelope.ts';
import { uuidToBytes } from '@chaperone/core/events/uuid.ts';

/** A session's id in the forms in which its events have it. */
export class SessionName {
  /** UUIDv7. */
  readonly id: string;
  /** 16 bytes. */
  readonly bytes: Uint8Array;
  /** See `sessionPiece`. */
  readonly piece: Uint8Array;

  /** Throws RangeError when `id` is no UUID. */
  constructor(id: string) {
    this.id = id;
    this.bytes = uuidToBytes(id);
    this.piece = sessionPiece(id);
  }
}
