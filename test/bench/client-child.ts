/**
 * A client in a process of its own: drains big results without looking at them, and makes small statements
 * where pgbench is not installed. One request at a time over the IPC channel.
 */
import { connect, type Socket } from 'node:net';
import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import type { ClientRequest, ClientResult } from './client.ts';
import type { Path } from './stage.ts';

const readyForQuery = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);
const errorResponse = 0x45;

/** A connection that only waits for ReadyForQuery at the end of what comes. */
class Connection {
  readonly #socket: Socket;
  readonly #tail = Buffer.alloc(readyForQuery.length);
  #bytes = 0;
  #failure: string | undefined;
  #onChunk: ((isEnd: boolean, chunk: Buffer) => void) | undefined;
  #reject: ((error: Error) => void) | undefined;

  private constructor(path: Path, connected: (socket: Socket) => void) {
    const onread = {
      buffer: Buffer.alloc(256 * 1024),
      callback: (count: number, buffer: Uint8Array): boolean => {
        this.#take(Buffer.from(buffer.buffer, buffer.byteOffset, count));
        return true;
      },
    };
    this.#socket = path.host.startsWith('/')
      ? connect({ path: `${path.host}/.s.PGSQL.${path.port}`, onread })
      : connect({ host: path.host, port: path.port, noDelay: true, onread });
    this.#socket.once('connect', () => connected(this.#socket));
    const fail = (error?: Error): void => {
      this.#reject?.(error ?? new Error(this.#failure ?? 'the connection has ended'));
    };
    this.#socket.on('error', fail).on('close', () => fail());
  }

  static async open(path: Path): Promise<Connection> {
    let connection!: Connection;
    await new Promise<void>((resolve, reject) => {
      connection = new Connection(path, (socket) => {
        const parameters: [string, string][] = [
          ['user', path.user],
          ['database', path.database],
        ];
        socket.write(write.startupMessage(0, parameters));
      });
      connection.#reject = reject;
      connection.#onChunk = (isEnd, chunk) => {
        const asksForPassword =
          chunk[0] === 0x52 && chunk.length === 9 && chunk.readInt32BE(5) === 3;
        if (asksForPassword) connection.#socket.write(write.passwordMessage(path.password));
        if (isEnd) resolve();
      };
    });
    return connection;
  }

  /** Sends, and resolves with the number of bytes up to ReadyForQuery. */
  exchange(request: Buffer): Promise<number> {
    const before = this.#bytes;
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      this.#onChunk = (isEnd) => {
        if (!isEnd) return;
        if (this.#failure === undefined) resolve(this.#bytes - before);
        else reject(new Error(this.#failure));
      };
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#reject = undefined;
    this.#socket.end(write.terminate);
  }

  #take(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (chunk[0] === errorResponse) this.#failure = chunk.toString('utf8', 5, 300);
    const keep = this.#tail.length;
    if (chunk.length >= keep) chunk.copy(this.#tail, 0, chunk.length - keep);
    else {
      this.#tail.copyWithin(0, chunk.length);
      chunk.copy(this.#tail, keep - chunk.length);
    }
    this.#onChunk?.(this.#tail.equals(readyForQuery), chunk);
  }
}

async function drain(path: Path, sql: string): Promise<ClientResult> {
  const connection = await Connection.open(path);
  const begin = performance.now();
  const bytes = await connection.exchange(write.query(sql));
  const seconds = (performance.now() - begin) / 1000;
  connection.close();
  return { seconds, bytes, times: [] };
}

async function statements(
  path: Path,
  request: Extract<ClientRequest, { kind: 'statements' }>,
): Promise<ClientResult> {
  const { sql, maxId } = request;
  const until = performance.now() + request.seconds * 1000;
  const times: number[] = [];
  const pickId = (): string => String(1 + Math.floor(Math.random() * maxId));
  const one = async (): Promise<void> => {
    let connection = await Connection.open(path);
    const begin = write.parse('s', sql.replaceAll(':id', '$1'), []);
    if (request.protocol === 'prepared') {
      await connection.exchange(Buffer.concat([begin, write.sync]));
    }
    while (performance.now() < until) {
      const started = performance.now();
      if (request.reconnect) {
        connection.close();
        connection = await Connection.open(path);
      }
      if (request.protocol === 'simple') {
        await connection.exchange(write.query(sql.replaceAll(':id', pickId())));
      } else {
        const bind = {
          portal: '',
          statement: 's',
          parameterFormats: [],
          parameters: [Buffer.from(pickId())],
          resultFormats: [],
        };
        await connection.exchange(
          Buffer.concat([
            write.bind(bind),
            write.describe('Portal', ''),
            write.execute('', 0),
            write.sync,
          ]),
        );
      }
      times.push((performance.now() - started) * 1000);
    }
    connection.close();
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: request.clients }, one));
  return { seconds: (performance.now() - began) / 1000, bytes: 0, times };
}

const held: Connection[] = [];

async function hold(path: Path, count: number, sql: string): Promise<ClientResult> {
  const times: number[] = [];
  const began = performance.now();
  for (let opened = 0; opened < count; opened += 1) {
    const started = performance.now();
    const connection = await Connection.open(path);
    held.push(connection);
    await connection.exchange(write.query(sql));
    times.push((performance.now() - started) * 1000);
  }
  return { seconds: (performance.now() - began) / 1000, bytes: 0, times };
}

function release(): ClientResult {
  for (const connection of held.splice(0)) connection.close();
  return { seconds: 0, bytes: 0, times: [] };
}

function answer(path: Path, request: ClientRequest): Promise<ClientResult> | ClientResult {
  switch (request.kind) {
    case 'drain':
      return drain(path, request.sql);
    case 'statements':
      return statements(path, request);
    case 'hold':
      return hold(path, request.count, request.sql);
    case 'release':
      return release();
  }
}

process.on('message', async ({ path, request }: { path: Path; request: ClientRequest }) => {
  try {
    process.send!({ result: await answer(path, request) });
  } catch (error) {
    process.send!({ error: error instanceof Error ? error.message : String(error) });
  }
});
