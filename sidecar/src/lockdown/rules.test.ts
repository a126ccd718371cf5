import { describe, expect, test } from '@jest/globals';
import { countJumps, renderRules } from './rules.ts';

describe('the rules, as text', () => {
  test('IPv4', () => {
    expect(
      renderRules({
        family: 4,
        uid: 64821,
        addresses: ['10.96.0.7', '10.96.0.9'],
        ports: [5432],
        jumps: 0,
      }),
    ).toBe(`*filter
:CHAPERONE_EGRESS - [0:0]
-I OUTPUT 1 -j CHAPERONE_EGRESS
-A CHAPERONE_EGRESS -o lo -j RETURN
-A CHAPERONE_EGRESS -m owner --uid-owner 64821 -j RETURN
-A CHAPERONE_EGRESS -p tcp ! --syn -m owner ! --socket-exists -j RETURN
-A CHAPERONE_EGRESS -p tcp --dport 5432 -j REJECT --reject-with tcp-reset
-A CHAPERONE_EGRESS -d 10.96.0.7/32 -p tcp -j REJECT --reject-with tcp-reset
-A CHAPERONE_EGRESS -d 10.96.0.7/32 -j REJECT --reject-with icmp-admin-prohibited
-A CHAPERONE_EGRESS -d 10.96.0.9/32 -p tcp -j REJECT --reject-with tcp-reset
-A CHAPERONE_EGRESS -d 10.96.0.9/32 -j REJECT --reject-with icmp-admin-prohibited
COMMIT
`);
  });

  test('IPv6', () => {
    expect(
      renderRules({ family: 6, uid: 64821, addresses: ['fd00::7'], ports: [5432, 6432], jumps: 0 }),
    ).toBe(`*filter
:CHAPERONE_EGRESS - [0:0]
-I OUTPUT 1 -j CHAPERONE_EGRESS
-A CHAPERONE_EGRESS -o lo -j RETURN
-A CHAPERONE_EGRESS -m owner --uid-owner 64821 -j RETURN
-A CHAPERONE_EGRESS -p tcp ! --syn -m owner ! --socket-exists -j RETURN
-A CHAPERONE_EGRESS -p icmpv6 --icmpv6-type neighbour-solicitation -j RETURN
-A CHAPERONE_EGRESS -p icmpv6 --icmpv6-type neighbour-advertisement -j RETURN
-A CHAPERONE_EGRESS -p tcp --dport 5432 -j REJECT --reject-with tcp-reset
-A CHAPERONE_EGRESS -p tcp --dport 6432 -j REJECT --reject-with tcp-reset
-A CHAPERONE_EGRESS -d fd00::7/128 -p tcp -j REJECT --reject-with tcp-reset
-A CHAPERONE_EGRESS -d fd00::7/128 -j REJECT --reject-with icmp6-adm-prohibited
COMMIT
`);
  });

  test('a second run leaves one way into the chain', () => {
    const text = renderRules({ family: 4, uid: 1, addresses: [], ports: [], jumps: 2 });
    expect(text.split('\n').filter((line) => line.includes('OUTPUT'))).toEqual([
      '-D OUTPUT -j CHAPERONE_EGRESS',
      '-D OUTPUT -j CHAPERONE_EGRESS',
      '-I OUTPUT 1 -j CHAPERONE_EGRESS',
    ]);
  });

  test('ways into the chain are counted by what iptables-save prints', () => {
    const saved = `*filter
:OUTPUT ACCEPT [0:0]
:CHAPERONE_EGRESS - [0:0]
-A OUTPUT -j CHAPERONE_EGRESS
-A OUTPUT -d 10.0.0.1/32 -j DROP
-A CHAPERONE_EGRESS -o lo -j RETURN
COMMIT
`;
    expect(countJumps(saved)).toBe(1);
    expect(countJumps('')).toBe(0);
  });
});
