import { connect, isIP, type NetConnectOpts, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { peerKeepAlive } from '../../../keep-alive.ts';
import { sslRequest } from '../messages/frontend-writer.ts';
import { ProtocolError } from '../messages/protocol-error.ts';
import { BackendError } from './backend-error.ts';
import { type BackendTls, startClientTls, TlsFailure } from './client-tls.ts';
import { HandshakeEnded } from './deadline.ts';
import { HandshakeReader, ignoreErrors } from './handshake-reader.ts';
import { isLoopback, type Resolve, resolveByDns } from './resolve-host.ts';

/** Where the backend is: a host and port, or the path of a UNIX socket (`…/.s.PGSQL.5432`). */
export type BackendAddress =
  | { readonly host: string; readonly port: number }
  | { readonly socketPath: string };

export interface OpenBackendOptions {
  readonly address: BackendAddress;
  /** Not asked for on UNIX sockets, which do not leave the machine: a Target that names one has mode Disable. */
  readonly tls: BackendTls;
  /** Default: DNS alone. */
  readonly resolve?: Resolve;
  /** Refuses what leads back to this machine, sockets included: in a pod, to ourselves. */
  readonly refuseLoopback?: boolean;
}

const PLAINTEXT_ONLY = 0x4e; // N
const TLS_ACCEPTED = 0x53; // S

/**
 * Connects, and secures the connection as `tls.mode` says; TLS that was asked for and not given is an error,
 * never a plain connection. The socket comes paused, with nothing read from it.
 *
 * @throws BackendError CHP-5004, CHP-2013; HandshakeEnded; ProtocolError
 */
export async function openBackend(
  options: OpenBackendOptions,
  signal: AbortSignal,
): Promise<Socket | TLSSocket> {
  const { address, tls } = options;
  if ('socketPath' in address) {
    // In a pod the path would lead into the sidecar's own file system.
    if (options.refuseLoopback) throw notReachable(address, 'a UNIX socket leads to this machine');
    return open({ path: address.socketPath }, address, signal);
  }
  const addresses = await resolve(address, options, signal);
  const socket = await open(
    {
      host: address.host,
      port: address.port,
      noDelay: true,
      ...peerKeepAlive,
      // One after the other, the next one when the one before takes long.
      autoSelectFamily: true,
      lookup: (_host, _options, callback) =>
        callback(
          null,
          addresses.map((ip) => ({ address: ip, family: ip.includes(':') ? 6 : 4 })),
        ),
    },
    address,
    signal,
  );
  if (tls.mode === 'Disable') return socket;
  await agreeOnTls(socket, address, signal);
  try {
    return await startClientTls(
      socket,
      { ...tls, servername: tls.servername ?? address.host },
      signal,
    );
  } catch (error) {
    if (!(error instanceof TlsFailure)) throw error;
    throw new BackendError('CHP-2013', {
      message: "the target's TLS certificate or connection is not to be trusted",
      sqlstate: '08006',
      logDetail: `TLS with ${name(address)} failed: ${error.message}`,
      cause: error,
    });
  }
}

/** For our log. */
export function name(address: BackendAddress): string {
  return 'socketPath' in address ? address.socketPath : `${address.host}:${address.port}`;
}

function notReachable(address: BackendAddress, why: string, cause?: unknown): BackendError {
  return new BackendError('CHP-5004', {
    message: 'the target is not reachable',
    sqlstate: '08006',
    logDetail: `${name(address)}: ${why}`,
    cause,
  });
}

async function resolve(
  address: { host: string; port: number },
  options: OpenBackendOptions,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { host } = address;
  let addresses: readonly string[];
  try {
    addresses = isIP(host) ? [host] : await (options.resolve ?? resolveByDns)(host, signal);
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw notReachable(address, 'the name does not resolve', error);
  }
  const allowed = options.refuseLoopback ? addresses.filter((ip) => !isLoopback(ip)) : addresses;
  if (allowed.length === 0) {
    const why = addresses.length === 0 ? 'has no address' : 'leads back to this machine';
    throw notReachable(address, `the name ${why}`);
  }
  return allowed;
}

function open(to: NetConnectOpts, address: BackendAddress, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const socket = connect(to);
    const settle = () => {
      signal.removeEventListener('abort', onAbort);
      socket.off('connect', onConnect).off('error', onError);
    };
    const onAbort = () => {
      settle();
      socket.destroy();
      reject(signal.reason);
    };
    const onError = (error: NodeJS.ErrnoException) => {
      settle();
      reject(notReachable(address, error.code ?? error.message, error));
    };
    const onConnect = () => {
      settle();
      resolve(socket);
    };
    socket.on('error', ignoreErrors).once('error', onError).once('connect', onConnect);
    socket.pause();
    signal.addEventListener('abort', onAbort);
  });
}

/** SSLRequest, and the server's one byte. */
async function agreeOnTls(
  socket: Socket,
  address: BackendAddress,
  signal: AbortSignal,
): Promise<void> {
  const reader = new HandshakeReader(socket, signal);
  try {
    socket.write(sslRequest());
    const answer = await reader.byte();
    if (answer === PLAINTEXT_ONLY) {
      throw new BackendError('CHP-2013', {
        message: 'the target does not offer TLS, which its definition demands',
        sqlstate: '08006',
        logDetail: `${name(address)} answered N to SSLRequest`,
      });
    }
    // An ErrorResponse here could come from anyone (CVE-2024-10977): it is not read.
    if (answer !== TLS_ACCEPTED) {
      throw new ProtocolError('UnexpectedMessage', 'neither S nor N in answer to SSLRequest');
    }
    if (reader.release().length > 0) {
      throw new ProtocolError('BytesBeforeTls', 'bytes behind the answer to SSLRequest');
    }
  } catch (error) {
    reader.release();
    socket.destroy();
    throw error instanceof HandshakeEnded && error.end === 'Closed'
      ? notReachable(address, 'closed the connection at SSLRequest', error)
      : error;
  }
}
