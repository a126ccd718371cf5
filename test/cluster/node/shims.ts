import { readdirSync, readFileSync } from 'node:fs';
import { type ClusterState, containerdSocket } from './state.ts';
import { waitFor } from './wait-for.ts';

/** Ends the processes that keep containers for containerd: they outlive it, and name its socket in their arguments. */
export async function endShims(state: ClusterState): Promise<void> {
  await waitFor(
    () => {
      const pids = shims(state);
      for (const pid of pids) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // It went on its own.
        }
      }
      return pids.length === 0;
    },
    { what: 'the container shims to end' },
  );
}

function shims(state: ClusterState): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      const argv = argumentsOf(pid);
      return /containerd-shim/.test(argv[0] ?? '') && argv.includes(containerdSocket(state));
    });
}

function argumentsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return []; // gone meanwhile
  }
}
