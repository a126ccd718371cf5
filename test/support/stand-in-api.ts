import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FollowedFile } from '@chaperone/runtime/files/followed-file.ts';

export interface StandInRequest {
  readonly method: string;
  readonly path: string;
  readonly token: string;
  readonly lastEventId: string | undefined;
  readonly body: unknown;
  /** Equal for requests over the same connection. */
  readonly connection: unknown;
}

export interface StandInAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** One open stream of events. */
export interface StandInStream {
  readonly request: StandInRequest;
  send(event: string, data: unknown, id?: unknown): void;
  /** Whatever bytes. */
  write(text: string): void;
  end(): void;
  readonly closed: Promise<void>;
}

/** In the policy API's place, with a test behind it that says what is answered. */
export class StandInApi {
  readonly files: string;
  readonly requests: StandInRequest[] = [];
  /** What POST is answered with. */
  answer: (request: StandInRequest) => StandInAnswer = () => ({ status: 500, body: {} });
  /** Undefined: a stream is opened. */
  refuseStream: (request: StandInRequest) => StandInAnswer | undefined = () => undefined;
  readonly #server: http.Server;
  readonly #streams: StandInStream[] = [];
  readonly #waiting = new Set<() => void>();
  #taken = 0;

  private constructor() {
    this.files = mkdtempSync(join(tmpdir(), 'chaperone-stand-in-'));
    writeFileSync(join(this.files, 'ca.crt'), 'not looked at without TLS');
    writeFileSync(join(this.files, 'token'), 'service-account-token');
    this.#server = http.createServer((request, response) => this.#serve(request, response));
  }

  static async start(): Promise<StandInApi> {
    const api = new StandInApi();
    await new Promise<void>((done) => api.#server.listen(0, '127.0.0.1', done));
    return api;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get ca(): FollowedFile {
    return new FollowedFile(join(this.files, 'ca.crt'));
  }

  /** The next stream that is opened. */
  async stream(): Promise<StandInStream> {
    const index = this.#taken;
    this.#taken += 1;
    await this.#until(() => this.#streams.length > index);
    return this.#streams[index]!;
  }

  /** Resolves once that many requests came in all. */
  async received(count: number): Promise<StandInRequest> {
    await this.#until(() => this.requests.length >= count);
    return this.requests[count - 1]!;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
    rmSync(this.files, { recursive: true, force: true });
  }

  #until(holds: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!holds()) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }

  #serve(incoming: http.IncomingMessage, response: http.ServerResponse): void {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8');
      const request: StandInRequest = {
        method: incoming.method ?? '',
        path: incoming.url ?? '',
        token: (incoming.headers.authorization ?? '').replace('Bearer ', ''),
        lastEventId: incoming.headers['last-event-id'] as string | undefined,
        body: text === '' ? undefined : JSON.parse(text),
        connection: incoming.socket,
      };
      this.requests.push(request);
      const refusal = request.method === 'GET' ? this.refuseStream(request) : this.answer(request);
      if (refusal !== undefined) {
        response.writeHead(refusal.status, { 'content-type': 'application/json' });
        response.end(JSON.stringify(refusal.body));
      } else this.#open(request, response);
      for (const look of [...this.#waiting]) look();
    });
  }

  #open(request: StandInRequest, response: http.ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    const closed = new Promise<void>((done) => response.on('close', done));
    this.#streams.push({
      request,
      closed,
      send: (event, data, id) => {
        const named = id === undefined ? '' : `id: ${JSON.stringify(id)}\n`;
        response.write(`event: ${event}\n${named}data: ${JSON.stringify(data)}\n\n`);
      },
      write: (text) => void response.write(text),
      end: () => void response.end(),
    });
  }
}
