import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import { ProtocolError } from '../messages/protocol-error.ts';
import { HandshakeEnded } from './deadline.ts';
import { ignoreErrors } from './handshake-reader.ts';

/** How TLS is served to clients. */
export interface ServerTls {
  /**
   * The certificate in force now; asked for at each handshake, so that a renewed one is taken up. Undefined
   * while there is none: TLS is then not offered.
   */
  secureContext(): SecureContext | undefined;
}

/** The name of PostgreSQL's protocol in TLS's application-layer protocol negotiation. */
export const ALPN_PROTOCOL = 'postgresql';

/** First byte of a TLS handshake record: a client that begins with TLS at once (PostgreSQL 17 and later). */
export const TLS_HANDSHAKE_RECORD = 0x16;

/**
 * The server's side of a TLS handshake on an accepted socket. `received` is what was already read of it.
 * A client that names protocols by ALPN must name ours; `direct` needs it to (against ALPACA).
 *
 * @throws HandshakeEnded (Closed also when TLS could not be agreed on), ProtocolError
 */
export function serveTls(
  socket: Socket,
  secureContext: SecureContext,
  received: Buffer,
  direct: boolean,
  signal: AbortSignal,
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    if (received.length > 0) socket.unshift(received);
    const secure = new TLSSocket(socket, {
      isServer: true,
      secureContext,
      ALPNProtocols: [ALPN_PROTOCOL],
    });
    secure.on('error', ignoreErrors);
    const fail = (reason: unknown) => {
      signal.removeEventListener('abort', onAbort);
      secure.off('secure', onSecure).off('close', onClose);
      secure.destroy();
      socket.destroy();
      reject(reason);
    };
    const onAbort = () => fail(signal.reason);
    const onClose = () => fail(new HandshakeEnded('Closed'));
    const onSecure = () => {
      if (direct && secure.alpnProtocol !== ALPN_PROTOCOL) {
        fail(new ProtocolError('InvalidValue', 'direct TLS without the ALPN protocol postgresql'));
        return;
      }
      signal.removeEventListener('abort', onAbort);
      secure.off('close', onClose);
      secure.disableRenegotiation();
      resolve(secure);
    };
    signal.addEventListener('abort', onAbort);
    secure.once('secure', onSecure).once('close', onClose);
    if (signal.aborted) onAbort();
  });
}
