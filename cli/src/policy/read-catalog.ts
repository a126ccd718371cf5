/** Reads what the analyzer needs to know of a database, as a session does, for `chaperone policy`. */
import { lookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import {
  decodeField,
  readSessionState,
  type SessionState,
} from '@chaperone/core/sql/postgres/catalog-document.ts';
import { catalogQuery, sessionStateQuery } from '@chaperone/core/sql/postgres/catalog-query.ts';
import { systemClock } from '@chaperone/runtime/clock.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { BackendError } from '@chaperone/sidecar/protocols/postgres/handshake/backend-error.ts';
import type { BackendTls } from '@chaperone/sidecar/protocols/postgres/handshake/client-tls.ts';
import {
  type BackendSession,
  connectBackend,
} from '@chaperone/sidecar/protocols/postgres/handshake/connect-backend.ts';
import { HandshakeReader } from '@chaperone/sidecar/protocols/postgres/handshake/handshake-reader.ts';
import { parseErrorFields } from '@chaperone/sidecar/protocols/postgres/messages/backend-reader.ts';
import {
  query,
  terminate,
} from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { Backend, ErrorField } from '@chaperone/sidecar/protocols/postgres/messages/types.ts';

/** The content of a catalog file: plain JSON, without any data of the database. */
export interface SavedCatalog {
  readonly chaperoneCatalog: 1;
  readonly session: SessionState;
  /** The document for compileCatalog. */
  readonly catalog: unknown;
}

/** The longest answer that is read, in bytes. */
const maxCatalogBytes = 256 * 1024 * 1024;
const timeoutMs = 60_000;

/**
 * Connects to `postgres://user:password@host:port/database?sslmode=…&sslrootcert=…` and reads its catalog.
 * The password may come from PGPASSWORD. Throws ChaperoneError.
 */
export async function readCatalog(
  url: string,
  environment: NodeJS.ProcessEnv,
): Promise<SavedCatalog> {
  const address = parseUrl(url, environment);
  let session: BackendSession;
  try {
    session = await connectBackend({
      ...address,
      parameters: [
        ['application_name', 'chaperone policy'],
        ['client_encoding', 'UTF8'],
      ],
      allowTrust: true,
      clock: systemClock(),
      resolve: async (host) => (await lookup(host, { all: true })).map((found) => found.address),
    });
  } catch (error) {
    if (!(error instanceof BackendError)) throw error;
    // Whoever runs this is the administrator: unlike a caller, they may know which host it was and why.
    throw new ChaperoneError(error.code, error.logDetail, { cause: error });
  }
  const reader = new HandshakeReader(
    session.socket,
    AbortSignal.timeout(timeoutMs),
    session.leftover,
  );
  try {
    session.socket.write(query(catalogQuery));
    const catalog: unknown = JSON.parse(decodeField(await onlyValue(reader)));
    session.socket.write(query(sessionStateQuery));
    const state = readSessionState(await onlyValue(reader));
    session.socket.write(terminate);
    return { chaperoneCatalog: 1, session: state, catalog };
  } finally {
    reader.release();
    session.socket.destroy();
  }
}

/** The one column of the one row that a query gives. */
async function onlyValue(reader: HandshakeReader): Promise<string> {
  let value: string | undefined;
  let refusal: string | undefined;
  for (;;) {
    const { type, buffer, start, end } = await reader.message(maxCatalogBytes);
    if (type === Backend.DataRow) {
      // Int16 columns, then Int32 length and bytes of the first.
      const length = buffer.readInt32BE(start + 2);
      value = buffer.toString('utf8', start + 6, start + 6 + length);
    } else if (type === Backend.ErrorResponse) {
      refusal = parseErrorFields(buffer, start, end).get(ErrorField.Message) ?? 'unknown error';
    } else if (type === Backend.ReadyForQuery) {
      if (refusal !== undefined || value === undefined) {
        throw new ChaperoneError('CHP-3013', `The catalog cannot be read: ${refusal ?? 'no row'}.`);
      }
      return value;
    }
  }
}

interface Address {
  readonly address:
    | { readonly host: string; readonly port: number }
    | { readonly socketPath: string };
  readonly database: string;
  readonly username: string;
  readonly password: string;
  readonly tls: BackendTls;
}

function parseUrl(text: string, environment: NodeJS.ProcessEnv): Address {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    // The text is not told: it may hold a password.
    throw new ChaperoneError(
      'CHP-1002',
      '--url is no URL, such as postgres://user@host:5432/database.',
    );
  }
  if (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:') {
    throw new ChaperoneError('CHP-1002', '--url must begin with postgres://.');
  }
  const username = decodeURIComponent(url.username) || environment.PGUSER || '';
  if (username === '') throw new ChaperoneError('CHP-1003', '--url names no user.');
  const port = Number(url.port || url.searchParams.get('port') || 5432);
  const socketDirectory = url.searchParams.get('host');
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  return {
    address: socketDirectory?.startsWith('/')
      ? { socketPath: `${socketDirectory}/.s.PGSQL.${port}` }
      : { host, port },
    database: decodeURIComponent(url.pathname.slice(1)) || username,
    username,
    password: decodeURIComponent(url.password) || environment.PGPASSWORD || '',
    tls: tlsOf(url, host),
  };
}

/** Verified TLS unless it is said otherwise, or the database is on this machine. */
function tlsOf(url: URL, host: string): BackendTls {
  const mode = url.searchParams.get('sslmode');
  const root = url.searchParams.get('sslrootcert');
  const ca = root === null ? {} : { ca: readFileSync(root, 'utf8') };
  const local =
    host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
  switch (mode ?? (local ? 'disable' : 'verify-full')) {
    case 'disable':
      return { mode: 'Disable' };
    case 'verify-ca':
      return { mode: 'VerifyCA', ...ca };
    case 'verify-full':
      return { mode: 'VerifyFull', ...ca };
    default:
      throw new ChaperoneError(
        'CHP-1002',
        'sslmode must be disable, verify-ca or verify-full: the others do not check whom they speak to.',
      );
  }
}
