import type { Server, Socket } from 'node:net';

/**
 * Holds a server's connections to `max`. Beyond it the address that has the most loses one: whoever opens many
 * takes none from those who open few, such as the API server or a node's probes. Not beside `maxConnections`,
 * which turns away whoever comes last.
 */
export function limitConnections(server: Server, max: number): void {
  const byAddress = new Map<string, Set<Socket>>();
  let count = 0;
  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress ?? '';
    const own = byAddress.get(address) ?? new Set();
    byAddress.set(address, own.add(socket));
    count += 1;
    const forget = (gone: Socket, of: Set<Socket>): void => {
      if (!of.delete(gone)) return;
      count -= 1;
      if (of === own && own.size === 0) byAddress.delete(address);
    };
    socket.once('close', () => forget(socket, own));
    if (count <= max) return;
    let most = own;
    for (const sockets of byAddress.values()) if (sockets.size > most.size) most = sockets;
    // Of its own, the one that comes last; else the oldest of who has the most, and so at least two.
    const [loser] = most === own ? [socket] : most;
    forget(loser!, most);
    loser!.destroy();
  });
}
