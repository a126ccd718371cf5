import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { idIn } from './tally.ts';

/** Where a statement is stopped on its way, and how. */
export type Stop =
  /** Before the first message of that type that goes to the server, its own statement's or behind it. */
  | { readonly before: 'P' | 'B' | 'E' | 'S' | 'Q'; readonly act: 'hold' | 'reset' }
  /** After so many bytes to the server, counted from the write that holds the statement. */
  | { readonly sent: number; readonly act: 'hold' | 'reset' }
  /** After so many bytes of the answer; less than zero: so many before its end. */
  | { readonly answered: number; readonly act: 'hold' | 'reset' };

/** Stands between the proxy and the server, and stops the statements that it is told to stop. */
export class Stage {
  readonly stops = new Map<string, Stop>();
  /** Instead of all connections: ended after so many bytes from the server. */
  loginBytes = Number.POSITIVE_INFINITY;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #waiting = new Map<string, () => void>();
  readonly #reached = new Set<string>();

  constructor(serverPort: number) {
    this.#server = createServer((proxy) => {
      const server = connect({ host: '127.0.0.1', port: serverPort, noDelay: true });
      proxy.setNoDelay();
      for (const socket of [proxy, server]) {
        this.#sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => {
          this.#sockets.delete(socket);
          proxy.destroy();
          server.destroy();
        });
      }
      this.#relay(proxy, server);
    });
  }

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as { port: number }).port;
  }

  /** Resolves when that statement has got to where it is stopped. */
  async reached(id: string): Promise<void> {
    if (this.#reached.has(id)) return;
    await new Promise<void>((resolve) => this.#waiting.set(id, resolve));
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #relay(proxy: Socket, server: Socket): void {
    let stop: Stop | undefined;
    let id = '';
    let over = false;
    let answer = Buffer.alloc(0);
    let fromServer = 0;
    const { loginBytes } = this;

    const act = (): void => {
      over = true;
      if (stop?.act !== 'hold') proxy.resetAndDestroy();
      this.#reached.add(id);
      this.#waiting.get(id)?.();
    };
    proxy.on('data', (chunk: Buffer) => {
      if (over) return;
      const named = idIn(chunk.toString('latin1'));
      if (named !== undefined && stop === undefined) {
        stop = this.stops.get(named);
        id = named;
      }
      if (stop === undefined || 'answered' in stop) {
        server.write(chunk);
        return;
      }
      const end = 'sent' in stop ? stop.sent : offsetOf(chunk, stop.before);
      if (end === undefined || end > chunk.length) {
        server.write(chunk);
        return;
      }
      if (end > 0) server.write(chunk.subarray(0, end));
      act();
    });
    server.on('data', (chunk: Buffer) => {
      if (over) return;
      fromServer += chunk.length;
      if (fromServer > loginBytes) {
        proxy.write(chunk.subarray(0, chunk.length - (fromServer - loginBytes)), () => act());
        over = true;
        return;
      }
      if (stop === undefined || !('answered' in stop)) {
        proxy.write(chunk);
        return;
      }
      // The whole answer first, so that what the server did is done.
      answer = Buffer.concat([answer, chunk]);
      if (!isWhole(answer)) return;
      const { answered } = stop;
      const end = answered < 0 ? answer.length + answered : Math.min(answered, answer.length);
      over = true;
      if (end <= 0) act();
      else proxy.write(answer.subarray(0, end), () => act());
    });
  }
}

/** Offset of the first message of a type, the first behind the one before; messages come whole. */
function offsetOf(chunk: Buffer, type: string): number | undefined {
  for (let at = 0; at + 5 <= chunk.length; at += 1 + chunk.readInt32BE(at + 1)) {
    if (String.fromCharCode(chunk[at]!) === type) return at;
  }
  return undefined;
}

/** Ends in ReadyForQuery. */
const isWhole = (bytes: Buffer): boolean =>
  bytes.length >= 6 && bytes.subarray(-6, -1).equals(Buffer.from([0x5a, 0, 0, 0, 5]));
