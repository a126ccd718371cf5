import { waitFor } from '../node/wait-for.ts';
import type { Database } from '../support/database.ts';
import { apply, type KubernetesObject, kubectl } from '../support/kubectl.ts';
import type { ShopAccess } from '../support/shop-resources.ts';
import type { Load } from './load.ts';
import type { StatementEntry } from './tally.ts';

const name = 'no-products';

/** Forbids the load's probes, as soon as admission answers. */
export async function forbidProbes(database: Database, access: ShopAccess): Promise<void> {
  await waitFor(() => apply([policy(database, access)]).then(() => true), { intervalMs: 500 });
}

/** Takes that back. */
export async function allowProbes({ namespace }: Database): Promise<void> {
  await kubectl(['delete', 'accesspolicy', name, '-n', namespace]);
}

/** Waits until a probe that is asked from now on has an outcome, on a session that lasts and on a new one. */
export async function probesAre(load: Load, outcome: StatementEntry['outcome']): Promise<void> {
  const from = Date.now();
  const seen = (worker: string): boolean =>
    load
      .tally()
      .since(from)
      .some((entry) => {
        const matches = entry.kind === 'Probe' && entry.outcome === outcome;
        return matches && entry.worker.startsWith(worker);
      });
  await waitFor(() => seen('keeps-') && seen('renews'), {
    what: `probes to be ${outcome}`,
    timeoutMs: 120_000,
    intervalMs: 300,
  });
}

/** A policy is applied, and deleted: both reach the open sessions of the load. */
export async function editsTakeEffect(
  load: Load,
  database: Database,
  access: ShopAccess,
): Promise<void> {
  await forbidProbes(database, access);
  await probesAre(load, 'Refused');
  await allowProbes(database);
  await probesAre(load, 'Done');
}

function policy(database: Database, access: ShopAccess): KubernetesObject {
  return {
    apiVersion: 'chaperone.dev/v1alpha1',
    kind: 'AccessPolicy',
    metadata: { name, namespace: database.namespace },
    spec: {
      subjects: { identities: [{ name: access.serviceAccount, namespace: access.namespace }] },
      targetRefs: [{ name: database.name }],
      rules: [
        { name: 'deny', action: 'Deny', classes: ['Read'], resources: ['shop.public.products'] },
      ],
    },
  };
}
