import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import * as backend from './backend-reader.ts';
import * as server from './backend-writer.ts';
import * as frontend from './frontend-reader.ts';
import * as client from './frontend-writer.ts';
import { ProtocolError, type ProtocolErrorCode } from './protocol-error.ts';
import { parseInitialMessage } from './startup.ts';
import { Startup } from './types.ts';

type Reader = (buffer: Buffer, start: number, end: number) => unknown;

const text = fc.string({ unit: 'binary' }).map((value) => value.replaceAll('\0', ''));
const bytes = fc.uint8Array({ maxLength: 40 });
const oid = fc.integer({ min: 0, max: 0xffff_ffff });
const int32 = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });
const format = fc.constantFrom<(0 | 1)[]>(0, 1);
const values = fc.array(fc.option(bytes), { maxLength: 6 });

function body(message: Buffer): [Buffer, number, number] {
  return [message, 5, message.length];
}

/** Views of the values that a reader gave as offsets. */
function slices(buffer: Buffer, starts: readonly number[], lengths: readonly number[]) {
  return starts.map((start, index) => {
    const length = lengths[index]!;
    return length === -1 ? null : new Uint8Array(buffer.subarray(start, start + length));
  });
}

describe('what is written is read back', () => {
  const cases: Record<string, () => void> = {
    Query: () =>
      fc.assert(
        fc.property(text, (sql) => {
          expect(frontend.parseQuery(...body(client.query(sql)))).toBe(sql);
        }),
      ),
    Parse: () =>
      fc.assert(
        fc.property(text, text, fc.array(oid), (statement, sql, parameterTypes) => {
          const message = client.parse(statement, sql, parameterTypes);
          expect(frontend.parseParse(...body(message))).toEqual({
            statement,
            text: sql,
            parameterTypes,
          });
        }),
      ),
    Bind: () =>
      fc.assert(
        fc.property(
          text,
          text,
          values,
          fc.array(format),
          (portal, statement, parameters, result) => {
            const parameterFormats = parameters.map((_, index) => (index % 2) as 0 | 1);
            const message = client.bind({
              portal,
              statement,
              parameterFormats,
              parameters,
              resultFormats: result,
            });
            const read = frontend.parseBind(...body(message));
            expect(read).toMatchObject({
              portal,
              statement,
              parameterFormats,
              resultFormats: result,
            });
            expect(slices(message, read.parameterStarts, read.parameterLengths)).toEqual(
              parameters,
            );
          },
        ),
      ),
    'Describe and Close': () =>
      fc.assert(
        fc.property(fc.constantFrom('Statement', 'Portal'), text, (kind, name) => {
          const object = kind as 'Statement' | 'Portal';
          const read = { kind: object, name };
          expect(frontend.parseDescribe(...body(client.describe(object, name)))).toEqual(read);
          expect(frontend.parseClose(...body(client.close(object, name)))).toEqual(read);
        }),
      ),
    Execute: () =>
      fc.assert(
        fc.property(text, int32, (portal, maxRows) => {
          const message = client.execute(portal, maxRows);
          expect(frontend.parseExecute(...body(message))).toEqual({ portal, maxRows });
        }),
      ),
    FunctionCall: () =>
      fc.assert(
        fc.property(oid, values, format, (functionOid, args, resultFormat) => {
          const message = client.functionCall({
            functionOid,
            argumentFormats: [1],
            arguments: args,
            resultFormat,
          });
          const read = frontend.parseFunctionCall(...body(message));
          expect(read).toMatchObject({ functionOid, argumentFormats: [1], resultFormat });
          expect(slices(message, read.argumentStarts, read.argumentLengths)).toEqual(args);
        }),
      ),
    Startup: () =>
      fc.assert(
        fc.property(
          fc.uniqueArray(
            fc.tuple(
              text.filter((name) => name !== ''),
              text,
            ),
            {
              selector: ([name]) => name,
            },
          ),
          (parameters) => {
            const message = client.startupMessage(2, parameters);
            expect(parseInitialMessage(message, 0, message.length)).toEqual({
              kind: 'startup',
              minor: 2,
              parameters: new Map(parameters.filter(([name]) => !name.startsWith('_pq_.'))),
              protocolOptions: parameters
                .map(([name]) => name)
                .filter((name) => name.startsWith('_pq_.')),
            });
          },
        ),
      ),
    CancelRequest: () =>
      fc.assert(
        fc.property(int32, fc.uint8Array({ minLength: 4, maxLength: 256 }), (pid, secret) => {
          const message = client.cancelRequest(pid, secret);
          expect(parseInitialMessage(message, 0, message.length)).toEqual({
            kind: 'cancel',
            pid,
            secret: Buffer.from(secret),
          });
        }),
      ),
    'ErrorResponse and NoticeResponse': () =>
      fc.assert(
        fc.property(
          fc.dictionary(fc.constantFrom(...'SVCMDHPpqWstcdnFLRX'), text, { maxKeys: 19 }),
          (object) => {
            const fields = new Map(Object.entries(object));
            const error = server.errorResponse(fields);
            const notice = server.noticeResponse(fields);
            // A lone surrogate is not text; UTF-8 has U+FFFD for it.
            const read = new Map([...fields].map(([code, value]) => [code, value.toWellFormed()]));
            expect(backend.parseErrorFields(...body(error))).toEqual(read);
            expect(backend.parseErrorFields(...body(notice))).toEqual(read);
          },
        ),
      ),
    RowDescription: () =>
      fc.assert(
        fc.property(
          fc.array(
            fc.record({
              name: text,
              tableOid: oid,
              attribute: fc.integer({ min: -0x8000, max: 0x7fff }),
              typeOid: oid,
              typeLength: fc.integer({ min: -0x8000, max: 0x7fff }),
              typeModifier: int32,
              format,
            }),
            { maxLength: 5 },
          ),
          (columns) => {
            const message = server.rowDescription(columns);
            expect(backend.parseRowDescription(...body(message))).toEqual(columns);
          },
        ),
      ),
    'the small ones': () => {
      expect(backend.parseReadyForQuery(...body(server.readyForQuery(0x54)))).toBe(0x54);
      expect(backend.parseParameterStatus(...body(server.parameterStatus('a', 'é')))).toEqual({
        name: 'a',
        value: 'é',
      });
      const secret = Buffer.alloc(32, 7);
      expect(backend.parseBackendKeyData(...body(server.backendKeyData(-5, secret)))).toEqual({
        pid: -5,
        secret,
      });
      expect(backend.parseCommandComplete(...body(server.commandComplete('COPY 3')))).toBe(
        'COPY 3',
      );
      expect(backend.parseCopyResponse(...body(server.copyOutResponse(1, [1, 0])))).toEqual({
        format: 1,
        columnFormats: [1, 0],
      });
      expect(
        backend.parseParameterDescription(...body(server.parameterDescription([1, 23]))),
      ).toEqual([1, 23]);
      expect(
        backend.parseNotification(...body(server.notificationResponse(9, 'ch', 'payload'))),
      ).toEqual({ pid: 9, channel: 'ch', payload: 'payload' });
      expect(
        backend.parseNegotiateProtocolVersion(
          ...body(server.negotiateProtocolVersion(0, ['_pq_.x'])),
        ),
      ).toEqual({ minor: 0, unsupportedOptions: ['_pq_.x'] });
      const sasl = backend.parseAuthentication(...body(server.authenticationSasl(['A', 'B'])));
      expect(sasl.kind).toBe(10);
      expect(backend.parseSaslMechanisms(sasl.data)).toEqual(['A', 'B']);
      expect(frontend.parsePassword(...body(client.passwordMessage('pässword')))).toBe('pässword');
      expect(frontend.parseCopyFail(...body(client.copyFail('no')))).toBe('no');
    },
  };
  for (const [name, run] of Object.entries(cases)) test(name, run);
});

