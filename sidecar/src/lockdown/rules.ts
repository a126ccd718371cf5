/** What iptables is given, as text for iptables-restore --noflush. Pure. */

export const lockdownChain = 'CHAPERONE_EGRESS';

export interface LockdownRules {
  readonly family: 4 | 6;
  /** The only user that may reach what is closed. */
  readonly uid: number;
  /** Of that family: closed on every port and protocol. */
  readonly addresses: readonly string[];
  /** TCP ports that are closed at every address. */
  readonly ports: readonly number[];
  /** How often OUTPUT leads into our chain already: a container that is started again replaces its rules. */
  readonly jumps: number;
}

/**
 * One transaction: the chain is emptied and filled, and OUTPUT leads into it once, before all else. What is
 * not closed returns to OUTPUT, where others may have rules of their own.
 */
export function renderRules({ family, uid, addresses, ports, jumps }: LockdownRules): string {
  const reset = '-p tcp -j REJECT --reject-with tcp-reset';
  const prohibited = family === 4 ? 'icmp-admin-prohibited' : 'icmp6-adm-prohibited';
  const add = (rule: string): string => `-A ${lockdownChain} ${rule}`;
  const rules = [
    // Within the pod, where the sidecar listens.
    add('-o lo -j RETURN'),
    add(`-m owner --uid-owner ${uid} -j RETURN`),
    // What the kernel sends for a connection that its owner has closed or died with; none begins like this.
    add('-p tcp ! --syn -m owner ! --socket-exists -j RETURN'),
    ...(family === 6
      ? neighbourDiscovery.map((type) => add(`-p icmpv6 --icmpv6-type ${type} -j RETURN`))
      : []),
    ...ports.map((port) => add(`-p tcp --dport ${port} -j REJECT --reject-with tcp-reset`)),
    ...addresses.flatMap((address) => {
      const destination = `-d ${address}/${family === 4 ? 32 : 128}`;
      return [
        add(`${destination} ${reset}`),
        add(`${destination} -j REJECT --reject-with ${prohibited}`),
      ];
    }),
  ];
  return [
    '*filter',
    `:${lockdownChain} - [0:0]`,
    ...Array.from({ length: jumps }, () => `-D OUTPUT -j ${lockdownChain}`),
    `-I OUTPUT 1 -j ${lockdownChain}`,
    ...rules,
    'COMMIT',
    '',
  ].join('\n');
}

/** Without these the link to a target on the same network would go stale; only the kernel sends them. */
const neighbourDiscovery = ['neighbour-solicitation', 'neighbour-advertisement'];

/** How often OUTPUT leads into our chain, by what iptables-save prints. */
export function countJumps(saved: string): number {
  return saved.split('\n').filter((line) => line.trim() === `-A OUTPUT -j ${lockdownChain}`).length;
}
