import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { bundleDigest, snapshotText } from './bundle-digest.ts';
import type { BundleMask, PolicyBundle } from './types.ts';

const key = (byte: number): string => Buffer.alloc(32, byte).toString('base64');

function bundle(mask: Partial<BundleMask> = {}): PolicyBundle {
  return {
    bundleVersion: 1,
    version: 7,
    digest: '',
    identity: {
      uid: 'i',
      namespace: 'payments',
      name: 'nightly-report',
      generation: 1,
      owner: { team: 't', contact: 'c' },
      purpose: 'p',
      groups: [],
      suspended: false,
    },
    targets: [
      {
        target: { uid: 't', namespace: 'data', name: 'orders-db' },
        rules: [],
        masks: [{ transform: { type: 'Hash' }, columns: ['a.b.c.d'], ...mask }],
        session: { recording: 'Statements', durability: 'Process' },
      },
    ],
  } as unknown as PolicyBundle;
}

describe('a snapshot', () => {
  test('has its digest over the very bytes that are kept', () => {
    const text = snapshotText(bundle({ key: key(1) }));
    const digest = createHash('sha256').update(text, 'utf8').digest('hex');
    expect(bundleDigest(bundle({ key: key(1) }))).toBe(digest);
    expect(JSON.parse(text)).toMatchObject({ identity: { name: 'nightly-report' } });
  });

  test('holds no masking key, and another one for another key', () => {
    const [one, other] = [key(1), key(2)].map((value) => snapshotText(bundle({ key: value })));
    expect(one).not.toContain(key(1));
    expect(one).not.toContain('"key":');
    expect(one).toMatch(/"keyId":"[0-9a-f]{32}"/);
    expect(one).not.toBe(other);
    expect(snapshotText(bundle())).not.toContain('keyId');
  });

  test('is the same whatever version and digest the bundle has', () => {
    expect(bundleDigest({ ...bundle(), version: 8, digest: 'x' } as PolicyBundle)).toBe(
      bundleDigest(bundle()),
    );
  });
});
