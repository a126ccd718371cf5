/** What the API server's answers are made of. */
import { ApiError, errorOfStatus, protocolReason } from './api-error.ts';
import type { KubernetesMeta } from './object.ts';

const maxBodyBytes = 256 * 1024 * 1024;

/** A line of a watch. ERROR becomes an ApiError and BOOKMARK has an object with nothing but its version. */
export interface WatchedEvent<T> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  readonly object: T;
}

/** The server said something that its protocol does not know. */
export const protocolError = (request: string, message: string, cause?: unknown): ApiError =>
  new ApiError(`${request}: ${message}`, { code: 200, reason: protocolReason, cause });

/** Throws ApiError. */
export function parseJson(request: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw protocolError(request, 'the answer is no JSON', error);
  }
}

const eventTypes = new Set(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK']);

/** Of one line of a watch. Throws ApiError: for an ERROR event the one that it carries. */
export function parseEvent<T>(request: string, line: string): WatchedEvent<T> {
  const event = parseJson(request, line) as {
    readonly type?: unknown;
    readonly object?: { readonly metadata?: Partial<KubernetesMeta>; readonly code?: unknown };
  } | null;
  if (event?.type === 'ERROR') {
    const { code } = event.object ?? {};
    throw errorOfStatus(request, typeof code === 'number' ? code : 500, event.object);
  }
  const { resourceVersion, name } = event?.object?.metadata ?? {};
  const complete =
    resourceVersion !== undefined && (event?.type === 'BOOKMARK' || name !== undefined);
  if (!eventTypes.has(String(event?.type)) || !complete) {
    throw protocolError(request, 'a line is no event');
  }
  return event as unknown as WatchedEvent<T>;
}

/** The chunks as they are, telling of each. */
export async function* touching(
  chunks: AsyncIterable<Uint8Array>,
  touch: () => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    touch();
    yield chunk;
  }
}

/** The whole body. Throws RangeError if it is longer than 256 MiB. */
export async function readText(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.byteLength;
    if (bytes > maxBodyBytes)
      throw new RangeError(`the answer has more than ${maxBodyBytes} bytes`);
    parts.push(chunk);
  }
  return Buffer.concat(parts, bytes).toString('utf8');
}
