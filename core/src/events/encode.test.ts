import { createHmac, randomFillSync } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { encodeEnvelope, encodeLine, maxLineChars } from './encode.ts';
import { EnvelopeWriter, maxEnvelopeBytes, sessionPiece } from './envelope.ts';
import { Hmac } from './hmac.ts';
import { encodeParameters, PartSealer } from './parts.ts';
import { MicrosecondTime } from './time.ts';
import type { EventBody } from './types.ts';
import { isUuid, UuidGenerator, uuidFromBytes, uuidToBytes } from './uuid.ts';

const header = { id: 'i', session: 's', seq: 7, time: 't' };
const violation = (message: string): EventBody => ({
  type: 'ProtocolViolation',
  side: 'Client',
  code: 'CHP-5001',
  message,
});

/** Strings that lean towards what breaks lines, terminals and JSON readers. */
const anyText = fc.string({
  unit: fc.oneof(
    fc.constantFrom(
      '\\',
      '"',
      '\n',
      '\u001b',
      '\u0085',
      '\u009b',
      '\u2028',
      '\u202e',
      '\ud800',
      '\udfff',
      '\ud83d\ude00',
      'ud800',
      '\u0000',
    ),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  ),
});

describe('encodeLine', () => {
  test('means what the body says, on one harmless line', () => {
    fc.assert(
      fc.property(anyText, (message) => {
        const line = encodeLine(header, violation(message), '', '');
        expect(line).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069]/u);
        expect(line.isWellFormed()).toBe(true);
        const read = JSON.parse(line);
        expect(read).toEqual({ eventVersion: 1, ...header, ...violation(message.toWellFormed()) });
        expect(read.message.isWellFormed()).toBe(true);
      }),
    );
  });

  test('adds parts and what was truncated behind the body', () => {
    const line = encodeLine(header, violation('x'), '"statement":"ab"', '"statement":9');
    expect(
      line.endsWith('"message":"x","parts":{"statement":"ab"},"truncated":{"statement":9}}'),
    ).toBe(true);
  });

  test.each([
    ['a long text', violation('x'.repeat(1_000_000))],
    ['a text that escaping makes long', violation('\u0085'.repeat(40_000))],
    [
      'many operations with many columns',
      {
        type: 'OperationDecided',
        verdict: 'Deny',
        enforced: true,
        rules: [],
        operations: Array.from({ length: 2000 }, (_, at) => ({
          verb: 'Select',
          class: 'Read',
          resource: ['d', 's', `t${at}`],
          columns: Array.from({ length: 100 }, () => '\u0085'.repeat(63)),
          reach: 'Named',
        })),
        wouldDeny: [],
        policyDigest: '',
        masks: [],
        exemptions: [],
        protocol: 'Simple',
      } satisfies EventBody,
    ],
  ])('%s is shortened, and the line says so', (_name, body) => {
    const line = encodeLine(header, body, '', '');
    expect(line.length).toBeLessThanOrEqual(maxLineChars);
    const read = JSON.parse(line);
    expect(read.type).toBe(body.type);
    expect(read.truncated.line).toBe(JSON.stringify(body).length);
    expect(line).not.toMatch(/\p{Cc}/u);
  });
});

describe('parts', () => {
  const sealer = new PartSealer(randomFillSync);
  const sealed = () => sealer.bytes.subarray(sealer.start, sealer.start + sealer.length);

  test('carry the HMAC of their bytes under a fresh salt', () => {
    fc.assert(
      fc.property(anyText, fc.nat({ max: 40_000 }), (text, padding) => {
        sealer.seal(text + 'é'.repeat(padding), 1 << 20);
        const salt = sealer.salts.slice(sealer.saltOffset, sealer.saltOffset + 16);
        expect(sealed().equals(Buffer.from(text + 'é'.repeat(padding)))).toBe(true);
        expect(sealer.hmac).toBe(createHmac('sha256', salt).update(sealed()).digest('hex'));
        expect(sealer.cutFrom).toBe(0);
      }),
    );
    const salts = new Set<string>();
    for (let i = 0; i < 5000; i += 1) {
      sealer.seal('x', 10);
      salts.add(sealer.hmac);
    }
    expect(salts.size).toBe(5000);
  });

  test('of bytes: their base64, sealed as a text would be', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(40_000), (bytes, padding) => {
        const whole = Buffer.concat([bytes, Buffer.alloc(padding, 0xa7)]);
        // A view into a larger buffer, as results are.
        sealer.sealBase64(Buffer.concat([Buffer.of(1, 2, 3), whole]).subarray(3));
        expect(sealed().toString()).toBe(whole.toString('base64'));
        const salt = sealer.salts.slice(sealer.saltOffset, sealer.saltOffset + 16);
        expect(sealer.hmac).toBe(createHmac('sha256', salt).update(sealed()).digest('hex'));
        expect(sealer.cutFrom).toBe(0);
      }),
    );
  });

  test('are cut between characters, and say how long they were', () => {
    for (let maxBytes = 0; maxBytes < 20; maxBytes += 1) {
      sealer.seal('aé€\u{1F600}aé€\u{1F600}', maxBytes);
      expect(sealer.length).toBeLessThanOrEqual(maxBytes);
      expect(sealed().toString()).not.toContain('\ufffd');
      expect(sealer.cutFrom).toBe(20);
    }
    sealer.seal('aé€\u{1F600}aé€\u{1F600}', 20);
    expect([sealer.length, sealer.cutFrom]).toEqual([20, 0]);
  });

  test('parameters stay a JSON array of at most so many bytes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.option(anyText)),
        fc.integer({ min: 2, max: 300 }),
        (values, maxBytes) => {
          const { text, cutFrom } = encodeParameters(values, maxBytes);
          expect(Buffer.byteLength(text)).toBeLessThanOrEqual(maxBytes);
          const read = JSON.parse(text);
          expect(read).toEqual(values.slice(0, read.length));
          expect(cutFrom).toBe(read.length < values.length ? values.length : 0);
        },
      ),
    );
    const { text, cutFrom } = encodeParameters(['x'.repeat(300_000)], 1 << 20);
    expect([text.length, cutFrom]).toEqual([16 * 1024 + 4, 1]);
  });
});

