import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import type { Clock } from '../clock.ts';
import { ChaperoneError } from '../errors/chaperone-error.ts';
import { HttpClient, type HttpRequest, type HttpResponse, problemText } from '../http/client.ts';
import { framesMediaType } from './frame.ts';
import { ShipRefused, type ShipTransport } from './transport.ts';

const zstd = promisify(zstdCompress);

/**
 * A compressor takes a mebibyte and a half for as long as it works, whatever it is given; most bodies of sessions that
 * come and go are a few events.
 */
const leastCompressedBytes = 8 * 1024;

/** The body, and the headers that say what it is. */
async function encoded(
  type: string,
  content: Uint8Array,
): Promise<Required<Pick<HttpRequest, 'headers' | 'body'>>> {
  if (content.length < leastCompressedBytes) {
    return { headers: { 'content-type': type }, body: content };
  }
  // At its fastest level zstd takes an eighth of gzip's time here, for a smaller body.
  const body = await zstd(content, { params: { [constants.ZSTD_c_compressionLevel]: 1 } });
  return { headers: { 'content-type': type, 'content-encoding': 'zstd' }, body };
}

export interface HttpTransportOptions {
  /** The collector: see HttpClientOptions.baseUrl. */
  readonly baseUrl: string;
  readonly ca?: string;
  /** The ingest token, asked for at every request. */
  readonly token: () => string | Promise<string>;
  readonly clock: Clock;
  /** Default 30 s. */
  readonly timeoutMs?: number;
}

/**
 * Statuses that say of the content itself that it will not be taken, now or later. Not 415: a collector of an
 * earlier version knows neither the encoding nor the media type, and the next one may.
 */
const refusals: ReadonlySet<number> = new Set([400, 409, 413, 422]);

/** Ships to a collector over HTTPS, HTTP or a UNIX socket. */
export function httpTransport(options: HttpTransportOptions): ShipTransport & { close(): void } {
  const client = new HttpClient({
    baseUrl: options.baseUrl,
    clock: options.clock,
    timeoutMs: options.timeoutMs ?? 30_000,
    maxResponseBytes: 64 * 1024,
    ...(options.ca === undefined ? {} : { ca: options.ca }),
  });

  const send = async (request: HttpRequest): Promise<HttpResponse> => {
    const authorization = `Bearer ${await options.token()}`;
    const headers = { ...request.headers, authorization };
    const response = await client.request({ ...request, headers });
    const { status, body } = response;
    if (status >= 200 && status <= 299) return response;
    const message = `the collector answered ${status}${problemText(body.toString('utf8'))}`;
    if (refusals.has(status)) throw new ShipRefused(message);
    throw new ChaperoneError(status === 401 || status === 403 ? 'CHP-6004' : 'CHP-6009', message);
  };

  return {
    async ship(events, signal) {
      const response = await send({
        method: 'POST',
        path: `/v1/sessions/${events.session}/events`,
        ...(await encoded(framesMediaType, events.frames())),
        signal,
      });
      return readAcknowledgement(response.body.toString('utf8'));
    },
    async putRecording(sha256, zstd, signal) {
      await send({
        method: 'PUT',
        path: `/v1/recordings/${sha256}`,
        headers: { 'content-type': 'application/octet-stream', 'content-encoding': 'zstd' },
        body: zstd,
        signal,
      });
    },
    async putSnapshot(digest, content, signal) {
      await send({
        method: 'PUT',
        path: `/v1/snapshots/${digest}`,
        ...(await encoded('application/json', content)),
        signal,
      });
    },
    close: () => client.close(),
  };
}

/** Anything but a whole number would free events that nobody has. */
function readAcknowledgement(text: string): number {
  let acknowledged: unknown;
  try {
    acknowledged = (JSON.parse(text) as { readonly acknowledged?: unknown } | null)?.acknowledged;
  } catch (cause) {
    throw new ChaperoneError('CHP-6009', 'the acknowledgement is not JSON', { cause });
  }
  if (!Number.isSafeInteger(acknowledged) || (acknowledged as number) < 0) {
    throw new ChaperoneError('CHP-6009', 'the acknowledgement names no sequence number');
  }
  return acknowledged as number;
}
