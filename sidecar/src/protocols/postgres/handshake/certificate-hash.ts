import { createHash } from 'node:crypto';

/** One element of DER: its tag, and its contents as offsets. */
interface Element {
  readonly tag: number;
  readonly start: number;
  readonly end: number;
}

const SEQUENCE = 0x30;
const OBJECT_IDENTIFIER = 0x06;
const EXPLICIT_0 = 0xa0;

function element(der: Buffer, at: number, limit: number): Element {
  if (at + 2 > limit) throw new RangeError('DER is cut');
  const tag = der[at]!;
  const first = der[at + 1]!;
  let start = at + 2;
  let length = first;
  if (first >= 0x80) {
    const bytes = first & 0x7f;
    if (bytes === 0 || bytes > 4 || start + bytes > limit) throw new RangeError('DER length');
    length = der.readUIntBE(start, bytes);
    start += bytes;
  }
  const end = start + length;
  if (end > limit) throw new RangeError('DER is cut');
  return { tag, start, end };
}

function expect(der: Buffer, at: number, limit: number, tag: number): Element {
  const found = element(der, at, limit);
  if (found.tag !== tag) throw new RangeError('DER tag');
  return found;
}

/** Object identifiers as the hex of their DER contents. */
const RSASSA_PSS = '2a864886f70d01010a';
const signatureHash: Readonly<Record<string, string>> = {
  '2a864886f70d010102': 'md2',
  '2a864886f70d010104': 'md5',
  '2a864886f70d010105': 'sha1',
  '2a864886f70d01010e': 'sha224',
  '2a864886f70d01010b': 'sha256',
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
  '2a8648ce3d0401': 'sha1',
  '2a8648ce3d040301': 'sha224',
  '2a8648ce3d040302': 'sha256',
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
};
const plainHash: Readonly<Record<string, string>> = {
  '2b0e03021a': 'sha1',
  '608648016503040204': 'sha224',
  '608648016503040201': 'sha256',
  '608648016503040202': 'sha384',
  '608648016503040203': 'sha512',
};

/** Name of the hash within the certificate's signature algorithm; undefined when it has none of its own. */
function hashOfSignature(der: Buffer): string | undefined {
  const certificate = expect(der, 0, der.length, SEQUENCE);
  const body = expect(der, certificate.start, certificate.end, SEQUENCE);
  const algorithm = expect(der, body.end, certificate.end, SEQUENCE);
  const oid = expect(der, algorithm.start, algorithm.end, OBJECT_IDENTIFIER);
  const id = der.toString('hex', oid.start, oid.end);
  if (id !== RSASSA_PSS) return signatureHash[id];
  // RSASSA-PSS-params (RFC 4055 §3.1): [0] hashAlgorithm, SHA-1 when left out.
  if (oid.end === algorithm.end) return 'sha1';
  const parameters = expect(der, oid.end, algorithm.end, SEQUENCE);
  if (parameters.start === parameters.end) return 'sha1';
  const tagged = element(der, parameters.start, parameters.end);
  if (tagged.tag !== EXPLICIT_0) return 'sha1';
  const hash = expect(der, tagged.start, tagged.end, SEQUENCE);
  const hashOid = expect(der, hash.start, hash.end, OBJECT_IDENTIFIER);
  return plainHash[der.toString('hex', hashOid.start, hashOid.end)];
}

/**
 * Channel binding data `tls-server-end-point` (RFC 5929 §4.1): the hash of the server's certificate under
 * its signature's own hash, SHA-256 in place of MD5 and SHA-1. Undefined where that rule names no hash
 * (Ed25519, Ed448): the binding then does not exist.
 *
 * @param der the certificate as received
 */
export function certificateHash(der: Buffer): Buffer | undefined {
  let hash: string | undefined;
  try {
    hash = hashOfSignature(der);
  } catch {
    return undefined;
  }
  if (hash === undefined || hash === 'md2') return undefined;
  return createHash(hash === 'md5' || hash === 'sha1' ? 'sha256' : hash)
    .update(der)
    .digest();
}
