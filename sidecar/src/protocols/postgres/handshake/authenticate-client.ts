import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Clock } from '@chaperone/runtime/clock.ts';
import { errorReport } from '../errors/refusal.ts';
import {
  authenticationCleartextPassword,
  authenticationOk,
  backendKeyData,
  parameterStatus,
  readyForQuery,
} from '../messages/backend-writer.ts';
import { MAX_PASSWORD_BYTES } from '../messages/frame.ts';
import { parsePassword } from '../messages/frontend-reader.ts';
import { ProtocolError } from '../messages/protocol-error.ts';
import { Frontend, TransactionStatus } from '../messages/types.ts';
import { type ClosedClient, closeClient, Refused } from './accept.ts';
import { withDeadline } from './deadline.ts';
import { endWith } from './end-with.ts';
import { HandshakeReader } from './handshake-reader.ts';

export interface TicketOptions {
  readonly clock: Clock;
  /** From our question to the client's answer; default 15 s. People who type at psql need it. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface PresentedTicket {
  readonly kind: 'ticket';
  /** What stood in the password's place; never logged. */
  readonly secret: string;
  readonly leftover: Buffer;
}

const DEFAULT_TIMEOUT_MS = 15_000;

/**
 * Whether what is said on this socket stays between its two ends: TLS, a UNIX socket, or loopback.
 * (A socket that is gone has no address either; nothing is read from it.)
 */
export function isPrivate(socket: Socket): boolean {
  if (socket instanceof TLSSocket) return true;
  const address = socket.remoteAddress;
  if (address === undefined) return true;
  return address === '::1' || address.replace(/^::ffff:/, '').startsWith('127.');
}

/**
 * Asks the client for its ticket as a cleartext password. A ticket must be checked against its hash, which
 * neither md5 nor SCRAM allow, so it is asked for only where `isPrivate`. Never throws. `leftover`: what
 * came behind the startup message.
 */
export async function askForTicket(
  socket: Socket,
  leftover: Buffer,
  options: TicketOptions,
): Promise<PresentedTicket | ClosedClient> {
  try {
    if (!isPrivate(socket)) {
      throw new Refused(
        '28000',
        'a ticket is not taken in the clear (CHP-5007)',
        'Connect with TLS (sslmode=require or stricter).',
      );
    }
    return await withDeadline(
      options.clock,
      options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      options.signal,
      (signal) => ask(socket, leftover, signal),
    );
  } catch (error) {
    return closeClient(socket, options.clock, error);
  }
}

async function ask(
  socket: Socket,
  leftover: Buffer,
  signal: AbortSignal,
): Promise<PresentedTicket> {
  const reader = new HandshakeReader(socket, signal, leftover);
  try {
    socket.write(authenticationCleartextPassword());
    const message = await reader.message(MAX_PASSWORD_BYTES);
    if (message.type !== Frontend.Password) {
      throw new ProtocolError('UnexpectedMessage', 'a password was expected');
    }
    const secret = parsePassword(message.buffer, message.start, message.end);
    return { kind: 'ticket', secret, leftover: reader.release() };
  } catch (error) {
    reader.release();
    throw error;
  }
}

/**
 * Ends a login whose ticket was not accepted: FATAL 28P01. `message` and `hint` should be the same for every
 * wrong proof.
 */
export function refuseTicket(
  socket: Socket,
  clock: Clock,
  text: { readonly message: string; readonly hint?: string },
): void {
  endWith(socket, errorReport({ severity: 'FATAL', sqlstate: '28P01', ...text }), clock);
}

/**
 * Ends a login that failed after the ticket was accepted. AuthenticationOk goes first, as with PostgreSQL
 * itself: libpq takes an error before it for a reason to try again without TLS. `report`: see `errorReport`.
 */
export function refuseSession(socket: Socket, clock: Clock, report: Buffer): void {
  endWith(socket, Buffer.concat([authenticationOk(), report]), clock);
}

export interface ReadySession {
  /** In the order in which they are told. */
  readonly parameterStatus: Iterable<readonly [string, string]>;
  /** Our own key, see CancelRegistry. */
  readonly key: { readonly pid: number; readonly secret: Uint8Array };
  /** Whole NoticeResponses to be passed on. */
  readonly notices?: readonly Buffer[];
}

/** Completes the login in one write: AuthenticationOk, the parameters, the key, notices, ReadyForQuery. */
export function sendSessionReady(socket: Socket, session: ReadySession): void {
  const messages = [authenticationOk()];
  for (const [name, value] of session.parameterStatus) messages.push(parameterStatus(name, value));
  messages.push(backendKeyData(session.key.pid, session.key.secret));
  if (session.notices !== undefined) messages.push(...session.notices);
  messages.push(readyForQuery(TransactionStatus.Idle));
  socket.write(Buffer.concat(messages));
}
