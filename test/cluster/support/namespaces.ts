import { randomBytes } from 'node:crypto';
import { apply, type KubernetesObject, kubectl } from './kubectl.ts';

/** A name that begins with `prefix`, and that nothing has yet. */
export const uniqueName = (prefix: string): string => `${prefix}-${randomBytes(3).toString('hex')}`;

export const namespace = (
  name: string,
  labels: Readonly<Record<string, string>> = {},
): KubernetesObject => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });

/** Makes a namespace of a new name that begins with `prefix`, and returns the name. */
export async function makeNamespace(
  prefix: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<string> {
  const name = uniqueName(prefix);
  await apply([namespace(name, labels)]);
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