/** One full message of every kind whose body has a structure, and what reads it. */
const samples: Record<string, [Buffer, Reader]> = {
  Query: [client.query('select 1'), frontend.parseQuery],
  Parse: [client.parse('s', 'select $1', [23, 25]), frontend.parseParse],
  Bind: [
    client.bind({
      portal: 'p',
      statement: 's',
      parameterFormats: [0, 1],
      parameters: [Buffer.from('abc'), null],
      resultFormats: [1],
    }),
    frontend.parseBind,
  ],
  Describe: [client.describe('Portal', 'p'), frontend.parseDescribe],
  Close: [client.close('Statement', 's'), frontend.parseClose],
  Execute: [client.execute('p', 50), frontend.parseExecute],
  FunctionCall: [
    client.functionCall({
      functionOid: 42,
      argumentFormats: [0],
      arguments: [Buffer.from('x'), null],
      resultFormat: 0,
    }),
    frontend.parseFunctionCall,
  ],
  Password: [client.passwordMessage('secret'), frontend.parsePassword],
  CopyFail: [client.copyFail('why'), frontend.parseCopyFail],
  ParameterStatus: [server.parameterStatus('TimeZone', 'UTC'), backend.parseParameterStatus],
  ReadyForQuery: [server.readyForQuery(0x49), backend.parseReadyForQuery],
  RowDescription: [
    server.rowDescription([
      {
        name: 'id',
        tableOid: 1,
        attribute: 1,
        typeOid: 23,
        typeLength: 4,
        typeModifier: -1,
        format: 0,
      },
    ]),
    backend.parseRowDescription,
  ],
  ParameterDescription: [server.parameterDescription([23]), backend.parseParameterDescription],
  CopyOutResponse: [server.copyOutResponse(0, [0, 0]), backend.parseCopyResponse],
  CopyInResponse: [server.copyInResponse(1, [1]), backend.parseCopyResponse],
  Notification: [server.notificationResponse(1, 'c', 'p'), backend.parseNotification],
  CommandComplete: [server.commandComplete('SELECT 1'), backend.parseCommandComplete],
  ErrorResponse: [
    server.errorResponse(
      new Map([
        ['S', 'ERROR'],
        ['C', '42501'],
      ]),
    ),
    backend.parseErrorFields,
  ],
  NegotiateProtocolVersion: [
    server.negotiateProtocolVersion(2, ['_pq_.a', '_pq_.b']),
    backend.parseNegotiateProtocolVersion,
  ],
};

