import { readFileSync, writeFileSync } from 'node:fs';
import { importImage } from '../node/images.ts';
import { type ClusterState, inside } from '../node/state.ts';
import { timed } from './progress.ts';
import type { BuiltImage } from './test-images.ts';

/** Loads images into a cluster's node, those that it does not have yet. */
export async function loadImages(
  state: ClusterState,
  images: readonly BuiltImage[],
): Promise<void> {
  const record = inside(state, 'images.json');
  const loaded = readRecord(record);
  for (const { reference, archive, key } of images) {
    if (loaded[reference] === key) continue;
    await timed(`loading ${reference}`, () => importImage(state, archive));
    loaded[reference] = key;
    writeFileSync(record, JSON.stringify(loaded));
  }
}

/** The key of what was loaded under each reference. */
function readRecord(path: string): Record<string, string> {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Record<string, string>;
  } catch {
    return {}; // nothing was loaded yet
  }
}
