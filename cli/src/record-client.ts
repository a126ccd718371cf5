import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { EventView, SessionView } from '@chaperone/collector/query/render.ts';
import { terminalSafe } from '@chaperone/collector/replay/terminal-safe.ts';
import { readTokenFile } from '@chaperone/collector/tokens.ts';
import { type Clock, systemClock } from '@chaperone/runtime/clock.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { HttpClient, type HttpResponse } from '@chaperone/runtime/http/client.ts';

/** Where a collector is, and how it knows the reader. */
export interface RecordAccess {
  /** `http://…`, `https://…` or `unix:/path/of/socket`. */
  readonly url: string;
  readonly token: string;
  /** PEM: the only certificates to trust. */
  readonly ca?: string;
}

/** Where the command line says that the record is. */
export interface RecordLocation {
  readonly url?: string;
  readonly tokenFile?: string;
  readonly ca?: string;
  /** A directory that `chaperone standalone` runs over. */
  readonly directory: string;
}

/** Parameters of a question, as the query API names them. */
export type Question = Readonly<Record<string, string | undefined>>;

interface Answer<Item> {
  readonly items: readonly Item[];
  readonly next?: string;
}

const maxAnswerBytes = 64 << 20;
const pageSize = 500;

/** Finds the collector: as given, or by the files of a running standalone. Throws ChaperoneError. */
export function locateRecord(location: RecordLocation): RecordAccess {
  const ca = location.ca === undefined ? undefined : readFileSync(location.ca, 'utf8');
  const trusted = ca === undefined ? {} : { ca };
  if (location.url !== undefined) {
    if (location.tokenFile === undefined) {
      throw new ChaperoneError('CHP-1003', 'with --url, --token-file is needed, too');
    }
    return { url: location.url, token: readTokenFile(location.tokenFile), ...trusted };
  }
  const run = join(location.directory, '.chaperone', 'run');
  const path = join(run, 'collector.json');
  let found: { readonly url?: unknown; readonly tokenFile?: unknown };
  try {
    found = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    // A running standalone has it there, and takes it away when it stops.
    const stopped = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    if (stopped) throw notRunning(location.directory, cause);
    throw new ChaperoneError('CHP-1004', `${path} cannot be read`, { cause });
  }
  if (typeof found.url !== 'string' || typeof found.tokenFile !== 'string') {
    throw new ChaperoneError('CHP-1002', `${path} does not hold {url, tokenFile}`);
  }
  const tokenFile = location.tokenFile ?? resolve(run, found.tokenFile);
  return { url: found.url, token: readTokenFile(tokenFile), ...trusted };
}

/** For a directory over which no standalone runs. */
export function notRunning(directory: string, cause: unknown): ChaperoneError {
  return new ChaperoneError('CHP-1004', `chaperone standalone is not running over ${directory}`, {
    cause,
    hint: `Start \`chaperone standalone ${directory}\`, name its directory with --directory, or give --url and --token-file.`,
  });
}

/** Asks a collector's query API. Every method throws ChaperoneError with what the collector said. */
export class RecordClient {
  readonly #http: HttpClient;
  readonly #token: string;
  readonly #hasOwnCa: boolean;

