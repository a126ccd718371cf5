import { readFileSync, statSync } from 'node:fs';
import { createSecureContext, type SecureContext } from 'node:tls';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import type { ServerTls } from './protocols/postgres/handshake/server-tls.ts';

export interface TlsFiles {
  /** PEM: certificate and chain, and its key. */
  readonly certFile: string;
  readonly keyFile: string;
  /** Called when changed files cannot be used; the certificate before stays in force. */
  readonly onProblem: (error: ChaperoneError) => void;
}

/**
 * Serves TLS with a certificate in two files, taken up anew at the next handshake after they change. Throws
 * ChaperoneError CHP-1004 when they cannot be used at first.
 */
export function serveTlsFiles(files: TlsFiles): ServerTls {
  let seen = signature(files);
  let current = load(files);
  return {
    secureContext() {
      const now = signature(files);
      if (now === seen) return current;
      seen = now;
      try {
        current = load(files);
      } catch (error) {
        if (error instanceof ChaperoneError) files.onProblem(error);
        else throw error;
      }
      return current;
    },
  };
}

/** What changes when either file does; looking costs two stat calls a handshake. */
function signature({ certFile, keyFile }: TlsFiles): string {
  return [certFile, keyFile]
    .map((path) => {
      const found = statSync(path, { bigint: true, throwIfNoEntry: false });
      return found === undefined ? 'none' : `${found.ino} ${found.size} ${found.mtimeNs}`;
    })
    .join(' ');
}

function load({ certFile, keyFile }: TlsFiles): SecureContext {
  try {
    return createSecureContext({
      cert: readFileSync(certFile),
      key: readFileSync(keyFile),
      minVersion: 'TLSv1.2',
    });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ChaperoneError('CHP-1004', `${certFile} and ${keyFile} cannot be used: ${reason}`, {
      cause,
      hint: 'Give a PEM certificate with its chain, and the key that belongs to it.',
    });
  }
}
