/** What was wrong with the bytes; stable, recorded in ProtocolViolation events. */
export type ProtocolErrorCode =
  /** A length below the header's or that does not match what stands inside. */
  | 'InvalidLength'
  /** A length above the cap for its kind of message. */
  | 'TooLarge'
  /** A field reaches beyond the end of its message. */
  | 'Truncated'
  /** Bytes left behind the last field. */
  | 'TrailingBytes'
  /** A string without its zero byte. */
  | 'Unterminated'
  | 'InvalidUtf8'
  /** A number outside what the protocol knows: a format code, a subtype, a status. */
  | 'InvalidValue'
  /** A message that does not belong here, or of a type that does not exist. */
  | 'UnexpectedMessage'
  /** Plaintext that came where TLS had to begin (CVE-2021-23214). */
  | 'BytesBeforeTls'
  /** A protocol version or an option of it that is not spoken. */
  | 'UnsupportedVersion';

/** The peer broke the protocol: never forwarded, answered with 08P01, recorded as ProtocolViolation. */
export class ProtocolError extends Error {
  readonly code: ProtocolErrorCode;
  readonly sqlstate = '08P01';

  /** `message` says what was seen and never quotes the peer's bytes. */
  constructor(code: ProtocolErrorCode, message: string) {
    super(message);
    this.name = 'ProtocolError';
    this.code = code;
  }
}
