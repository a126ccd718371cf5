import type { Socket } from 'node:net';
import { frameLength, HEADER_BYTES, startupLength } from '../messages/frame.ts';
import { HandshakeEnded } from './deadline.ts';

/** Errors of a socket always end in `close`, which is what is listened to; unheard they would end us. */
export function ignoreErrors(): void {}

/** One message with a type byte. `buffer` is a copy that is the receiver's own. */
export interface TypedMessage {
  readonly type: number;
  readonly buffer: Buffer;
  /** Offset of the body, and the end of the message: what the parsers take. */
  readonly start: number;
  readonly end: number;
}

/**
 * Reads whole messages from a socket while nothing else does. It holds what was asked for and one read of
 * the socket beyond; the socket is paused whenever nothing is asked for. After `release` the socket is
 * paused, nothing of ours listens to it but `ignoreErrors`, and what was read too much is handed back.
 */
export class HandshakeReader {
  readonly #socket: Socket;
  readonly #signal: AbortSignal;
  #chunks: Buffer[] = [];
  #buffered = 0;
  #wanted = 0;
  #settle: { resolve(): void; reject(reason: unknown): void } | undefined;
  #failure: unknown;

  /** `leftover`: bytes that came before. */
  constructor(socket: Socket, signal: AbortSignal, leftover?: Buffer) {
    this.#socket = socket;
    this.#signal = signal;
    if (leftover !== undefined && leftover.length > 0) this.#push(leftover);
    socket.pause();
    socket.off('error', ignoreErrors).on('error', ignoreErrors);
    socket.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onEnd);
    signal.addEventListener('abort', this.#onAbort);
    if (signal.aborted) this.#onAbort();
    else if (socket.destroyed || socket.readableEnded) this.#onEnd();
  }

  /** Bytes that are here and not taken. */
  get buffered(): number {
    return this.#buffered;
  }

  #push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
  }

  #onData = (chunk: Buffer): void => {
    this.#push(chunk);
    if (this.#buffered < this.#wanted) return;
    this.#socket.pause();
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.resolve();
  };

  #onEnd = (): void => this.#fail(new HandshakeEnded('Closed'));
  #onAbort = (): void => this.#fail(this.#signal.reason);

  #fail(reason: unknown): void {
    this.#failure ??= reason;
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.reject(this.#failure);
  }

  #fill(bytes: number): Promise<void> {
    if (this.#buffered >= bytes) return Promise.resolve();
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#wanted = bytes;
      this.#settle = { resolve, reject };
      this.#socket.resume();
    });
  }

  /** All that is here as one buffer. Chunks are joined once per question, not once per read. */
  #peek(): Buffer {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks, this.#buffered)];
    return this.#chunks[0] ?? Buffer.alloc(0);
  }

  #take(bytes: number): Buffer {
    const all = this.#peek();
    this.#buffered -= bytes;
    this.#chunks = this.#buffered > 0 ? [all.subarray(bytes)] : [];
    // A copy: the read buffer behind a small message would otherwise live as long as the message.
    return Buffer.from(all.subarray(0, bytes));
  }

  /** The next byte, which stays. Rejects with HandshakeEnded. */
  async peekByte(): Promise<number> {
    await this.#fill(1);
    return this.#peek()[0]!;
  }

  /** The next byte. Rejects with HandshakeEnded. */
  async byte(): Promise<number> {
    await this.#fill(1);
    return this.#take(1)[0]!;
  }

  /** The next message without a type byte, length field included. Rejects with HandshakeEnded, ProtocolError. */
  async startup(): Promise<Buffer> {
    await this.#fill(4);
    const length = startupLength(this.#peek(), 0);
    await this.#fill(length);
    return this.#take(length);
  }

  /** The next message with a type byte. Rejects with HandshakeEnded, ProtocolError. */
  async message(maxBytes: number): Promise<TypedMessage> {
    await this.#fill(HEADER_BYTES);
    const length = frameLength(this.#peek(), 0, maxBytes);
    await this.#fill(length);
    const buffer = this.#take(length);
    return { type: buffer[0]!, buffer, start: HEADER_BYTES, end: buffer.length };
  }

  /** Lets the socket go, paused, and gives back what was read and not taken. */
  release(): Buffer {
    const socket = this.#socket;
    socket.pause();
    socket.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onEnd);
    this.#signal.removeEventListener('abort', this.#onAbort);
    for (let rest = socket.read(); rest !== null; rest = socket.read()) this.#push(rest);
    const leftover = this.#peek();
    this.#chunks = [];
    this.#buffered = 0;
    return leftover;
  }
}
