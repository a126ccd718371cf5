import type { Clock } from '@chaperone/runtime/clock.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import type { FollowedFile } from '@chaperone/runtime/files/followed-file.ts';
import { httpTransport } from '@chaperone/runtime/recorder/http-transport.ts';
import type { ShipTransport } from '@chaperone/runtime/recorder/transport.ts';
import type { Attestation } from '../control-client/attestation.ts';

export interface CollectorTransportOptions {
  readonly url: string;
  /** PEM of the authorities that its certificate may come from. */
  readonly ca: FollowedFile;
  readonly attestation: Attestation;
  readonly clock: Clock;
}

/** Ships to the collector with the ingest token, trusting what the file of authorities holds now. */
export function collectorTransport(
  options: CollectorTransportOptions,
): ShipTransport & { close(): void } {
  const { url: baseUrl, ca: file, attestation, clock } = options;
  let transport: ReturnType<typeof httpTransport> | undefined;
  let trusted = '';
  const current = (): ShipTransport => {
    const ca = file.text();
    if (transport === undefined || ca !== trusted) {
      transport?.close();
      trusted = ca;
      transport = httpTransport({ baseUrl, ca, clock, token: () => attestation.ingestToken() });
    }
    return transport;
  };
  const send = async <Answer>(call: (to: ShipTransport) => Promise<Answer>): Promise<Answer> => {
    const token = attestation.ingestToken();
    try {
      return await call(current());
    } catch (error) {
      if (error instanceof ChaperoneError && error.code === 'CHP-6004') {
        attestation.ingestRejected(token);
      }
      throw error;
    }
  };
  return {
    ship: (events, signal) => send((to) => to.ship(events, signal)),
    putRecording: (sha256, zstd, signal) => send((to) => to.putRecording(sha256, zstd, signal)),
    putSnapshot: (digest, content, signal) => send((to) => to.putSnapshot(digest, content, signal)),
    close: () => transport?.close(),
  };
}
