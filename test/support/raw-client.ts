import { connect, type Socket } from 'node:net';
import { systemClock } from '@chaperone/runtime/clock.ts';
import { connectBackend } from '@chaperone/sidecar/protocols/postgres/handshake/connect-backend.ts';
import { parseRowDescription } from '@chaperone/sidecar/protocols/postgres/messages/backend-reader.ts';
import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';

/** One message as the server sent it. */
export interface RawMessage {
  /** The type's letter. */
  readonly type: string;
  readonly body: Buffer;
}

/**
 * A client that speaks PostgreSQL's protocol message by message, so that a test sees exactly what came and
 * in which order.
 */
export class RawClient {
  readonly socket: Socket;
  /** Everything received since login, in order; emptied by `take`. */
  #messages: RawMessage[] = [];
  #pending: Buffer = Buffer.alloc(0);
  #wake: (() => void) | undefined;
  #ended = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#ended = true;
      this.#wake?.();
    });
  }

  /** Logs in to a real server, by SCRAM. */
  static async direct(options: {
    host: string;
    port: number;
    user: string;
    database: string;
    password: string;
  }): Promise<RawClient> {
    const backend = await connectBackend({
      address: { host: options.host, port: options.port },
      tls: { mode: 'Disable' },
      username: options.user,
      password: options.password,
      database: options.database,
      parameters: [
        ['client_encoding', 'UTF8'],
        ['standard_conforming_strings', 'on'],
      ],
      clock: systemClock(),
    });
    const client = new RawClient(backend.socket);
    backend.socket.resume();
    return client;
  }

  /** Logs in (trust or a cleartext password) and waits for ReadyForQuery; the login's messages are dropped. */
  static async login(options: {
    host: string;
    port: number;
    user: string;
    database: string;
    password?: string;
    parameters?: Readonly<Record<string, string>>;
  }): Promise<RawClient> {
    const socket = connect({ host: options.host, port: options.port, noDelay: true });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    const client = new RawClient(socket);
    socket.write(
      write.startupMessage(0, [
        ['user', options.user],
        ['database', options.database],
        ...Object.entries(options.parameters ?? {}),
      ]),
    );
    for (;;) {
      const message = await client.next();
      if (message.type === 'R' && message.body.readInt32BE(0) === 3) {
        socket.write(write.passwordMessage(options.password ?? ''));
      }
      if (message.type === 'E') throw new Error(errorFields(message.body).get('M'));
      if (message.type === 'Z') return client;
    }
  }

  /** Waits for one more message. @throws when the connection has ended */
  async next(): Promise<RawMessage> {
    for (;;) {
      const message = this.#messages.shift();
      if (message !== undefined) return message;
      if (this.#ended) throw new Error('the connection has ended');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Messages up to and including the first that `last` accepts; up to the end if the connection ends. */
  async until(last: (message: RawMessage) => boolean): Promise<RawMessage[]> {
    const messages: RawMessage[] = [];
    for (;;) {
      let message: RawMessage;
      try {
        message = await this.next();
      } catch {
        return messages;
      }
      messages.push(message);
      if (last(message)) return messages;
    }
  }

  /** Sends, and reads up to the `count`-th ReadyForQuery. */
  async exchange(bytes: Buffer, count = 1): Promise<RawMessage[]> {
    this.socket.write(bytes);
    let left = count;
    return this.until((message) => message.type === 'Z' && (left -= 1) === 0);
  }

  end(): void {
    this.socket.end(write.terminate);
  }

  #receive(chunk: Buffer): void {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    let at = 0;
    while (this.#pending.length - at >= 5) {
      const size = this.#pending.readInt32BE(at + 1) + 1;
      if (this.#pending.length - at < size) break;
      this.#messages.push({
        type: String.fromCharCode(this.#pending[at]!),
        body: Buffer.from(this.#pending.subarray(at + 5, at + size)),
      });
      at += size;
    }
    this.#pending = this.#pending.subarray(at);
    this.#wake?.();
  }
}

/** The fields of an ErrorResponse by their letter. */
export function errorFields(body: Buffer): Map<string, string> {
  const fields = new Map<string, string>();
  let at = 0;
  while (at < body.length && body[at] !== 0) {
    const end = body.indexOf(0, at + 1);
    fields.set(String.fromCharCode(body[at]!), body.toString('utf8', at + 1, end));
    at = end + 1;
  }
  return fields;
}

/** Where in the server's source an error was raised: errors that we answer ourselves have none. */
const sourceFields: ReadonlySet<string> = new Set(['F', 'L', 'R']);

/** A message in a form that compares and prints well; what differs between any two sessions left out. */
export function describeMessage({ type, body }: RawMessage): string {
  switch (type) {
    case 'E':
    case 'N':
      return `${type} ${[...errorFields(body)]
        .filter(([key]) => !sourceFields.has(key))
        .map(([key, value]) => `${key}=${value}`)
        .join(' ')}`;
    // OIDs of new tables are counted over the whole server.
    case 'T':
      return `T ${JSON.stringify(
        parseRowDescription(body, 0, body.length).map((column) => ({
          ...column,
          tableOid: column.tableOid > 0,
        })),
      )}`;
    case 'A':
      return `A ${body.subarray(4).toString('latin1')}`;
    case 'Z':
    case 'C':
      return `${type} ${body.toString('latin1').replaceAll('\0', '')}`;
    default:
      return `${type} ${body.toString('latin1')}`;
  }
}
