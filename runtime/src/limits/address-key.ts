import { isIPv6 } from 'node:net';

/**
 * Whom an address stands for, where shares are by address: an IPv4 address for itself, also where it is
 * written as IPv6; of IPv6 the first 64 bits, since whoever has one of such addresses has them all. A unique
 * local address (RFC 4193) stands for itself: clusters give a node's pods one such /64 between them.
 */
export function addressKey(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  if (!isIPv6(plain)) return plain;
  const [head = '', tail] = plain.split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const first = groups(head);
  const last = tail === undefined ? [] : groups(tail);
  const zeros = tail === undefined ? 0 : 8 - first.length - last.length;
  const all = [...first, ...Array<string>(Math.max(0, zeros)).fill('0'), ...last];
  const plainGroups = all.map((group) => Number.parseInt(group, 16).toString(16));
  if (/^f[cd]..$/.test(plainGroups[0]!)) return plainGroups.join(':');
  return `${plainGroups.slice(0, 4).join(':')}::/64`;
}
