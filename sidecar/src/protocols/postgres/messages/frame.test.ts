import { describe, expect, test } from '@jest/globals';
import { frameLength, frontendMaxBytes, startupLength } from './frame.ts';
import { ProtocolError } from './protocol-error.ts';
import { Backend, Frontend } from './types.ts';

function typed(length: number): Buffer {
  const buffer = Buffer.alloc(5, 0x51);
  buffer.writeInt32BE(length | 0, 1);
  return buffer;
}

describe('frameLength', () => {
  test('counts the type byte, and waits for the header', () => {
    const buffer = Buffer.concat([Buffer.of(0xff), typed(4)]);
    expect(frameLength(buffer, 1, 100)).toBe(5);
    for (let end = 1; end < 6; end += 1) {
      expect(frameLength(buffer.subarray(0, end), 1, 100)).toBe(0);
    }
  });

  test.each([-0x8000_0000, -1, 0, 3])('%i is no length', (length) => {
    expect(() => frameLength(typed(length), 0, 0x7fff_ffff)).toThrow(ProtocolError);
  });

  test.each([101, 0x7fff_ffff, 0x4000_0000])('%i is above the cap of 100', (length) => {
    expect(frameLength(typed(100), 0, 100)).toBe(101);
    expect(() => frameLength(typed(length), 0, 100)).toThrow(ProtocolError);
  });
});

describe('startupLength', () => {
  function untyped(length: number): Buffer {
    const buffer = Buffer.alloc(4);
    buffer.writeInt32BE(length, 0);
    return buffer;
  }

  test.each([8, 10_004])('%i is a length', (length) => {
    expect(startupLength(untyped(length), 0)).toBe(length);
    expect(startupLength(untyped(length).subarray(0, 3), 0)).toBe(0);
  });

  test.each([-0x8000_0000, -1, 0, 4, 7, 10_005, 0x7fff_ffff])('%i is none', (length) => {
    expect(() => startupLength(untyped(length), 0)).toThrow(ProtocolError);
  });
});

test('only what a client may send has a cap', () => {
  const types: number[] = Object.values(Frontend).filter((type) => type !== Frontend.Password);
  for (let type = 0; type < 256; type += 1) {
    expect(frontendMaxBytes(type) > 0).toBe(types.includes(type));
  }
  expect(frontendMaxBytes(Backend.ReadyForQuery)).toBe(0);
});
