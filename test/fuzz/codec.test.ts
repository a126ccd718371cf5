/**
 * Every parser of the wire's messages, on recorded messages that were changed: it reads what is there or throws
 * ProtocolError, looks at no byte outside the message, and takes no more memory than the message could need.
 */

import type { DecisionContext } from '@chaperone/sidecar/protocols/postgres/frontend/decision-context.ts';
import type { FrontendEvents } from '@chaperone/sidecar/protocols/postgres/frontend/flow.ts';
import { Frontend } from '@chaperone/sidecar/protocols/postgres/frontend/frontend.ts';
import * as backend from '@chaperone/sidecar/protocols/postgres/messages/backend-reader.ts';
import { Carry } from '@chaperone/sidecar/protocols/postgres/messages/carry.ts';
import {
  frameLength,
  MAX_LARGE_BYTES,
  startupLength,
} from '@chaperone/sidecar/protocols/postgres/messages/frame.ts';
import * as frontend from '@chaperone/sidecar/protocols/postgres/messages/frontend-reader.ts';
import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { ProtocolError } from '@chaperone/sidecar/protocols/postgres/messages/protocol-error.ts';
import { parseInitialMessage } from '@chaperone/sidecar/protocols/postgres/messages/startup.ts';
import { Frontend as Message } from '@chaperone/sidecar/protocols/postgres/messages/types.ts';
import { SessionState } from '@chaperone/sidecar/protocols/postgres/session-state.ts';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { corpus } from './support/corpus.ts';
import { fuzz } from './support/fuzz.ts';
import { mutate, mutations, pieces, split } from './support/mutations.ts';

type Reader = (buffer: Buffer, start: number, end: number) => unknown;

const readers: Readonly<Record<string, Reader>> = {
  parseQuery: frontend.parseQuery,
  parsePassword: frontend.parsePassword,
  parseCopyFail: frontend.parseCopyFail,
  parseParse: frontend.parseParse,
  parseBind: frontend.parseBind,
  parseDescribe: frontend.parseDescribe,
  parseClose: frontend.parseClose,
  parseExecute: frontend.parseExecute,
  parseFunctionCall: frontend.parseFunctionCall,
  parseEmpty: frontend.parseEmpty,
  parseAuthentication: backend.parseAuthentication,
  parseSaslMechanisms: (buffer, start, end) =>
    backend.parseSaslMechanisms(buffer.subarray(start, end)),
  parseParameterStatus: backend.parseParameterStatus,
  parseBackendKeyData: backend.parseBackendKeyData,
  parseNegotiateProtocolVersion: backend.parseNegotiateProtocolVersion,
  parseReadyForQuery: backend.parseReadyForQuery,
  parseRowDescription: backend.parseRowDescription,
  parseParameterDescription: backend.parseParameterDescription,
  parseCopyResponse: backend.parseCopyResponse,
  parseNotification: backend.parseNotification,
  parseCommandComplete: backend.parseCommandComplete,
  parseErrorFields: backend.parseErrorFields,
  parseInitialMessage,
};

test('every exported parser is among them', () => {
  const exported = [...Object.entries(frontend), ...Object.entries(backend)]
    .filter(([name, value]) => name.startsWith('parse') && typeof value === 'function')
    .map(([name]) => name);
  expect(exported.filter((name) => readers[name] === undefined)).toEqual([]);
});

/** What a reader makes of a message, in a form that compares: its value, or the code of its error. */
function outcome(read: Reader, buffer: Buffer, start: number, end: number): string {
  try {
    const value = read(buffer, start, end);
    return JSON.stringify(value, (key, inner: unknown) =>
      inner instanceof Map
        ? [...inner]
        : /Starts$/.test(key)
          ? (inner as number[]).map((at) => at - start)
          : inner,
    );
  } catch (error) {
    if (error instanceof ProtocolError) return error.code;
    throw error;
  }
}

/** Offsets that a reader gives lie within the message. */
function staysInside(read: Reader, buffer: Buffer, start: number, end: number): boolean {
  try {
    const value = read(buffer, start, end) as Record<string, readonly number[]>;
    for (const name of ['parameter', 'argument']) {
      const starts = value?.[`${name}Starts`] ?? [];
      const lengths = value?.[`${name}Lengths`] ?? [];
      if (starts.length !== lengths.length) return false;
      const inside = (at: number, index: number): boolean =>
        at >= start && at + Math.max(0, lengths[index]!) <= end;
      if (!starts.every(inside)) return false;
    }
    return true;
  } catch {
    return true;
  }
}

const body = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.constantFrom(...corpus.messages), mutations, fc.nat())
      .map(([message, changes, pick]) => {
        const changed = mutate([message], changes);
        return Buffer.from(changed[pick % Math.max(1, changed.length)] ?? []).subarray(5);
      }),
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)) },
);

fuzz(
  'codec: a parser throws ProtocolError alone and reads nothing outside its message',
  fc.property(
    fc.constantFrom(...Object.keys(readers)),
    body,
    fc.uint8Array({ maxLength: 12 }),
    fc.uint8Array({ maxLength: 12 }),
    (name, inside, before, after) => {
      const read = readers[name]!;
      const alone = Buffer.from(inside);
      const among = Buffer.concat([before, inside, after]);
      const end = before.length + inside.length;
      const said = outcome(read, alone, 0, alone.length);
      // What stands around a message must not count: neither bytes of another nor the buffer's end.
      expect(outcome(read, among, before.length, end)).toBe(said);
      expect(staysInside(read, among, before.length, end)).toBe(true);
      expect(among.subarray(before.length, end).equals(alone)).toBe(true);
      // A message that says to be longer than what has come is never read as if it were whole.
      if (name !== 'parseSaslMechanisms') {
        expect(() => read(alone, 0, alone.length + 1)).toThrow(ProtocolError);
      }
    },
  ),
  { briefly: 1.5 },
);