describe('a message that is not whole or too long', () => {
  for (const [name, [message, read]] of Object.entries(samples)) {
    test(`${name} cut at every offset`, () => {
      expect(() => read(...body(message))).not.toThrow();
      for (let end = 5; end < message.length; end += 1) {
        // Both as a message that says so, and as one whose rest is still in the buffer.
        expect(() => read(message, 5, end)).toThrow(ProtocolError);
        expect(() => read(message.subarray(0, end), 5, end)).toThrow(ProtocolError);
        expect(() => read(message.subarray(0, end), 5, message.length)).toThrow(ProtocolError);
      }
    });

    test(`${name} with a byte behind its last field`, () => {
      const longer = Buffer.concat([message, Buffer.of(0)]);
      expect(() => read(...body(longer))).toThrow(ProtocolError);
    });
  }

  test('a field does not reach into the message behind', () => {
    const messages = Buffer.concat([client.execute('p', 1), client.query('x'), client.sync]);
    const end = client.execute('p', 1).length;
    expect(codeOf(() => frontend.parseExecute(messages, 5, end - 1))).toBe('Truncated');
    expect(codeOf(() => frontend.parseExecute(messages, 5, 6))).toBe('Unterminated');
  });

  test('BackendKeyData and CancelRequest with keys that do not exist', () => {
    for (const length of [0, 1, 3, 257, 1000]) {
      const key = server.backendKeyData(1, Buffer.alloc(length));
      expect(() => backend.parseBackendKeyData(...body(key))).toThrow(ProtocolError);
      const cancel = client.cancelRequest(1, Buffer.alloc(length));
      expect(() => parseInitialMessage(cancel, 0, cancel.length)).toThrow(ProtocolError);
    }
  });

  test('no bytes at all whatever the parser, and random ones: a ProtocolError or a value', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (random) => {
        const buffer = Buffer.from(random);
        const readers: Reader[] = [
          ...Object.values(samples).map(([, read]) => read),
          parseInitialMessage,
          backend.parseAuthentication,
          backend.parseBackendKeyData,
        ];
        for (const read of readers) {
          try {
            read(buffer, 0, buffer.length);
          } catch (error) {
            expect(error).toBeInstanceOf(ProtocolError);
          }
        }
      }),
    );
  });
});

function codeOf(action: () => unknown): ProtocolErrorCode | undefined {
  try {
    action();
  } catch (error) {
    if (error instanceof ProtocolError) return error.code;
    throw error;
  }
  return undefined;
}

function hex(value: string): [Buffer, number, number] {
  const buffer = Buffer.from(value.replaceAll(' ', ''), 'hex');
  return [buffer, 0, buffer.length];
}

