import { sidecarContainer } from '@chaperone/core/injection/names.ts';
import { expect } from '@jest/globals';
import { waitFor } from '../node/wait-for.ts';
import type { Database } from '../support/database.ts';
import { apply, get, type KubernetesObject, kubectl } from '../support/kubectl.ts';
import { ready } from '../support/pods.ts';
import type { ShopAccess } from '../support/shop-resources.ts';
import { podTemplate, psql } from '../support/workloads.ts';

/** A pod with psql, for a namespace that opted in: nothing of its own says so. */
export function newPod(name: string, serviceAccount = 'default'): KubernetesObject {
  const { metadata, spec } = podTemplate({ name, serviceAccount, inject: false });
  return { apiVersion: 'v1', kind: 'Pod', metadata: { ...metadata, name }, spec };
}

/** A new pod of an identity is admitted, as soon as admission answers. */
export async function admitPod(name: string, access: ShopAccess): Promise<void> {
  const pod = newPod(name, access.serviceAccount);
  const admitted = () => apply([pod], access.namespace).then(() => true);
  await waitFor(admitted, { what: `pod ${name} to be admitted`, intervalMs: 500 });
}

/** A pod that was admitted starts, and is governed; it is deleted. */
export async function podIsGoverned(
  name: string,
  database: Database,
  { namespace }: ShopAccess,
): Promise<void> {
  await ready(`pod/${name}`, namespace);
  const { spec } = await get('pod', name, '-n', namespace);
  expect(spec.initContainers[0].name).toBe(sidecarContainer);
  const answer = await psql(namespace, name, database, 'SELECT * FROM employees');
  expect(answer.error).toContain('42501');
  await kubectl(['delete', 'pod', name, '-n', namespace, '--wait=false']);
}

/** Both. */
export async function newPodIsGoverned(
  name: string,
  database: Database,
  access: ShopAccess,
): Promise<void> {
  await admitPod(name, access);
  await podIsGoverned(name, database, access);
}

/** Whether the container of the workload has been started. */
export async function isStarted(name: string, { namespace }: ShopAccess): Promise<boolean> {
  const { status } = await get('pod', name, '-n', namespace);
  return status.containerStatuses?.some(({ started }: KubernetesObject) => started) ?? false;
}