test('Hmac equals createHmac for keys of up to a block', () => {
  const hmac = new Hmac(32);
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 64 }),
      fc.uint8Array({ maxLength: 200 }),
      (key, text) => {
        hmac.reserve(text.length);
        hmac.inner.set(text, Hmac.textOffset);
        expect(hmac.digest(key, 0, key.length, text.length)).toBe(
          createHmac('sha256', key).update(text).digest('hex'),
        );
      },
    ),
  );
});

test('an envelope is written as it is described, whatever its numbers', () => {
  const writer = new EnvelopeWriter(new UuidGenerator(randomFillSync));
  const time = new MicrosecondTime();
  const session = '019a0000-0000-7000-8000-000000000001';
  const piece = sessionPiece(session);
  const anyNumber = fc.oneof(
    fc.integer({ min: 1, max: 12 }),
    fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    fc.integer({ min: 1, max: 15 }).map((power) => 10 ** power),
    fc.integer({ min: 1, max: 15 }).map((power) => 10 ** power - 1),
  );
  const lastUs = Date.UTC(9999, 11, 31) * 1000;
  fc.assert(
    fc.property(anyNumber, fc.integer({ min: 0, max: lastUs }), fc.nat(5), (seq, timeUs, at) => {
      const target = Buffer.alloc(at + maxEnvelopeBytes + piece.length);
      const end = writer.write(target, at, piece, seq, timeUs);
      const text = target.toString('latin1', at, end);
      const { id } = JSON.parse(`${text}"x":0}`) as { id: string };
      expect(isUuid(id)).toBe(true);
      expect(text).toBe(encodeEnvelope({ id, session, seq, time: time.format(timeUs) }));
      expect(target.subarray(0, at).every((byte) => byte === 0)).toBe(true);
    }),
  );
});

describe('UuidGenerator', () => {
  test('makes version 7 ids that sort by time and differ', () => {
    const generator = new UuidGenerator(randomFillSync);
    const startUs = Date.UTC(2026, 0, 1) * 1000;
    const ids: string[] = [];
    for (let us = 0; us < 5000; us += 1) ids.push(generator.next(startUs + us));
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab]/);
    expect([...ids].sort()).toEqual(ids);
    expect(Number.parseInt(ids[0]!.replaceAll('-', '').slice(0, 12), 16)).toBe(startUs / 1000);
    const same = new Set(Array.from({ length: 5000 }, () => generator.next(startUs)));
    expect(same.size).toBe(5000);
    for (const id of ids.slice(0, 50)) expect(uuidFromBytes(uuidToBytes(id))).toBe(id);
  });

  test.each([
    '',
    'x',
    '019A0000-0000-7000-8000-000000000000',
    '019a0000-0000-7000-8000-00000000000',
  ])('%j is no UUID', (text) => {
    expect(isUuid(text)).toBe(false);
    expect(() => uuidToBytes(text)).toThrow(RangeError);
  });
});

test('times carry six decimals', () => {
  const time = new MicrosecondTime();
  const us = Date.UTC(2026, 1, 28, 23, 59, 59) * 1000;
  expect(time.format(us)).toBe('2026-02-28T23:59:59.000000Z');
  expect(time.format(us + 1)).toBe('2026-02-28T23:59:59.000001Z');
  expect(time.format(us + 999_999)).toBe('2026-02-28T23:59:59.999999Z');
  expect(time.format(us + 1_000_000)).toBe('2026-03-01T00:00:00.000000Z');
  expect(time.format(us)).toBe('2026-02-28T23:59:59.000000Z');
});
