import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Clock } from '@chaperone/runtime/clock.ts';
import {
  type CancelKey,
  parseBackendKeyData,
  parseErrorFields,
  parseParameterStatus,
  parseReadyForQuery,
} from '../messages/backend-reader.ts';
import { startupMessage } from '../messages/frontend-writer.ts';
import { ProtocolError } from '../messages/protocol-error.ts';
import { Backend, TransactionStatus } from '../messages/types.ts';
import {
  authenticateToBackend,
  type BackendLogin,
  MAX_LOGIN_MESSAGE_BYTES,
} from './authenticate-backend.ts';
import { BackendError } from './backend-error.ts';
import { loginRefused } from './backend-refusal.ts';
import { HandshakeEnded, withDeadline } from './deadline.ts';
import { HandshakeReader } from './handshake-reader.ts';
import { name, type OpenBackendOptions, openBackend } from './open-backend.ts';

export interface ConnectBackendOptions extends OpenBackendOptions, BackendLogin {
  readonly database: string;
  /** Startup parameters besides `user` and `database`, in order. */
  readonly parameters: Iterable<readonly [string, string]>;
  readonly clock: Clock;
  /** From the first address looked up to ReadyForQuery; default 15 s. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Minor version asked for; 2 gives longer cancel keys from servers that know it. Default 0, as libpq. */
  readonly protocolMinor?: 0 | 2;
  /** Called with the server's version before the session is handed out; throws what is to be thrown. */
  readonly checkVersion?: (version: ServerVersion) => void;
}

export interface ServerVersion {
  /** As the server says it: `18.4`, `15.14 (Debian 15.14-0+deb12u1)`. */
  readonly text: string;
  /** 18, 15; NaN when the text does not begin with a number. */
  readonly major: number;
}

export interface BackendSession {
  /** Paused, without a listener of ours but one that ignores `error`; a TLSSocket under TLS. */
  readonly socket: Socket;
  /** In the order in which the server told them. */
  readonly parameterStatus: ReadonlyMap<string, string>;
  /** Absent when the server gave none: it then cannot be cancelled. Never shown to the client. */
  readonly cancelKey?: CancelKey;
  readonly serverVersion: ServerVersion;
  /** What came behind ReadyForQuery. */
  readonly leftover: Buffer;
  readonly transactionStatus: 'I';
  /** Whole NoticeResponses of the login, as they came, at most 16. They may hold what errors hold. */
  readonly notices: readonly Buffer[];
  /** The address that answered: a cancel request must reach the same server. */
  readonly remoteAddress?: string;
}

const DEFAULT_TIMEOUT_MS = 15_000;
/** All that comes between AuthenticationOk and ReadyForQuery; PostgreSQL 18 sends some 600 bytes. */
const MAX_READY_BYTES = 1_048_576;
const MAX_NOTICES = 16;

/**
 * Connects to the backend, verifies it, logs in and waits for ReadyForQuery.
 *
 * @throws BackendError for everything that goes wrong: fit to be told to the caller. What `checkVersion`
 *   throws is thrown as it is.
 */
export async function connectBackend(options: ConnectBackendOptions): Promise<BackendSession> {
  let socket: Socket | undefined;
  try {
    return await withDeadline(
      options.clock,
      options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      options.signal,
      async (signal) => {
        socket = await openBackend(options, signal);
        return await login(socket, options, signal);
      },
    );
  } catch (error) {
    socket?.destroy();
    throw backendError(error, options);
  }
}

/** Says as a BackendError what ended a conversation with the backend. */
export function backendError(error: unknown, options: OpenBackendOptions): unknown {
  const where = name(options.address);
  if (error instanceof ProtocolError) {
    return new BackendError('CHP-5001', {
      message: 'the target does not keep to the protocol',
      sqlstate: '08006',
      logDetail: `${where}: ${error.code}: ${error.message}`,
      cause: error,
    });
  }
  if (error instanceof HandshakeEnded) {
    return error.end === 'Timeout'
      ? new BackendError('CHP-5008', {
          message: 'the target did not answer in time',
          sqlstate: '08006',
          logDetail: `${where}: timeout`,
        })
      : new BackendError('CHP-5005', {
          message: 'the connection to the target was closed',
          sqlstate: '08006',
          logDetail: `${where}: ${error.end}`,
        });
  }
  return error;
}

async function login(
  socket: Socket,
  options: ConnectBackendOptions,
  signal: AbortSignal,
): Promise<BackendSession> {
  const reader = new HandshakeReader(socket, signal);
  try {
    const minor = options.protocolMinor ?? 0;
    socket.write(
      startupMessage(minor, [
        ['user', options.username],
        ['database', options.database],
        ...options.parameters,
      ]),
    );
    // Whoever may write to its directory may stand behind a UNIX socket: no password goes there as it is.
    const channel = { socket, reader, confidential: socket instanceof TLSSocket };
    const negotiated = await authenticateToBackend(channel, options);
    if (negotiated !== undefined && negotiated > minor) {
      throw new ProtocolError('UnsupportedVersion', 'a newer minor version than was asked for');
    }
    return await untilReady(socket, reader, options);
  } catch (error) {
    reader.release();
    throw error;
  }
}

async function untilReady(
  socket: Socket,
  reader: HandshakeReader,
  options: ConnectBackendOptions,
): Promise<BackendSession> {
  const parameterStatus = new Map<string, string>();
  const notices: Buffer[] = [];
  let cancelKey: CancelKey | undefined;
  for (let bytes = 0; bytes <= MAX_READY_BYTES; ) {
    const { type, buffer, start, end } = await reader.message(MAX_LOGIN_MESSAGE_BYTES);
    bytes += buffer.length;
    switch (type) {
      case Backend.ParameterStatus: {
        const status = parseParameterStatus(buffer, start, end);
        parameterStatus.set(status.name, status.value);
        break;
      }
      case Backend.BackendKeyData:
        if (cancelKey !== undefined) {
          throw new ProtocolError('UnexpectedMessage', 'a second cancel key');
        }
        cancelKey = parseBackendKeyData(buffer, start, end);
        break;
      case Backend.NoticeResponse:
        parseErrorFields(buffer, start, end);
        if (notices.length < MAX_NOTICES) notices.push(buffer);
        break;
      case Backend.ErrorResponse:
        throw loginRefused(parseErrorFields(buffer, start, end));
      case Backend.ReadyForQuery: {
        if (parseReadyForQuery(buffer, start, end) !== TransactionStatus.Idle) {
          throw new ProtocolError('InvalidValue', 'a session that does not begin idle');
        }
        const text = parameterStatus.get('server_version') ?? '';
        const serverVersion = { text, major: Number.parseInt(text, 10) };
        options.checkVersion?.(serverVersion);
        const { remoteAddress } = socket;
        return {
          socket,
          parameterStatus,
          ...(cancelKey !== undefined && { cancelKey }),
          serverVersion,
          leftover: reader.release(),
          transactionStatus: 'I',
          notices,
          ...(remoteAddress !== undefined && { remoteAddress }),
        };
      }
      default:
        throw new ProtocolError('UnexpectedMessage', 'not a message before ReadyForQuery');
    }
  }
  throw new ProtocolError('TooLarge', 'no end to the messages before ReadyForQuery');
}
