import type { IncomingMessage } from 'node:http';
import { ControlRefusal } from '@chaperone/core/control/types.ts';
import type { ControlProblem } from '@chaperone/core/control/wire.ts';
import type { Clock } from '@chaperone/runtime/clock.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import type { FollowedFile } from '@chaperone/runtime/files/followed-file.ts';
import { HttpClient } from '@chaperone/runtime/http/client.ts';

export interface PolicyApiOptions {
  /** `https://host:port`. */
  readonly url: string;
  /** PEM of the authorities that its certificate may come from. */
  readonly ca: FollowedFile;
  readonly clock: Clock;
}

/** The token was not taken: a new one has to be attested for. */
export class TokenRejected extends Error {}

/** A replica that takes longer is given up: another one may answer. */
const timeoutMs = 5000;
/** No bundle of one identity comes near; a longer answer is not the policy API's. */
const maxResponseBytes = 1024 * 1024;

/** The policy API over HTTPS. An error is a ControlRefusal where it says no, and else CHP-2020 or CHP-2021. */
export class PolicyApi {
  readonly #options: PolicyApiOptions;
  #client: HttpClient | undefined;
  #ca = '';

  constructor(options: PolicyApiOptions) {
    this.#options = options;
  }

  /**
   * Sends `body` and resolves with the answer's JSON. Asks a second time, over another connection, when the
   * first one fails or its replica cannot answer: another replica may. Every call can be repeated without
   * harm.
   *
   * @throws TokenRejected, ControlRefusal, ChaperoneError CHP-2020, CHP-2021, CHP-1004
   */
  async post(path: string, body: unknown, token: string): Promise<unknown> {
    const request = {
      method: 'POST',
      path,
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        accept: 'application/json',
      },
      body: JSON.stringify(body),
    } as const;
    const client = this.#current();
    let response = await client.request(request).catch(() => undefined);
    if (response === undefined || response.status >= 500) {
      // What is under way over the client's other connections goes on.
      if (this.#client === client) this.#client = undefined;
      response = await this.#current().request(request).catch(notReachable);
    }
    const text = response.body.toString('utf8');
    if (response.status < 200 || response.status > 299) {
      throw refusalOf(response.status, text, path);
    }
    return parseJson(text, path);
  }

  /**
   * Opens a stream of server-sent events. `lastEventId`: what the client holds.
   *
   * @throws as `post`
   */
  async open(
    path: string,
    token: string,
    lastEventId: string | undefined,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const incoming = await this.#current()
      .open({
        method: 'GET',
        path,
        headers: {
          authorization: `Bearer ${token}`,
          accept: 'text/event-stream',
          ...(lastEventId !== undefined && { 'last-event-id': lastEventId }),
        },
        signal,
      })
      .catch(notReachable);
    const status = incoming.statusCode ?? 0;
    if (status === 200) return incoming;
    throw refusalOf(status, await readShort(incoming), path);
  }

  close(): void {
    this.#client?.close();
  }

  /** A client that trusts what the file holds now. */
  #current(): HttpClient {
    const { url: baseUrl, ca: file, clock } = this.#options;
    const ca = file.text();
    if (this.#client === undefined || ca !== this.#ca) {
      this.#client?.close();
      this.#ca = ca;
      this.#client = new HttpClient({ baseUrl, ca, clock, timeoutMs, maxResponseBytes });
    }
    return this.#client;
  }
}

function notReachable(cause: unknown): never {
  const reason = cause instanceof Error ? cause.message : String(cause);
  throw new ChaperoneError('CHP-2020', `the policy API cannot be reached: ${reason}`, { cause });
}

/** Says no for good, to be told to whoever asked: about who it is (2xxx), or that versions do not match. */
const isRefusal = (code: string): boolean => code.startsWith('CHP-2') || code === 'CHP-7004';

function refusalOf(status: number, text: string, path: string): Error {
  const problem = readProblem(text);
  if (status === 401 && (problem === undefined || problem.code === 'CHP-2007')) {
    return new TokenRejected(`${path}: the token was not taken`);
  }
  if (problem !== undefined && status < 500 && isRefusal(problem.code)) {
    return new ControlRefusal(problem.code, problem.message, problem.hint);
  }
  const said = problem === undefined ? '' : `: ${problem.message} (${problem.code})`;
  return new ChaperoneError('CHP-2020', `the policy API answered ${path} with ${status}${said}`);
}

/** Undefined when it is none. What it says is shown to callers, so it must be short and plain text. */
export function readProblem(text: string): ControlProblem | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return toProblem(value);
}

export function toProblem(value: unknown): ControlProblem | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { code, message, hint } = value as Record<string, unknown>;
  if (typeof code !== 'string' || !/^CHP-\d{4}$/.test(code) || typeof message !== 'string') {
    return undefined;
  }
  return { code, message: plain(message), hint: typeof hint === 'string' ? plain(hint) : '' };
}

const plain = (text: string): string => text.replace(/[\p{Cc}\p{Cf}]/gu, ' ').slice(0, 1000);

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ChaperoneError('CHP-2021', `the answer to ${path} is not JSON`, { cause });
  }
}

/** The body of an error; what is too long or does not come whole is of no interest. */
async function readShort(incoming: IncomingMessage): Promise<string> {
  let text = '';
  try {
    for await (const chunk of incoming.setEncoding('utf8')) {
      text += chunk as string;
      if (text.length > 16_384) break;
    }
  } catch {
    return '';
  }
  return text;
}
