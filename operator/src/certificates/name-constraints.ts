/** RFC 5280, section 4.2.1.10, of which @peculiar/x509 knows nothing: DNS names that an issuer must not sign. */
import { x509 } from '@chaperone/control/certificates/x509.ts';

const nameConstraints = '2.5.29.30';
const sequenceTag = 0x30;
/** excludedSubtrees [1], constructed. */
const excludedTag = 0xa1;
/** GeneralName dNSName [2], an IA5String. */
const dnsNameTag = 0x82;

/** A critical extension that excludes these DNS names and everything below them. */
export function excludedNames(names: readonly string[]): InstanceType<typeof x509.Extension> {
  const subtrees = names.map((name) =>
    encode(sequenceTag, encode(dnsNameTag, Buffer.from(name, 'ascii'))),
  );
  const value = encode(sequenceTag, encode(excludedTag, Buffer.concat(subtrees)));
  return new x509.Extension(nameConstraints, true, new Uint8Array(value));
}

/** DER with a length of up to two bytes. */
function encode(tag: number, content: Buffer): Buffer {
  const { length } = content;
  if (length > 0xffff) throw new RangeError(`${length} bytes of names are too many`);
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}
