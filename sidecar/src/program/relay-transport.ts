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
    kind: 'sessions' | 'gaps',
    session: string,
    lines: readonly string[],
    signal: AbortSignal,
  ): Promise<void> => {
    const body = await compress(`${lines.join('\n')}\n`);
    const used = (client ??= new HttpClient({ baseUrl, ca: ca.text(), clock, timeoutMs }));
    try {
      const answer = await used.request({
        method: 'POST',
        path: `/v1/relay/${kind}/${session}/events`,
        headers: {
          authorization: `Bearer ${attestation.ingestToken()}`,
          'content-type': 'application/x-ndjson',
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
  return {
    handOver: (session, lines, signal) => send('sessions', session, lines, signal),
    announce: (session, lines, signal) => send('gaps', session, lines, signal),
    close: () => client?.close(),
  };
}
