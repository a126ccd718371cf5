import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';

/** Where callers of one target are listened for. Port 0: any free one. */
export type ListenAddress =
  | { readonly host: string; readonly port: number }
  | { readonly socketPath: string };

export interface Listener {
  /** The address it has, with the real port. */
  readonly address: ListenAddress;
  /** Takes no more connections; those that are open go on. */
  close(): Promise<void>;
}

/** Listens for one target. @throws the system's error when the address cannot be had */
export async function listen(
  address: ListenAddress,
  onConnection: (socket: Socket) => void,
): Promise<Listener> {
  const server: Server = createServer(
    { allowHalfOpen: false, pauseOnConnect: true, noDelay: true },
    onConnection,
  );
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    const listening = (): void => {
      server.off('error', reject);
      resolve();
    };
    if ('socketPath' in address) {
      rmSync(address.socketPath, { force: true });
      server.listen(address.socketPath, listening);
    } else server.listen(address.port, address.host, listening);
  });
  if ('socketPath' in address) chmodSync(address.socketPath, 0o600);
  const bound = server.address();
  return {
    address:
      'socketPath' in address || bound === null || typeof bound === 'string'
        ? address
        : { host: address.host, port: bound.port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
      }),
  };
}
