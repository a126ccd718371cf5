/**
 * A cluster lives in a network namespace of its own: its addresses, ports, bridge and iptables rules never meet
 * the machine's or another cluster's, and go with the namespace. One link joins it to the host, for the tests.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { type ClusterState, hostAddress, instanceName, nodeAddress } from './state.ts';

const highestIndex = 254;

/** The file that stands for the cluster's network namespace. */
export function networkNamespace(state: Pick<ClusterState, 'index'>): string {
  return `/run/netns/${instanceName(state)}`;
}

/** Takes the first index that no other cluster has: making a namespace of a name succeeds only once. */
export function claimIndex(): number {
  for (let index = 0; index <= highestIndex; index++) {
    const name = instanceName({ index });
    const { status, stderr } = spawnSync('ip', ['netns', 'add', name], { encoding: 'utf8' });
    if (status === 0) return index;
    if (!stderr.includes('File exists')) throw new Error(`ip netns add ${name}: ${stderr.trim()}`);
  }
  throw new Error(`${highestIndex + 1} clusters are on this machine: remove some (ip netns list)`);
}

/** Addresses, routes and the link to the host; `claimIndex` has made the namespace. */
export function configureNetwork(state: ClusterState): void {
  const name = instanceName(state);
  const peer = ['peer', 'name', 'eth0', 'netns', name];
  ip('link', 'add', name, 'type', 'veth', ...peer);
  ip('addr', 'add', `${hostAddress(state)}/30`, 'dev', name);
  ip('link', 'set', name, 'up');
  ip('-n', name, 'link', 'set', 'lo', 'up');
  ip('-n', name, 'addr', 'add', `${nodeAddress(state)}/30`, 'dev', 'eth0');
  ip('-n', name, 'link', 'set', 'eth0', 'up');
  // Components look for one; the host forwards nothing, so nothing is reached beyond it.
  ip('-n', name, 'route', 'add', 'default', 'via', hostAddress(state));
  within(state, 'sysctl', '-q', '-w', 'net.ipv4.ip_forward=1');
}

/** Removes the namespace and, with it, both ends of the link. */
export function removeNetwork(state: ClusterState): void {
  const name = instanceName(state);
  if (existsSync(`/sys/class/net/${name}`)) ip('link', 'delete', name);
  if (existsSync(networkNamespace(state))) ip('netns', 'delete', name);
}

/** Runs a program in the cluster's network namespace and returns what it prints. */
export function within(state: ClusterState, ...argv: readonly string[]): string {
  return execFileSync('nsenter', [`--net=${networkNamespace(state)}`, ...argv], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: 'pipe' });
}
