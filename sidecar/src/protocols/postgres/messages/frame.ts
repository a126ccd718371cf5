import { ProtocolError } from './protocol-error.ts';
import { Frontend } from './types.ts';

/** Type byte and length of a message after startup. */
export const HEADER_BYTES = 5;
/** Length and code of a startup message, which has no type byte. */
export const STARTUP_HEADER_BYTES = 8;

/** As PostgreSQL's own MAX_STARTUP_PACKET_LENGTH: what follows the length field. */
export const MAX_STARTUP_BYTES = 10_000;
/** Passwords and SASL responses; PostgreSQL's own PG_MAX_AUTH_TOKEN_LENGTH is 65535. */
export const MAX_PASSWORD_BYTES = 65_536;
/** Messages that hold a name and a number or nothing at all; PostgreSQL's PQ_SMALL_MESSAGE_LIMIT. */
export const MAX_SMALL_BYTES = 10_000;
/** What PostgreSQL itself takes at most, one gigabyte less two: MaxAllocSize - 1. */
export const MAX_LARGE_BYTES = 0x3fff_fffe;

/**
 * The whole size in bytes, type byte included, of the typed message that begins at `offset`; 0 when fewer
 * than five bytes of it are there. It says nothing about whether the rest has arrived.
 *
 * @param maxBytes cap on the length field, which counts itself and the body but not the type byte
 * @throws ProtocolError InvalidLength (negative, or below 4), TooLarge
 */
export function frameLength(buffer: Buffer, offset: number, maxBytes: number): number {
  if (buffer.length - offset < HEADER_BYTES) return 0;
  const length = buffer.readInt32BE(offset + 1);
  if (length < 4) throw new ProtocolError('InvalidLength', 'a message length is below 4');
  if (length > maxBytes) {
    throw new ProtocolError('TooLarge', `a message of more than ${maxBytes} bytes`);
  }
  return length + 1;
}

/**
 * The whole size in bytes of the untyped message (startup, SSLRequest, CancelRequest …) at `offset`; 0 when
 * its length is not there yet.
 *
 * @throws ProtocolError InvalidLength, TooLarge
 */
export function startupLength(buffer: Buffer, offset: number): number {
  if (buffer.length - offset < 4) return 0;
  const length = buffer.readInt32BE(offset);
  if (length < STARTUP_HEADER_BYTES) {
    throw new ProtocolError('InvalidLength', 'a startup message length is below 8');
  }
  if (length > MAX_STARTUP_BYTES + 4) {
    throw new ProtocolError(
      'TooLarge',
      `a startup message of more than ${MAX_STARTUP_BYTES} bytes`,
    );
  }
  return length;
}

/**
 * Cap on the length field of a message from an authenticated client, as PostgreSQL has it; 0 for a type
 * that a client never sends. Statements have a lower cap of their own in the frontend.
 */
export function frontendMaxBytes(type: number): number {
  switch (type) {
    case Frontend.Query:
    case Frontend.Parse:
    case Frontend.Bind:
    case Frontend.FunctionCall:
    case Frontend.CopyData:
      return MAX_LARGE_BYTES;
    case Frontend.Execute:
    case Frontend.Describe:
    case Frontend.Close:
    case Frontend.Sync:
    case Frontend.Flush:
    case Frontend.Terminate:
    case Frontend.CopyDone:
    case Frontend.CopyFail:
      return MAX_SMALL_BYTES;
    default:
      return 0;
  }
}
