import type { InjectionService } from '../injection/eligibility.ts';
import type { Cached, ChangeBatch } from '../kubernetes/cache.ts';
import type { KubernetesObject } from '../kubernetes/object.ts';

/** What is kept of a Service. */
export interface ServiceEntry extends Cached {
  readonly service: InjectionService;
}

export function serviceEntry(raw: KubernetesObject): ServiceEntry {
  const { name, namespace, uid, resourceVersion } = raw.metadata;
  const { spec } = raw as { readonly spec?: { readonly selector?: Record<string, string> } };
  const selector = spec?.selector;
  return {
    metadata: { name, ...(namespace !== undefined && { namespace }), uid, resourceVersion },
    service: { name, ...(selector !== undefined && { selector }) },
  };
}

/** Services by namespace: one pod asks for those of several. */
export class ServiceIndex {
  readonly #namespaces = new Map<string, Map<string, InjectionService>>();

  apply({ changes }: ChangeBatch<ServiceEntry>): void {
    for (const { type, object } of changes) {
      const { namespace = '', name } = object.metadata;
      const services = this.#namespaces.get(namespace) ?? new Map<string, InjectionService>();
      if (type === 'Deleted') services.delete(name);
      else services.set(name, object.service);
      if (services.size > 0) this.#namespaces.set(namespace, services);
      else this.#namespaces.delete(namespace);
    }
  }

  of(namespace: string): readonly InjectionService[] {
    return [...(this.#namespaces.get(namespace)?.values() ?? [])];
  }
}
