/**
 * The numbers of PostgreSQL's frontend/backend protocol, versions 3.0 and 3.2 (manual, chapter "Message
 * Formats"). A message type is the ASCII code of its letter; some letters mean one thing from the client
 * and another from the server, which is why there are two tables.
 */

/** First byte of what a client sends after startup. */
export const Frontend = {
  Bind: 0x42, // B
  Close: 0x43, // C
  CopyData: 0x64, // d
  CopyDone: 0x63, // c
  CopyFail: 0x66, // f
  Describe: 0x44, // D
  Execute: 0x45, // E
  Flush: 0x48, // H
  FunctionCall: 0x46, // F
  Parse: 0x50, // P
  /** PasswordMessage, SASLInitialResponse, SASLResponse and GSSResponse share it. */
  Password: 0x70, // p
  Query: 0x51, // Q
  Sync: 0x53, // S
  Terminate: 0x58, // X
} as const;

/** First byte of what a server sends. */
export const Backend = {
  Authentication: 0x52, // R
  BackendKeyData: 0x4b, // K
  BindComplete: 0x32, // 2
  CloseComplete: 0x33, // 3
  CommandComplete: 0x43, // C
  CopyBothResponse: 0x57, // W
  CopyData: 0x64, // d
  CopyDone: 0x63, // c
  CopyInResponse: 0x47, // G
  CopyOutResponse: 0x48, // H
  DataRow: 0x44, // D
  EmptyQueryResponse: 0x49, // I
  ErrorResponse: 0x45, // E
  FunctionCallResponse: 0x56, // V
  NegotiateProtocolVersion: 0x76, // v
  NoData: 0x6e, // n
  NoticeResponse: 0x4e, // N
  NotificationResponse: 0x41, // A
  ParameterDescription: 0x74, // t
  ParameterStatus: 0x53, // S
  ParseComplete: 0x31, // 1
  PortalSuspended: 0x73, // s
  ReadyForQuery: 0x5a, // Z
  RowDescription: 0x54, // T
} as const;

/** The Int32 at the head of an Authentication message. */
export const Auth = {
  Ok: 0,
  KerberosV5: 2,
  CleartextPassword: 3,
  MD5Password: 5,
  SCMCredential: 6,
  GSS: 7,
  GSSContinue: 8,
  SSPI: 9,
  SASL: 10,
  SASLContinue: 11,
  SASLFinal: 12,
} as const;

/** The Int32 behind the length of a message without a type byte. */
export const Startup = {
  Protocol30: 196608, // 3 << 16
  Protocol32: 196610, // 3 << 16 | 2
  CancelRequest: 80877102, // 1234 << 16 | 5678
  SSLRequest: 80877103, // 1234 << 16 | 5679
  GSSENCRequest: 80877104, // 1234 << 16 | 5680
} as const;

/** Major version spoken, and the newest minor version of it. */
export const PROTOCOL_MAJOR = 3;
export const NEWEST_MINOR = 2;

/** Transaction status in ReadyForQuery: idle, in a transaction block, in a failed one. */
export const TransactionStatus = {
  Idle: 0x49, // I
  InBlock: 0x54, // T
  Failed: 0x45, // E
} as const;

/** What Describe and Close name. */
export const ObjectKind = {
  Statement: 0x53, // S
  Portal: 0x50, // P
} as const;

/** Field codes of ErrorResponse and NoticeResponse (manual, "Error and Notice Message Fields"). */
export const ErrorField = {
  Severity: 'S',
  /** The severity untranslated. */
  SeverityV: 'V',
  Code: 'C',
  Message: 'M',
  Detail: 'D',
  Hint: 'H',
  Position: 'P',
  InternalPosition: 'p',
  InternalQuery: 'q',
  Where: 'W',
  Schema: 's',
  Table: 't',
  Column: 'c',
  DataType: 'd',
  Constraint: 'n',
  File: 'F',
  Line: 'L',
  Routine: 'R',
} as const;

/** Length of a cancel key: fixed in 3.0 and 3.1; in 3.2 at least four bytes and at most these. */
export const CANCEL_KEY_BYTES_30 = 4;
export const CANCEL_KEY_BYTES_32 = 32;
export const MAX_CANCEL_KEY_BYTES = 256;
