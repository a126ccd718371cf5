import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { HttpClient, problemText } from '@chaperone/runtime/http/client.ts';
import type { RelayTransport } from '@chaperone/runtime/recorder/transport.ts';
import type { CollectorTransportOptions } from './collector-transport.ts';

const compress = promisify(gzip);
/** There is not much time when this is used, and another replica may answer. */
const timeoutMs = 3000;

/**
 * Hands events to the policy API, `url`, for the collector. Shown is the ingest token, which is good for nothing
 * but appending to our own sessions, and which the collector will check in its turn.
 */
export function relayTransport(
  options: CollectorTransportOptions,
): RelayTransport & { close(): void } {
  const { url: baseUrl, ca, attestation, clock } = options;
  let client: HttpClient | undefined;
  const send = async (
    { method, path, type }: { method: 'POST' | 'PUT'; path: string; type: string },
    content: string | Uint8Array,
    signal: AbortSignal,
  ): Promise<void> => {
    const body = await compress(content);
    const used = (client ??= new HttpClient({ baseUrl, ca: ca.text(), clock, timeoutMs }));
    try {
      const answer = await used.request({
        method,
        path: `/v1/relay/${path}`,
        headers: {
          authorization: `Bearer ${attestation.ingestToken()}`,
          'content-type': type,
          'content-encoding': 'gzip',
        },
        body,
        signal,
      });
      if (answer.status === 202) return;
      const said = problemText(answer.body.toString('utf8'));
      throw new ChaperoneError('CHP-2020', `the relay answered ${answer.status}${said}`);
    } catch (error) {
      // Over another connection, the next attempt may reach a replica that has room.
      if (client === used) client = undefined;
      throw error;
    }
  };
  const events = (kind: 'sessions' | 'gaps', session: string) =>
    ({ method: 'POST', path: `${kind}/${session}/events`, type: 'application/x-ndjson' }) as const;
  return {
    handOver: (batch, signal) => send(events('sessions', batch.session), batch.ndjson(), signal),
    announce: (batch, signal) => send(events('gaps', batch.session), batch.ndjson(), signal),
    handOverSnapshot: (digest, content, signal) =>
      send(
        { method: 'PUT', path: `snapshots/${digest}`, type: 'application/json' },
        content,
        signal,
      ),
    close: () => client?.close(),
  };
}
