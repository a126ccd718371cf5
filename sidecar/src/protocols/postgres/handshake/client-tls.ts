import type { Socket } from 'node:net';
import { isIP } from 'node:net';
import { type ConnectionOptions, checkServerIdentity, connect, type TLSSocket } from 'node:tls';
import { HandshakeEnded } from './deadline.ts';
import { ignoreErrors } from './handshake-reader.ts';
import { ALPN_PROTOCOL } from './server-tls.ts';

export interface BackendTls {
  /** VerifyFull: certificate and host name. VerifyCA: that a trusted CA issued it. Disable: no TLS. */
  readonly mode: 'VerifyFull' | 'VerifyCA' | 'Disable';
  /** PEM; the CAs that Node.js comes with when absent. */
  readonly ca?: string;
  /** Name in the certificate, and sent as SNI, where it is not the host's. */
  readonly servername?: string;
}

/** The certificate, or what was agreed on, is not what was asked for. */
export class TlsFailure extends Error {}

/**
 * The client's side of a TLS handshake on a connected socket. The certificate is verified before anything
 * is said under it, whatever NODE_TLS_REJECT_UNAUTHORIZED says.
 *
 * @throws TlsFailure, HandshakeEnded
 */
export function startClientTls(
  socket: Socket,
  tls: BackendTls & { readonly servername: string },
  signal: AbortSignal,
): Promise<TLSSocket> {
  const { servername } = tls;
  const options: ConnectionOptions = {
    socket,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    ALPNProtocols: [ALPN_PROTOCOL],
    // SNI carries names only (RFC 6066 §3).
    servername: isIP(servername) === 0 ? servername : '',
    checkServerIdentity: (_, certificate) =>
      tls.mode === 'VerifyFull' ? checkServerIdentity(servername, certificate) : undefined,
    ...(tls.ca !== undefined && { ca: tls.ca }),
  };
  return new Promise((resolve, reject) => {
    const secure = connect(options);
    let failure: Error | undefined;
    const settle = () => {
      signal.removeEventListener('abort', onAbort);
      secure.off('secureConnect', onSecure).off('error', onError).off('close', onClose);
    };
    const fail = (reason: unknown) => {
      settle();
      secure.destroy();
      socket.destroy();
      reject(reason);
    };
    const onAbort = () => fail(signal.reason);
    const onError = (error: Error) => {
      failure = error;
    };
    const onClose = () =>
      fail(
        failure === undefined
          ? new HandshakeEnded('Closed')
          : new TlsFailure(failure.message, { cause: failure }),
      );
    const onSecure = () => {
      settle();
      resolve(secure);
    };
    secure.on('error', ignoreErrors);
    secure.on('error', onError).once('close', onClose).once('secureConnect', onSecure);
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
  });
}