describe('lies within a message', () => {
  const table: [string, Reader, string, ProtocolErrorCode][] = [
    ['no zero byte', frontend.parseQuery, '73656c', 'Unterminated'],
    ['bytes behind the zero byte', frontend.parseQuery, '73 00 73 00', 'TrailingBytes'],
    ['not UTF-8', frontend.parseQuery, 'ff 00', 'InvalidUtf8'],
    ['overlong UTF-8', frontend.parseQuery, 'c0af 00', 'InvalidUtf8'],
    ['a surrogate in UTF-8', frontend.parseQuery, 'eda080 00', 'InvalidUtf8'],
    ['65535 types in no bytes', frontend.parseParse, '00 00 ffff', 'InvalidLength'],
    ['a format code of 2', frontend.parseBind, '00 00 0001 0002 0000 0000', 'InvalidValue'],
    ['65535 parameters', frontend.parseBind, '00 00 0000 ffff 0000', 'InvalidLength'],
    ['a value of 2³¹-1', frontend.parseBind, '00 00 0000 0001 7fffffff 0000', 'Truncated'],
    ['a value of -2', frontend.parseBind, '00 00 0000 0001 fffffffe 0000', 'InvalidLength'],
    ['a value of -8', frontend.parseBind, '00 00 0000 0001 fffffff8 0000', 'InvalidLength'],
    ['a value of -2³¹', frontend.parseBind, '00 00 0000 0001 80000000 0000', 'InvalidLength'],
    [
      'two formats for three parameters',
      frontend.parseBind,
      '00 00 0002 0000 0000 0003 ffffffff ffffffff ffffffff 0000',
      'InvalidValue',
    ],
    ['Describe of nothing known', frontend.parseDescribe, '58 00', 'InvalidValue'],
    ['an unknown transaction status', backend.parseReadyForQuery, '58', 'InvalidValue'],
    ['65535 columns', backend.parseRowDescription, 'ffff', 'InvalidLength'],
    ['a copy of format 2', backend.parseCopyResponse, '02 0000', 'InvalidValue'],
    ['an error without end', backend.parseErrorFields, '53 41 00', 'Truncated'],
    ['an error field twice', backend.parseErrorFields, '53 00 53 00 00', 'InvalidValue'],
    ['2³¹-1 options', backend.parseNegotiateProtocolVersion, '00030000 7fffffff', 'InvalidLength'],
    ['-1 options', backend.parseNegotiateProtocolVersion, '00030000 ffffffff', 'InvalidLength'],
    ['version 4', backend.parseNegotiateProtocolVersion, '00040000 00000000', 'UnsupportedVersion'],
  ];
  for (const [name, read, bytesAsHex, code] of table) {
    test(name, () => expect(codeOf(() => read(...hex(bytesAsHex)))).toBe(code));
  }
});

describe('startup', () => {
  const startup = client.startupMessage(0, [
    ['user', 'u'],
    ['database', 'd'],
  ]);

  test('cut at every offset', () => {
    for (let end = 0; end < startup.length; end += 1) {
      expect(() => parseInitialMessage(startup, 0, end)).toThrow(ProtocolError);
      // A message that says itself that it is shorter than its fields.
      const shorter = Buffer.from(startup.subarray(0, end));
      if (end >= 4) shorter.writeInt32BE(end, 0);
      expect(() => parseInitialMessage(shorter, 0, end)).toThrow(ProtocolError);
    }
  });

  test('a length that is not the message’s', () => {
    const lies = Buffer.from(startup);
    lies.writeInt32BE(startup.length - 1, 0);
    expect(codeOf(() => parseInitialMessage(lies, 0, lies.length))).toBe('InvalidLength');
  });

  test('a parameter given twice', () => {
    const twice = client.startupMessage(0, [
      ['user', 'a'],
      ['user', 'b'],
    ]);
    expect(codeOf(() => parseInitialMessage(twice, 0, twice.length))).toBe('InvalidValue');
  });

  test('bytes behind SSLRequest and GSSENCRequest', () => {
    for (const code of [Startup.SSLRequest, Startup.GSSENCRequest]) {
      const request = Buffer.alloc(9);
      request.writeInt32BE(9, 0);
      request.writeInt32BE(code, 4);
      expect(codeOf(() => parseInitialMessage(request, 0, 9))).toBe('TrailingBytes');
      request.writeInt32BE(8, 0);
      expect(parseInitialMessage(request, 0, 8)).toEqual({
        kind: code === Startup.SSLRequest ? 'ssl' : 'gssenc',
      });
    }
  });

  test('other major versions are told apart, 2.0 included', () => {
    for (const [code, major, minor] of [
      [0x0002_0000, 2, 0],
      [0x0004_0001, 4, 1],
      [-1, 65535, 65535],
    ] as const) {
      const message = Buffer.alloc(9);
      message.writeInt32BE(9, 0);
      message.writeInt32BE(code, 4);
      expect(parseInitialMessage(message, 0, 9)).toEqual({ kind: 'unsupported', major, minor });
    }
  });
});

test('a zero byte in a string is never written', () => {
  for (const write of [
    () => client.query('select 1\0drop'),
    () => client.passwordMessage('a\0b'),
    () => client.startupMessage(0, [['user', 'a\0database\0postgres']]),
    () => client.startupMessage(0, [['', 'a']]),
    () => server.parameterStatus('a\0', 'b'),
  ]) {
    expect(write).toThrow(RangeError);
  }
});
