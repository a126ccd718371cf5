/** A serving certificate in mounted files, taken up anew without dropping connections. */
import { readFileSync } from 'node:fs';
import type { Server } from 'node:https';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import type { Clock, Timer } from '@chaperone/runtime/clock.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { WatchedFiles } from './watched-files.ts';

/** PEM. */
export interface ServingPair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** How often changed certificates are looked for. */
const checkMs = 1000;

/**
 * tls.crt and tls.key of a directory. Throws ChaperoneError CHP-1004 when they cannot be used at first;
 * `onProblem` is told when that happens later, and those before stay in force.
 */
export function servingFiles(
  directory: string,
  onProblem: (error: unknown) => void,
): WatchedFiles<ServingPair> {
  const [certFile, keyFile] = [join(directory, 'tls.crt'), join(directory, 'tls.key')];
  return new WatchedFiles({
    paths: [certFile, keyFile],
    load: () => {
      try {
        const pair = { cert: readFileSync(certFile), key: readFileSync(keyFile) };
        createSecureContext(pair); // throws where they do not fit
        return pair;
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw new ChaperoneError(
          'CHP-1004',
          `${certFile} and ${keyFile} cannot be used: ${reason}`,
          {
            cause,
            hint: 'Give a PEM certificate with its chain, and the key that belongs to it.',
          },
        );
      }
    },
    onProblem,
  });
}

/** Later handshakes get the newest certificate; connections that stand are left alone. Returns what ends it. */
export function followCertificate(
  server: Server,
  files: WatchedFiles<ServingPair>,
  clock: Clock,
): () => void {
  let inForce = files.current();
  let timer: Timer;
  const check = (): void => {
    timer = clock.setTimer(checkMs, check);
    const pair = files.current();
    if (pair === inForce) return;
    inForce = pair;
    server.setSecureContext({ ...pair, minVersion: 'TLSv1.2' });
  };
  timer = clock.setTimer(checkMs, check);
  return () => timer.cancel();
}
