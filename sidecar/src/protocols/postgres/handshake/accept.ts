import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import type { Clock } from '@chaperone/runtime/clock.ts';
import { errorCatalogue } from '@chaperone/runtime/errors/catalogue.ts';
import { errorReport } from '../errors/refusal.ts';
import { negotiateProtocolVersion } from '../messages/backend-writer.ts';
import { ProtocolError } from '../messages/protocol-error.ts';
import { parseInitialMessage, type StartupMessage } from '../messages/startup.ts';
import { NEWEST_MINOR, PROTOCOL_MAJOR } from '../messages/types.ts';
import { type HandshakeEnd, HandshakeEnded, withDeadline } from './deadline.ts';
import { endWith } from './end-with.ts';
import { HandshakeReader } from './handshake-reader.ts';
import { type ServerTls, serveTls, TLS_HANDSHAKE_RECORD } from './server-tls.ts';

export interface AcceptOptions {
  readonly clock: Clock;
  /** For everything up to the startup message; default 15 s. */
  readonly timeoutMs?: number;
  /** Absent: SSLRequest is answered `N`, direct TLS is refused. */
  readonly tls?: ServerTls;
  /**
   * Refuses sessions without TLS. Cancel requests are taken all the same: libpq before 17 sends them in the
   * clear whatever the session had, and they carry nothing but their key.
   */
  readonly requireTls?: boolean;
  readonly signal?: AbortSignal;
}

/** What the client wants its session to be. */
export interface ClientStartup {
  /** Minor version that is spoken: 0, 1 or 2, negotiated down where the client asked for more. */
  readonly minor: number;
  readonly user: string;
  /** As PostgreSQL has it: the user's name where none is given. */
  readonly database: string;
  /** Every other parameter in the order sent: `options`, `replication`, settings by name. */
  readonly parameters: ReadonlyMap<string, string>;
  /** `_pq_.` options that were asked for and declined. */
  readonly declinedOptions: readonly string[];
}

export interface AcceptedSession {
  readonly kind: 'session';
  /** Paused, without a listener of ours but one that ignores `error`; a TLSSocket under TLS. */
  readonly socket: Socket;
  readonly startup: ClientStartup;
  readonly tls?: { readonly version: string; readonly cipher: string };
  /** What came behind the startup message. */
  readonly leftover: Buffer;
}

export interface AcceptedCancel {
  readonly kind: 'cancel';
  /** To be ended once the request was carried out: clients wait for that. Nothing is answered. */
  readonly socket: Socket;
  readonly key: { readonly pid: number; readonly secret: Buffer };
}

/** The connection is closed, or about to be, and the client was told why where it could be. */
export interface ClosedClient {
  readonly kind: 'closed';
  readonly reason: HandshakeEnd | 'ProtocolViolation' | 'Refused' | 'Error';
  /** Set for ProtocolViolation: for the record. */
  readonly violation?: ProtocolError;
  /** Set for Error, a fault of ours: for the log. */
  readonly cause?: unknown;
}

export type Accepted = AcceptedSession | AcceptedCancel | ClosedClient;

const DEFAULT_TIMEOUT_MS = 15_000;

/** The client is told why, and the connection ends; not a violation of the protocol. */
export class Refused extends Error {
  readonly sqlstate: string;
  readonly hint: string | undefined;
  constructor(sqlstate: string, message: string, hint?: string) {
    super(message);
    this.name = 'Refused';
    this.sqlstate = sqlstate;
    this.hint = hint;
  }
}

/**
 * Takes a client's connection to the end of its startup message: SSLRequest and GSSENCRequest once each,
 * direct TLS, protocol version, parameters. Never throws; whatever goes wrong is `closed`.
 */
export async function acceptClient(socket: Socket, options: AcceptOptions): Promise<Accepted> {
  const connection: Connection = { socket };
  try {
    return await withDeadline(
      options.clock,
      options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      options.signal,
      (signal) => accept(connection, options, signal),
    );
  } catch (error) {
    return closeClient(connection.socket, options.clock, error);
  }
}

/** The socket to speak through now: the plain one, then the one under TLS. */
interface Connection {
  socket: Socket;
}

/**
 * Closes a client's connection for what `error` says: a HandshakeEnded silently, a ProtocolError and the
 * rest with a FATAL. Also for the login that follows.
 */
