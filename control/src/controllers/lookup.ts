import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import type { Stored } from '../store/resource-store.ts';
import type { Snapshot } from './snapshot.ts';

/**
 * The object that a person means by `namespace/name`, or by `name` where only one has it. Throws CHP-1014,
 * and CHP-1002 where the name is not enough.
 */
export function lookUp<K extends 'MachineIdentity' | 'Target'>(
  snapshot: Snapshot,
  kind: K,
  reference: string,
): Stored<K> {
  const slash = reference.indexOf('/');
  if (slash >= 0) {
    const found = snapshot.get(kind, reference.slice(0, slash), reference.slice(slash + 1));
    if (found !== undefined) return found;
    throw new ChaperoneError('CHP-1014', `There is no ${kind} ${reference}.`);
  }
  const found = snapshot.all(kind).filter(({ metadata }) => metadata.name === reference);
  if (found.length === 1) return found[0]!;
  if (found.length === 0) throw new ChaperoneError('CHP-1014', `There is no ${kind} ${reference}.`);
  const names = found.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`).join(', ');
  throw new ChaperoneError('CHP-1002', `${reference} is one of ${names}: name its namespace too.`);
}
