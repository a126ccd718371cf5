/** Secrets of the release namespace, read and written whole, so that two writers never mix their values. */
import { ApiError } from '../kubernetes/api-error.ts';
import type { KubernetesApi } from '../kubernetes/client.ts';
import type { KubernetesObject, OwnerReference } from '../kubernetes/object.ts';
import { resourceTypes } from '../kubernetes/resource-types.ts';
import type { SecretAccess } from './authority.ts';
import type { SecretTexts } from './secrets.ts';

interface Secret extends KubernetesObject {
  readonly type?: string;
  /** Base64. */
  readonly data?: Readonly<Record<string, string>>;
}

export interface SecretClientOptions {
  readonly api: KubernetesApi;
  readonly namespace: string;
  /** Of what is made here: it goes when that goes. */
  readonly owner: OwnerReference;
  readonly fieldManager: string;
}

export class SecretClient implements SecretAccess {
  readonly #options: SecretClientOptions;
  readonly #seen = new Map<string, Secret>();

  constructor(options: SecretClientOptions) {
    this.#options = options;
  }

  async read(name: string): Promise<SecretTexts | undefined> {
    const secret = await this.#find(name);
    const data = secret?.data ?? {};
    const texts = Object.entries(data).map(([key, value]) => [key, textOf(value)]);
    return secret === undefined ? undefined : Object.fromEntries(texts);
  }

  /** Throws a conflict if the Secret was changed, made or deleted since it was read: read again. */
  async write(name: string, texts: SecretTexts): Promise<void> {
    const data = Object.fromEntries(
      Object.entries(texts).map(([key, text]) => [key, Buffer.from(text).toString('base64')]),
    );
    const { api, fieldManager } = this.#options;
    const before = this.#seen.get(name);
    this.#seen.delete(name);
    if (before === undefined) await this.#create(name, data);
    else await api.replace<Secret>(resourceTypes.Secret, { ...before, data }, { fieldManager });
  }

  /** Creates a Secret with these bytes unless there is one of that name, whatever it holds. */
  async createOnce(name: string, key: string, bytes: () => Buffer): Promise<'Created' | 'Exists'> {
    if ((await this.#find(name)) !== undefined) return 'Exists';
    try {
      await this.#create(name, { [key]: bytes().toString('base64') });
      return 'Created';
    } catch (error) {
      if (error instanceof ApiError && error.isAlreadyExists) return 'Exists';
      throw error;
    }
  }

  async #find(name: string): Promise<Secret | undefined> {
    const { api, namespace } = this.#options;
    const secret = await api.find<Secret>(resourceTypes.Secret, namespace, name);
    if (secret === undefined) this.#seen.delete(name);
    else this.#seen.set(name, { ...secret, apiVersion: 'v1', kind: 'Secret' });
    return secret;
  }

  async #create(name: string, data: Readonly<Record<string, string>>): Promise<void> {
    const { api, namespace, owner, fieldManager } = this.#options;
    const secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: {
        namespace,
        name,
        ownerReferences: [owner],
        labels: { 'app.kubernetes.io/part-of': 'chaperone' },
      },
      type: 'Opaque',
      data,
    };
    await api.create(resourceTypes.Secret, secret, { fieldManager });
  }
}

function textOf(base64: string): string {
  return Buffer.from(base64, 'base64').toString('utf8');
}