export function closeClient(socket: Socket, clock: Clock, error: unknown): ClosedClient {
  if (error instanceof HandshakeEnded) {
    socket.destroy();
    return { kind: 'closed', reason: error.end };
  }
  const known = error instanceof ProtocolError || error instanceof Refused;
  const report = errorReport({
    severity: 'FATAL',
    sqlstate: known ? error.sqlstate : 'XX000',
    message: known ? error.message : 'the handshake failed',
    hint: error instanceof Refused ? error.hint : undefined,
  });
  endWith(socket, report, clock);
  if (error instanceof ProtocolError) {
    return { kind: 'closed', reason: 'ProtocolViolation', violation: error };
  }
  if (error instanceof Refused) return { kind: 'closed', reason: 'Refused' };
  return { kind: 'closed', reason: 'Error', cause: error };
}

async function accept(
  connection: Connection,
  options: AcceptOptions,
  signal: AbortSignal,
): Promise<Accepted> {
  let reader = new HandshakeReader(connection.socket, signal);
  const startTls = async (context: SecureContext, direct: boolean) => {
    connection.socket = await serveTls(
      connection.socket,
      context,
      reader.release(),
      direct,
      signal,
    );
    reader = new HandshakeReader(connection.socket, signal);
  };
  try {
    const direct = (await reader.peekByte()) === TLS_HANDSHAKE_RECORD;
    if (direct) {
      const context = options.tls?.secureContext();
      if (context === undefined) throw unexpected('direct TLS');
      await startTls(context, true);
    }
    // Each may be asked for once, in either order, and neither under TLS: no loops.
    let mayAskForTls = !direct;
    let mayAskForGss = !direct;
    for (;;) {
      const message = await reader.startup();
      const initial = parseInitialMessage(message, 0, message.length);
      switch (initial.kind) {
        case 'ssl': {
          if (!mayAskForTls) throw unexpected('SSLRequest');
          mayAskForTls = false;
          noBytesBehind(reader);
          const context = options.tls?.secureContext();
          if (context === undefined) {
            connection.socket.write('N');
          } else {
            mayAskForGss = false;
            connection.socket.write('S');
            await startTls(context, false);
          }
          break;
        }
        case 'gssenc':
          if (!mayAskForGss) throw unexpected('GSSENCRequest');
          mayAskForGss = false;
          noBytesBehind(reader);
          connection.socket.write('N');
          break;
        case 'cancel':
          reader.release();
          return {
            kind: 'cancel',
            socket: connection.socket,
            key: { pid: initial.pid, secret: initial.secret },
          };
        case 'unsupported':
          throw new Refused(
            '0A000',
            `unsupported frontend protocol ${initial.major}.${initial.minor}: ` +
              `${PROTOCOL_MAJOR}.0 to ${PROTOCOL_MAJOR}.${NEWEST_MINOR} are spoken`,
          );
        case 'startup':
          return acceptSession(connection.socket, initial, options, reader);
      }
    }
  } catch (error) {
    reader.release();
    throw error;
  }
}

function unexpected(what: string): ProtocolError {
  return new ProtocolError('UnexpectedMessage', `${what} is not expected here`);
}

/** What stands behind the request came in the clear, and would be taken for part of the secured session. */
function noBytesBehind(reader: HandshakeReader): void {
  if (reader.buffered > 0) {
    throw new ProtocolError('BytesBeforeTls', 'bytes behind a request for encryption');
  }
}

function acceptSession(
  socket: Socket,
  message: StartupMessage,
  options: AcceptOptions,
  reader: HandshakeReader,
): AcceptedSession {
  if (options.requireTls === true && !(socket instanceof TLSSocket)) {
    throw new Refused('28000', 'TLS is required (CHP-5007)', errorCatalogue['CHP-5007'].remedy);
  }
  const parameters = new Map(message.parameters);
  const user = parameters.get('user') ?? '';
  if (user === '') throw new Refused('28000', 'no user name in the startup message');
  const database = parameters.get('database') || user;
  parameters.delete('user');
  parameters.delete('database');
  const declinedOptions = message.protocolOptions;
  if (message.minor > NEWEST_MINOR || declinedOptions.length > 0) {
    socket.write(negotiateProtocolVersion(NEWEST_MINOR, declinedOptions));
  }
  const minor = Math.min(message.minor, NEWEST_MINOR);
  return {
    kind: 'session',
    socket,
    startup: { minor, user, database, parameters, declinedOptions },
    ...(socket instanceof TLSSocket && {
      tls: { version: socket.getProtocol() ?? '', cipher: socket.getCipher().name },
    }),
    leftover: reader.release(),
  };
}
