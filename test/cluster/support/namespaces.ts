import { randomBytes } from 'node:crypto';
import { apply, kubectl } from './kubectl.ts';

/** Makes a namespace of a new name that begins with `prefix`, and returns the name. */
export async function makeNamespace(
  prefix: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<string> {
  const name = `${prefix}-${randomBytes(3).toString('hex')}`;
  await apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }]);
  return name;
}

/** Deletes namespaces, those that exist, and waits until they are gone: one that hangs fails the test. */
export async function deleteNamespace(...names: readonly (string | undefined)[]): Promise<void> {
  const known = names.filter((name) => name !== undefined);
  if (known.length === 0) return;
  await kubectl(['delete', 'namespace', ...known, '--ignore-not-found', '--timeout=120s'], {
    timeoutMs: 130_000,
  });
}