fuzz(
  'codec: framing gives the same messages however the bytes are cut',
  fc.property(
    fc.constantFrom(...corpus.conversations.map(({ server }) => server)),
    mutations,
    fc.array(fc.nat(0xffff), { maxLength: 6 }),
    (conversation, changes, cuts) => {
      const bytes = Buffer.concat(mutate(split(conversation).slice(0, 30), changes));
      const whole = framed([bytes]);
      expect(framed(pieces(bytes, cuts))).toEqual(whole);
      expect(framed(pieces(bytes, cuts), true)).toEqual(whole);
      // Every byte is in a message, waits for more, or stands behind an error: none is lost or read twice.
      expect(Buffer.concat(whole.messages).equals(bytes.subarray(0, whole.read))).toBe(true);
    },
  ),
  { briefly: 1.5 },
);

interface Framed {
  readonly messages: readonly Buffer[];
  readonly read: number;
  readonly error?: string;
}

/**
 * As the sessions read: what is not whole yet is carried over to the next piece. `apart`: what ends a message is
 * joined by itself, as with the backend's side.
 */
function framed(chunks: readonly Buffer[], apart = false): Framed {
  const carry = new Carry();
  const messages: Buffer[] = [];
  let read = 0;
  for (let left = [...chunks]; left.length > 0; ) {
    const [chunk, ...rest] = left as [Buffer, ...Buffer[]];
    const taken = apart ? carry.lacks(chunk) : chunk.length;
    left = taken < chunk.length ? [chunk.subarray(taken), ...rest] : rest;
    const joined = carry.join(Buffer.from(chunk.subarray(0, taken)));
    let at = 0;
    for (;;) {
      let size: number;
      try {
        size = frameLength(joined, at, MAX_LARGE_BYTES);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        return { messages, read, error: error.code };
      }
      if (size === 0 || joined.length - at < size) break;
      messages.push(Buffer.from(joined.subarray(at, at + size)));
      at += size;
      read += size;
    }
    carry.keep(joined, at);
  }
  return { messages, read };
}

/** What becomes of bytes of a logged-in client: the code of the error that they end the session with. */
function endedBy(bytes: Buffer, within: Partial<SessionState>): string {
  const state = Object.assign(new SessionState({} as DecisionContext), within);
  const events: Partial<FrontendEvents> = {
    toBackend: () => {
      throw new Error('it was forwarded');
    },
    terminate: () => {},
  };
  try {
    new Frontend(state, events as FrontendEvents).feed(bytes);
  } catch (error) {
    if (error instanceof ProtocolError) return error.code;
    throw error;
  }
  return 'nothing';
}

const situations: Readonly<Record<string, Partial<SessionState>>> = {
  'as a rule': {},
  'behind an error': { skipping: true },
  'while COPY data flows': { copyIn: true },
};
const clientTypes = Object.values(Message).filter((type) => type !== Message.Password);

describe.each(Object.keys(situations))('codec: from a client, %s,', (situation) => {
  const within = situations[situation]!;

  test('no length is below 4', () => {
    // Those first that would come to another end, for with the rest there would be none.
    for (const size of [3, 2, 1, 0, -1, -2, -5, -6, -10, -0x7fffffff, -0x80000000]) {
      for (const type of clientTypes) {
        const message = Buffer.from([type, 0, 0, 0, 0, ...write.sync]);
        message.writeInt32BE(size, 1);
        expect([type, size, endedBy(message, within)]).toEqual([type, size, 'InvalidLength']);
      }
    }
  });

  test('no type is one that clients do not send', () => {
    for (let type = 0; type < 256; type += 1) {
      if (clientTypes.some((known) => known === type)) continue;
      for (const size of [4, 8, 0x7fffffff]) {
        const message = Buffer.from([type, 0, 0, 0, 0, ...write.sync]);
        message.writeInt32BE(size, 1);
        expect([type, size, endedBy(message, within)]).toEqual([type, size, 'UnexpectedMessage']);
      }
    }
  });
});

fuzz(
  'codec: the first message of a connection',
  fc.property(
    fc.constantFrom(...corpus.startups),
    fc.array(fc.record({ at: fc.nat(200), byte: fc.nat(255) }), { maxLength: 4 }),
    fc.nat(250),
    (startup, changes, length) => {
      const bytes = Buffer.from(startup.subarray(0, length));
      for (const { at, byte } of changes) if (at < bytes.length) bytes[at] = byte;
      let size: number;
      try {
        size = startupLength(bytes, 0);
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError);
        return;
      }
      if (size === 0 || size > bytes.length) return;
      try {
        const message = parseInitialMessage(bytes, 0, size);
        if (message.kind === 'startup') {
          for (const [name, value] of message.parameters) {
            expect(bytes.includes(`${name}\0${value}\0`)).toBe(true);
          }
        }
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError);
      }
    },
  ),
  { briefly: 0.5 },
);