  constructor({ url, token, ca }: RecordAccess, clock: Clock = systemClock()) {
    this.#token = token;
    this.#hasOwnCa = ca !== undefined;
    this.#http = new HttpClient({
      baseUrl: url,
      clock,
      timeoutMs: 60_000,
      maxResponseBytes: maxAnswerBytes,
      ...(ca !== undefined && { ca }),
    });
  }

  /** Lets the program end: connections are kept open between questions. */
  close(): void {
    this.#http.close();
  }

  session(id: string): Promise<SessionView> {
    return this.#json(`/v1/sessions/${encodeURIComponent(id)}`);
  }

  /** At most `limit` of the sessions that match, in the order asked for. */
  sessions(question: Question, limit: number): AsyncGenerator<SessionView> {
    return this.#pages('/v1/sessions', 'sessions', question, limit);
  }

  /** At most `limit` of the events that match, in the order asked for. */
  events(question: Question, limit: number): AsyncGenerator<EventView> {
    return this.#pages('/v1/events', 'events', question, limit);
  }

  /** All events of one session by their numbers. */
  sessionEvents(id: string): AsyncGenerator<EventView> {
    const path = `/v1/sessions/${encodeURIComponent(id)}/events`;
    return this.#pages(path, 'events', {}, Number.POSITIVE_INFINITY);
  }

  /** A chunk of a recorded result; undefined when it is not kept, or not for this reader. */
  async recording(sha256: string): Promise<Uint8Array | undefined> {
    const { status, body } = await this.#get(`/v1/recordings/${sha256}`);
    if (status === 404 || status === 410) return undefined;
    return checked(status, body);
  }

  /** A recorded result that is a part of an event; undefined when it is not kept, or not for this reader. */
  async result(session: string, seq: number): Promise<Uint8Array | undefined> {
    const path = `/v1/sessions/${encodeURIComponent(session)}/events/${seq}/result`;
    const { status, body } = await this.#get(path);
    if (status === 404 || status === 410) return undefined;
    const { content } = JSON.parse(checked(status, body).toString()) as {
      readonly content: string;
    };
    return Buffer.from(content, 'base64');
  }

  /** The exact text of a policy snapshot; undefined when there is none of that digest. */
  async snapshot(digest: string): Promise<string | undefined> {
    const { status, body } = await this.#get(`/v1/snapshots/${digest}`);
    return status === 404 ? undefined : checked(status, body).toString();
  }

  async *#pages<Item>(
    path: string,
    name: string,
    question: Question,
    limit: number,
  ): AsyncGenerator<Item> {
    let left = limit;
    let cursor: string | undefined;
    while (left > 0) {
      const query = new URLSearchParams();
      for (const [key, value] of Object.entries(question)) {
        if (value !== undefined) query.set(key, value);
      }
      query.set('limit', String(Math.min(left, pageSize)));
      if (cursor !== undefined) query.set('cursor', cursor);
      const page = await this.#json<Record<string, Item[]> & { readonly next?: string }>(
        `${path}?${query}`,
      );
      const { items, next }: Answer<Item> = {
        items: page[name] ?? [],
        ...(page.next && { next: page.next }),
      };
      yield* items;
      left -= items.length;
      if (next === undefined) return;
      cursor = next;
    }
  }

  async #json<Result>(path: string): Promise<Result> {
    const { status, body } = await this.#get(path);
    return JSON.parse(checked(status, body).toString()) as Result;
  }

  async #get(path: string): Promise<HttpResponse> {
    const headers = { authorization: `Bearer ${this.#token}`, accept: 'application/json' };
    try {
      return await this.#http.request({ method: 'GET', path, headers });
    } catch (error) {
      const hint = certificateHint(error, this.#hasOwnCa);
      if (hint === undefined || !(error instanceof ChaperoneError)) throw error;
      throw new ChaperoneError(error.code, error.message, { hint, cause: error });
    }
  }
}

/** What TLS says of a certificate whose issuer it does not trust. */
const untrusted: readonly unknown[] = [
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_SIGNATURE_FAILURE',
];

/** What to do about a certificate that was not accepted: it is no matter of the server's log. */
function certificateHint(error: unknown, hasOwnCa: boolean): string | undefined {
  const cause = error instanceof Error ? (error.cause as NodeJS.ErrnoException) : undefined;
  if (cause?.code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return "Give --url with a name that the collector's certificate has.";
  }
  if (!untrusted.includes(cause?.code)) return undefined;
  const how =
    'in a cluster it is `ca.crt` of ConfigMap chaperone-ca in the namespace that Chaperone is installed in';
  return hasOwnCa
    ? `The file of --ca does not hold the CA of the collector's certificate: ${how}.`
    : `Give --ca, a PEM file with the CA of the collector's certificate: ${how}.`;
}

/** The body of a success; throws what the collector says otherwise. */
function checked(status: number, body: Buffer): Buffer {
  if (status >= 200 && status < 300) return body;
  let detail = `status ${status}`;
  let remedy: string | undefined;
  try {
    const problem = JSON.parse(body.toString()) as Record<string, unknown>;
    if (typeof problem.detail === 'string') detail = terminalSafe(problem.detail);
    if (typeof problem.remedy === 'string') remedy = terminalSafe(problem.remedy);
  } catch {
    // Not a problem of ours: the status says what there is to say.
  }
  const code =
    status === 401 || status === 403 ? 'CHP-6008' : status < 500 ? 'CHP-6007' : 'CHP-6009';
  throw new ChaperoneError(code, detail, remedy === undefined ? {} : { hint: remedy });
}
