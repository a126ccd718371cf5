import { describe, expect, test } from '@jest/globals';
import { CancelRegistry } from './cancel.ts';

describe('CancelRegistry', () => {
  test('a key is good for its session alone, and until it is removed', () => {
    const registry = new CancelRegistry<string>();
    const keys = Array.from({ length: 200 }, (_, index) => registry.issue(`s${index}`, 0));
    expect(new Set(keys.map((key) => key.pid)).size).toBe(200);
    keys.forEach((key, index) => {
      expect(registry.find(key)).toBe(`s${index}`);
      expect(key.pid).toBeGreaterThan(0);
    });
    const [first, second] = keys as [(typeof keys)[0], (typeof keys)[0]];
    expect(registry.find({ pid: first.pid, secret: second.secret })).toBeUndefined();
    registry.remove(first);
    expect(registry.find(first)).toBeUndefined();
    expect(registry.size).toBe(199);
  });

  test.each([
    [0, 4],
    [1, 4],
    [2, 32],
  ])('minor version %i has keys of %i bytes', (minor, bytes) => {
    const registry = new CancelRegistry<string>();
    const key = registry.issue('s', minor);
    expect(key.secret).toHaveLength(bytes);
    for (let index = 0; index < bytes; index += 1) {
      const wrong = Buffer.from(key.secret);
      wrong[index]! ^= 1;
      expect(registry.find({ pid: key.pid, secret: wrong })).toBeUndefined();
    }
    for (const length of [0, 4, 31, 32, 33, 256]) {
      if (length === bytes) continue;
      const secret = Buffer.concat([key.secret, Buffer.alloc(256)], length);
      expect(registry.find({ pid: key.pid, secret })).toBeUndefined();
    }
  });

  test('a process id that is taken, or 0, is not given out', () => {
    // What randomness gives for ids; secrets are of 32 bytes here.
    const ids = [1, 0x8000_0001, 0, 0x8000_0000, 0xffff_ffff];
    const registry = new CancelRegistry<string>((bytes) => {
      const random = Buffer.alloc(bytes);
      if (bytes === 4) random.writeUInt32BE(ids.shift()!, 0);
      return random;
    });
    expect(registry.issue('a', 2).pid).toBe(1);
    expect(registry.issue('b', 2).pid).toBe(0x7fff_ffff);
  });
});
