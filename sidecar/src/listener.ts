import { chmodSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { peerKeepAlive } from './keep-alive.ts';
import {
  openSocketTo,
  prepareSocket,
  removeSocketDirectory,
  removeStale,
  type SocketAccess,
} from './unix-socket.ts';

/** Where callers of one target are listened for. Port 0: any free one. */
export type ListenAddress =
  | { readonly host: string; readonly port: number }
  | {
      readonly socketPath: string;
      /** The directory of the socket is made and removed with it; absent: it is there, and the socket ours alone. */
      readonly access?: SocketAccess;
    };

export interface Listener {
  /** The address it has, with the real port. */
  readonly address: ListenAddress;
  /** Takes no more connections; those that are open go on. */
  close(): Promise<void>;
}

/** Listens for one target. @throws an error that says why the address cannot be had */
export async function listen(
  address: ListenAddress,
  onConnection: (socket: Socket) => void,
): Promise<Listener> {
  const server: Server = createServer(
    { allowHalfOpen: false, pauseOnConnect: true, noDelay: true, ...peerKeepAlive },
    onConnection,
  );
  if ('socketPath' in address) return listenOnSocket(server, address);
  await listening(server, () => server.listen(address.port, address.host));
  const bound = server.address();
  return {
    address:
      bound === null || typeof bound === 'string'
        ? address
        : { host: address.host, port: bound.port },
    close: () => closed(server),
  };
}

/** Node.js removes the socket when it is listened on no more. */
async function listenOnSocket(
  server: Server,
  address: Extract<ListenAddress, { socketPath: string }>,
): Promise<Listener> {
  const { socketPath, access } = address;
  if (access === undefined) await removeStale(socketPath);
  else await prepareSocket(socketPath, access);
  await listening(server, () => server.listen(socketPath));
  const close = async (): Promise<void> => {
    const ended = closed(server);
    if (access !== undefined) removeSocketDirectory(socketPath);
    await ended;
  };
  try {
    if (access === undefined) chmodSync(socketPath, 0o600);
    else openSocketTo(socketPath, access);
  } catch (error) {
    await close();
    throw error;
  }
  return { address, close };
}

function listening(server: Server, start: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.once('listening', () => {
      server.off('error', reject);
      resolve();
    });
    start();
  });
}

const closed = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve());
  });
