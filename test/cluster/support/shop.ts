/** What most suites begin with: the shop's database in one namespace, and a tenant in another who may be governed. */
import {
  foreignTargetsAccepted,
  foreignTargetsLabel,
  injectEnabled,
  injectLabel,
} from '@chaperone/core/injection/names.ts';
import { releaseNamespace, uninstallChaperone } from './chaperone.ts';
import { type Database, startDatabase } from './database.ts';
import { apply } from './kubectl.ts';
import { deleteNamespace, namespace, uniqueName } from './namespaces.ts';

export interface ShopNamespaces {
  readonly data: string;
  readonly tenant: string;
}

/** Names that nothing on the cluster has. */
export function shopNamespaces(): ShopNamespaces {
  return { data: uniqueName('data'), tenant: uniqueName('tenant') };
}

/** Makes the namespaces, the tenant's opted in with `labels` beside, and starts the database. */
export async function startShop(
  { data, tenant }: ShopNamespaces,
  labels: Readonly<Record<string, string>> = {},
): Promise<Database> {
  const optedIn = { [injectLabel]: injectEnabled, [foreignTargetsLabel]: foreignTargetsAccepted };
  await apply([namespace(data), namespace(tenant, { ...optedIn, ...labels })]);
  return startDatabase(data);
}

/** Leaves nothing: Chaperone goes first, for its webhook guards what is deleted then. */
export async function removeShop({ data, tenant }: ShopNamespaces): Promise<void> {
  await uninstallChaperone();
  await deleteNamespace(tenant, data, releaseNamespace);
}
