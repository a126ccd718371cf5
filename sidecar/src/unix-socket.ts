/** The files that callers' UNIX sockets are: who may use them, and whether one that is there is still in use. */
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  rmdirSync,
  rmSync,
  type Stats,
  statSync,
} from 'node:fs';
import { connect } from 'node:net';
import { dirname, join, resolve } from 'node:path';

/**
 * Who on this machine may connect. Owner: the user that this runs as; Group: the group that the directory above
 * belongs to; Everyone: all users, as PostgreSQL has it by default. Callers prove who they are in any case.
 */
export const socketAccesses = ['Owner', 'Group', 'Everyone'] as const;
export type SocketAccess = (typeof socketAccesses)[number];

/** Of the socket, which one writes to; and of its directory, which one passes through. */
const modes: Readonly<
  Record<SocketAccess, { readonly socket: number; readonly directory: number }>
> = {
  Owner: { socket: 0o600, directory: 0o700 },
  Group: { socket: 0o660, directory: 0o750 },
  Everyone: { socket: 0o666, directory: 0o755 },
};

/** What the kernel takes, and libpq: sockaddr_un has 108 bytes with the NUL. */
const maxPathBytes = 107;

/** As in PostgreSQL; a target's socket stands in a directory of its own, so that its port stays. */
const socketName = '.s.PGSQL.5432';

/** Where callers of `namespace/name` connect: `-h DIRECTORY/NAMESPACE.NAME` for libpq. Absolute, as libpq wants it. */
export function targetSocketPath(directory: string, target: string): string {
  return join(resolve(directory), target.replace('/', '.'), socketName);
}

/**
 * Makes the directory of a socket, and removes a socket that nobody listens on any more. What others could
 * replace is refused: whoever plays us is given tickets. Throws an error that says what to change.
 */
export async function prepareSocket(path: string, access: SocketAccess): Promise<void> {
  if (Buffer.byteLength(path) > maxPathBytes) {
    throw new Error(`${path} has more than ${maxPathBytes} bytes: choose a shorter directory`);
  }
  const directory = dirname(path);
  const above = dirname(directory);
  mkdirSync(above, { recursive: true, mode: 0o755 });
  const { mode, gid } = statSync(above);
  if ((mode & 0o022) !== 0 && (mode & 0o1000) === 0) {
    throw new Error(
      `${above} may be written to by others: take that from them, or set its sticky bit`,
    );
  }
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const found = lstatSync(directory);
  if (!found.isDirectory() || found.uid !== process.geteuid?.()) {
    throw new Error(`${directory} is not a directory of this user: remove it`);
  }
  if (access === 'Group' && found.gid !== gid) chownSync(directory, found.uid, gid);
  await removeStale(path);
  chmodSync(directory, modes[access].directory);
}

/** Once it is listened on. */
export function openSocketTo(path: string, access: SocketAccess): void {
  if (access === 'Group') {
    const { uid, gid } = statSync(dirname(path));
    chownSync(path, uid, gid);
  }
  chmodSync(path, modes[access].socket);
}

/** Removes the directory that prepareSocket made, unless there is something in it. */
export function removeSocketDirectory(path: string): void {
  try {
    rmdirSync(dirname(path));
  } catch {
    // Another listener's socket, or somebody's file.
  }
}

/** Removes the socket of a program that has ended; throws when it lives, or when that is no socket. */
export async function removeStale(path: string): Promise<void> {
  let found: Stats;
  try {
    found = lstatSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if (!found.isSocket()) throw new Error(`${path} is no socket: remove it`);
  if (await isListenedOn(path)) throw new Error(`another program listens on ${path}`);
  rmSync(path, { force: true });
}

/** Any answer but a refusal speaks for somebody who listens. */
function isListenedOn(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', ({ code }: NodeJS.ErrnoException) =>
      resolve(code !== 'ECONNREFUSED' && code !== 'ENOENT'),
    );
  });
}
