import http from 'node:http';
import https from 'node:https';
import type { Clock } from '../clock.ts';
import { ChaperoneError } from '../errors/chaperone-error.ts';

export interface HttpClientOptions {
  /** `https://host[:port]`, `http://host[:port]`, or `unix:/path/of/socket`. A path is put before every request's. */
  readonly baseUrl: string;
  /** PEM of the only CAs to trust; absent: the system's. */
  readonly ca?: string;
  readonly clock: Clock;
  /** From the request to the last byte of its answer. Default 10 s. */
  readonly timeoutMs?: number;
  /** Longest body of an answer. Default 1 MiB. */
  readonly maxResponseBytes?: number;
}

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Begins with `/`. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly signal?: AbortSignal;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Connections that one client keeps open to its server. */
const maxSockets = 16;

/**
 * A client of one server: verified TLS, a time limit and a size limit on every answer; never follows a
 * redirect, never goes through a proxy that the environment names.
 */
export class HttpClient {
  readonly #options: HttpClientOptions;
  readonly #prefix: string;
  readonly #target: http.RequestOptions;
  readonly #agent: http.Agent;
  readonly #send: typeof http.request;
  readonly #isSecure: boolean;

  /** Throws ChaperoneError CHP-1002 for a URL of another kind. */
  constructor(options: HttpClientOptions) {
    this.#options = options;
    const { baseUrl } = options;
    if (baseUrl.startsWith('unix:/')) {
      this.#prefix = '';
      this.#target = { socketPath: baseUrl.slice('unix:'.length), host: 'localhost' };
      this.#send = http.request;
      this.#isSecure = false;
      this.#agent = new http.Agent({ keepAlive: true, maxSockets });
      return;
    }
    const url = URL.parse(baseUrl);
    if (url === null || !['https:', 'http:'].includes(url.protocol) || url.username !== '') {
      // Not repeated: it may hold a password.
      throw new ChaperoneError(
        'CHP-1002',
        'the URL is not of the form https://host, http://host or unix:/path',
      );
    }
    this.#prefix = url.pathname.replace(/\/$/, '');
    this.#target = { hostname: url.hostname.replace(/^\[|\]$/g, ''), port: url.port };
    this.#isSecure = url.protocol === 'https:';
    this.#send = this.#isSecure ? https.request : http.request;
    this.#agent = this.#makeAgent(true);
  }

  #makeAgent(keepAlive: boolean): http.Agent {
    if (!this.#isSecure) return new http.Agent({ keepAlive, maxSockets });
    const { ca } = this.#options;
    return new https.Agent({ keepAlive, maxSockets, minVersion: 'TLSv1.2', ...(ca && { ca }) });
  }

  /** Resolves with any status. Throws ChaperoneError CHP-6009 when there is no whole answer. */
  request(request: HttpRequest): Promise<HttpResponse> {
    const { clock, timeoutMs = 10_000, maxResponseBytes = 1024 * 1024 } = this.#options;
    const { method, path, headers = {}, body, signal } = request;
    return new Promise((resolve, reject) => {
      const outgoing = this.#send({
        ...this.#target,
        agent: this.#agent,
        method,
        path: `${this.#prefix}${path}`,
        headers: {
          ...headers,
          ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
        },
        ...(signal === undefined ? {} : { signal }),
      });
      const fail = (reason: string, cause?: unknown): void => {
        timer.cancel();
        const message = `${method} ${this.#options.baseUrl}${path}: ${reason}`;
        reject(new ChaperoneError('CHP-6009', message, { cause }));
        outgoing.destroy();
      };
      const timer = clock.setTimer(timeoutMs, () => fail(`no answer within ${timeoutMs} ms`));
      outgoing.on('error', (error) => fail(error.message || error.name, error));
      outgoing.on('response', (incoming) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        incoming.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > maxResponseBytes) fail(`the answer is longer than ${maxResponseBytes} bytes`);
          else chunks.push(chunk);
        });
        incoming.on('error', (error) => fail(error.message, error));
        incoming.on('end', () => {
          timer.cancel();
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            body: Buffer.concat(chunks),
          });
        });
      });
      outgoing.end(body);
    });
  }

  /**
   * Asks for an answer that goes on, over a connection of its own. Resolves with its beginning, whatever the
   * status; its body is the caller's to read or to destroy, and to put bounds on. `signal` ends it at any
   * time. Throws ChaperoneError CHP-6009 when there is no beginning within the time limit.
   */
  open(request: Omit<HttpRequest, 'body'>): Promise<http.IncomingMessage> {
    const { clock, timeoutMs = 10_000 } = this.#options;
    const { method, path, headers = {}, signal } = request;
    return new Promise((resolve, reject) => {
      const outgoing = this.#send({
        ...this.#target,
        agent: this.#makeAgent(false),
        method,
        path: `${this.#prefix}${path}`,
        headers,
        ...(signal === undefined ? {} : { signal }),
      });
      const fail = (reason: string, cause?: unknown): void => {
        timer.cancel();
        const message = `${method} ${this.#options.baseUrl}${path}: ${reason}`;
        reject(new ChaperoneError('CHP-6009', message, { cause }));
        outgoing.destroy();
      };
      const timer = clock.setTimer(timeoutMs, () => fail(`no answer within ${timeoutMs} ms`));
      outgoing.on('error', (error) => fail(error.message || error.name, error));
      outgoing.on('response', (incoming) => {
        timer.cancel();
        resolve(incoming);
      });
      outgoing.end();
    });
  }

  /**
   * Sends and receives JSON. Throws ChaperoneError CHP-6009 for any status but 2xx, whose `detail` or
   * `message` it then carries.
   */
  async json(request: Omit<HttpRequest, 'body'> & { readonly body?: unknown }): Promise<unknown> {
    const { body, ...rest } = request;
    const response = await this.request({
      ...rest,
      headers: {
        accept: 'application/json',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...request.headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = response.body.toString('utf8');
    if (response.status < 200 || response.status > 299) {
      throw new ChaperoneError(
        'CHP-6009',
        `${rest.method} ${this.#options.baseUrl}${rest.path}: ${response.status}${problemText(text)}`,
      );
    }
    if (text === '') return undefined;
    try {
      return JSON.parse(text);
    } catch (cause) {
      const message = `${rest.method} ${this.#options.baseUrl}${rest.path}: the answer is not JSON`;
      throw new ChaperoneError('CHP-6009', message, { cause });
    }
  }

  /** Closes idle connections; those in use close when they are done. */
  close(): void {
    this.#agent.destroy();
  }
}

/** `: ` and what an error's body says, as far as it is safe to repeat. */
export function problemText(body: string): string {
  let text: unknown;
  try {
    const parsed = JSON.parse(body) as { readonly detail?: unknown; readonly message?: unknown };
    text = parsed.detail ?? parsed.message;
  } catch {
    return '';
  }
  if (typeof text !== 'string') return '';
  return `: ${text.replace(/[\p{Cc}\p{Cf}]/gu, ' ').slice(0, 300)}`;
}
