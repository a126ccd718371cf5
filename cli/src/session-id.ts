import { isUuid } from '@chaperone/core/events/uuid.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import type { RecordClient } from './record-client.ts';

/** How much of an id is shown: to the millisecond, to a part of the microsecond, all of it. */
const lengths = [13, 18, 36];

/** As much of each id as tells these apart. */
export function shortIds(ids: readonly string[]): readonly string[] {
  const different = new Set(ids).size;
  const length = lengths.find(
    (candidate) => new Set(ids.map((id) => id.slice(0, candidate))).size === different,
  );
  return ids.map((id) => id.slice(0, length));
}

/** The id of the one session that begins so. Throws ChaperoneError where there is none, or several. */
export async function findSession(client: RecordClient, given: string): Promise<string> {
  const prefix = given.toLowerCase();
  if (isUuid(prefix)) return prefix;
  const found: string[] = [];
  for await (const { id } of client.sessions({ id: prefix }, 3)) found.push(id);
  if (found[0] === undefined) {
    throw new ChaperoneError('CHP-6007', `no session here begins with ${prefix}`);
  }
  if (found.length > 1) {
    throw new ChaperoneError('CHP-6007', `several sessions begin with ${prefix}`, {
      hint: `Give more of its id, like ${found[0]}: chaperone sessions --wide lists them whole.`,
    });
  }
  return found[0];
}
