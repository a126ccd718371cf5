import type { StoredKind } from '@chaperone/control/store/resource-store.ts';
import type { Selection } from './client.ts';

/** A Secret concerns us if it says so. */
const secretSelectors = ['chaperone.dev/target', 'chaperone.dev/use'];

/**
 * Through which lists and watches a kind is seen: Secrets and ConfigMaps in `targetNamespaces` alone, where
 * the program has a Role, and Secrets by their labels; all else everywhere. `namespace`: only there.
 */
export function storeSelections(
  kind: StoredKind,
  targetNamespaces: readonly string[],
  namespace?: string,
): Selection[] {
  if (kind !== 'Secret' && kind !== 'ConfigMap') return [namespace ? { namespace } : {}];
  const namespaces = namespace === undefined ? targetNamespaces : [namespace];
  return namespaces.flatMap((each): Selection[] =>
    kind === 'ConfigMap'
      ? [{ namespace: each }]
      : secretSelectors.map((labelSelector) => ({ namespace: each, labelSelector })),
  );
}
