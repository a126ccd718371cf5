import type { KubernetesApi } from '../kubernetes/client.ts';
import type { KubernetesObject } from '../kubernetes/object.ts';
import { type ResourceType, resourceTypes } from '../kubernetes/resource-types.ts';

interface WebhookConfiguration extends KubernetesObject {
  readonly webhooks?: readonly {
    readonly name: string;
    readonly clientConfig: { readonly caBundle?: string };
  }[];
}

/**
 * Makes the API server trust `bundle` (PEM) for all webhooks of both configurations of that name. Writes only
 * what differs. One that does not exist is left out: it has no webhooks to call.
 */
export async function patchCaBundle(
  api: KubernetesApi,
  name: string,
  bundle: string,
  fieldManager: string,
): Promise<void> {
  const caBundle = Buffer.from(bundle).toString('base64');
  for (const type of webhookConfigurations) {
    const found = await api.find<WebhookConfiguration>(type, '', name);
    const operations = (found?.webhooks ?? []).flatMap(({ name: webhook, clientConfig }, at) =>
      clientConfig.caBundle === caBundle
        ? []
        : [
            // Between reading and writing somebody may have changed the list.
            { op: 'test', path: `/webhooks/${at}/name`, value: webhook },
            { op: 'add', path: `/webhooks/${at}/clientConfig/caBundle`, value: caBundle },
          ],
    );
    if (operations.length > 0) await api.jsonPatch(type, { name }, operations, { fieldManager });
  }
}

const webhookConfigurations: readonly ResourceType[] = [
  resourceTypes.MutatingWebhookConfiguration,
  resourceTypes.ValidatingWebhookConfiguration,
];
