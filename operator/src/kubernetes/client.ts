import type { Clock } from '@chaperone/runtime/clock.ts';
import { HttpMethod, IsomorphicFetchHttpLibrary, RequestContext } from '@kubernetes/client-node';
import {
  parseEvent,
  parseJson,
  protocolError,
  readText,
  touching,
  type WatchedEvent,
} from './answers.ts';
import { ApiError, errorOfStatus, toApiError } from './api-error.ts';
import type { SharedKubeConfig } from './config.ts';
import { startDeadline } from './deadline.ts';
import { lines } from './lines.ts';
import type { KubernetesMeta, KubernetesObject, WrittenObject } from './object.ts';
import { pathOf, type ResourcePath, type ResourceType } from './resource-types.ts';

const requestTimeoutMs = 30_000;
/** Bookmarks come about every 60 s. */
const watchInactivityMs = 90_000;
/** etcd takes objects of up to 1.5 MiB; JSON escapes may double that, and DELETED carries one too. */
const maxLineChars = 32 * 1024 * 1024;

export interface Selection {
  /** Absent: all namespaces. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface ListOptions extends Selection {
  readonly limit?: number;
  readonly continue?: string;
  /** Absent: consistent, as of now. */
  readonly resourceVersion?: string;
}

export interface ObjectList<T> {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: readonly T[];
}

export interface WatchOptions extends Selection {
  readonly resourceVersion: string;
  /** The server closes the watch after that time. */
  readonly timeoutSeconds: number;
  /** Without a byte for that long the watch fails; at least 90 s, as bookmarks come every minute. */
  readonly inactivityMs?: number;
  /** The server has accepted the watch. */
  readonly onOpen?: () => void;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** For the whole answer; default 30 s. */
  readonly timeoutMs?: number;
}

export interface WriteOptions extends CallOptions {
  readonly fieldManager?: string;
  /** Everything happens but the write. */
  readonly dryRun?: boolean;
}

export interface DeleteOptions extends CallOptions {
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly propagationPolicy?: 'Foreground' | 'Background' | 'Orphan';
  /** Absent: the object's own. */
  readonly gracePeriodSeconds?: number;
}

interface RequestOptions extends CallOptions {
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  readonly contentType?: string;
}

interface OpenResponse {
  readonly code: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: AsyncIterable<Uint8Array>;
}

/** Tells the metrics of a request's end; `code` is 0 if there was no answer. */
export type OnRequest = (method: string, code: number, seconds: number) => void;

/**
 * The API server's API in plain JSON, for every kind alike. It goes through client-node's configuration and
 * transport, not through its generated classes: those turn times into Dates that the server refuses, drop
 * what a CRD's schema says in `x-kubernetes-*`, and open a connection for each call.
 *
 * Every method throws ApiError and nothing else. Writes are checked strictly: an unknown field is an error.
 */
export class KubernetesApi {
  /** For client-node's own classes. */
  readonly config: SharedKubeConfig;
  readonly #clock: Clock;
  readonly #onRequest: OnRequest;
  readonly #transport = new IsomorphicFetchHttpLibrary();

  constructor(config: SharedKubeConfig, clock: Clock, onRequest: OnRequest = () => {}) {
    this.config = config;
    this.#clock = clock;
    this.#onRequest = onRequest;
  }

  async get<T extends KubernetesObject>(
    type: ResourceType,
    namespace: string,
    name: string,
    call: CallOptions = {},
  ): Promise<T> {
    return this.#send<T>('GET', pathOf(type, { namespace, name }), call);
  }

  /** As get, but undefined for what does not exist. */
  async find<T extends KubernetesObject>(
    type: ResourceType,
    namespace: string,
    name: string,
    call: CallOptions = {},
  ): Promise<T | undefined> {
    try {
      return await this.get<T>(type, namespace, name, call);
    } catch (error) {
      if (error instanceof ApiError && error.isNotFound) return undefined;
      throw error;
    }
  }

  /** What the API server says of a kind that is known by its plural alone. */
  async resourceType(group: string, version: string, plural: string): Promise<ResourceType> {
    const path = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
    const { resources = [] } = await this.#send<{
      readonly resources?: readonly {
        readonly name: string;
        readonly kind: string;
        readonly namespaced: boolean;
      }[];
    }>('GET', path, {});
    const found = resources.find(({ name }) => name === plural);
    if (found === undefined) throw errorOfStatus(`GET ${path}`, 404, `there are no ${plural}`);
    return { group, version, plural, kind: found.kind, namespaced: found.namespaced };
  }

  /** One page. The items of built-in kinds have neither apiVersion nor kind. */
  async listPage<T extends { readonly metadata: KubernetesMeta }>(
    type: ResourceType,
    options: ListOptions = {},
    call: CallOptions = {},
  ): Promise<ObjectList<T>> {
    const { namespace, ...query } = options;
    const list = await this.#send<Partial<ObjectList<T>>>('GET', pathOf(type, inside(namespace)), {
      ...call,
      query,
    });
    if (typeof list.metadata?.resourceVersion !== 'string') {
      throw protocolError(`list ${type.plural}`, 'the answer is no list');
    }
    return { metadata: list.metadata, items: list.items ?? [] };
  }

  /**
   * Page after page of `pageSize`, each as of the first one's resourceVersion. Throws 410 if that is
   * compacted meanwhile.
   */
  async *pages<T extends { readonly metadata: KubernetesMeta }>(
    type: ResourceType,
    selection: Selection = {},
    pageSize = 500,
    call: CallOptions = {},
  ): AsyncGenerator<ObjectList<T>> {
    let from: string | undefined;
    do {
      const options = { ...selection, limit: pageSize, ...(from && { continue: from }) };
      const page = await this.listPage<T>(type, options, call);
      yield page;
      const next = page.metadata.continue || undefined;
      if (next !== undefined && next === from) {
        throw protocolError(`list ${type.plural}`, 'the same page is offered again');
      }
      from = next;
    } while (from !== undefined);
  }

  /** All pages. */
  async list<T extends { readonly metadata: KubernetesMeta }>(
    type: ResourceType,
    selection: Selection = {},
    call: CallOptions = {},
  ): Promise<ObjectList<T>> {
    const items: T[] = [];
    let resourceVersion = '';
    for await (const page of this.pages<T>(type, selection, 500, call)) {
      for (const item of page.items) items.push(item);
      resourceVersion = page.metadata.resourceVersion;
    }
    return { metadata: { resourceVersion }, items };
  }

  /**
   * Calls back for every line until the server closes the watch; then resolves. `onEvent` must not throw.
   * Throws for whatever else ends it, `signal` included.
   */
  async watch<T extends { readonly metadata: KubernetesMeta }>(
    type: ResourceType,
    options: WatchOptions,
    onEvent: (event: WatchedEvent<T>) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { namespace, inactivityMs = watchInactivityMs, onOpen, ...query } = options;
    const request = `watch ${type.plural}`;
    const deadline = startDeadline(this.#clock, request, inactivityMs, signal);
    let dispatcher: ReturnType<RequestContext['getDispatcher']>;
    try {
      const context = await this.#context('GET', pathOf(type, inside(namespace)), {
        query: { ...query, watch: true, allowWatchBookmarks: true },
      });
      dispatcher = context.getDispatcher();
      const response = await this.#open(context, deadline.signal);
      if (response.code !== 200) {
        const text = await readText(response.body);
        throw errorOfStatus(request, response.code, text, response.headers['retry-after']);
      }
      onOpen?.();
      const body = touching(response.body, deadline.touch);
      for await (const line of lines(body, maxLineChars)) {
        onEvent(parseEvent<T>(request, line));
      }
    } catch (error) {
      const failure = this.#failure(error, request, deadline.signal);
      if (failure.isNetwork && !signal.aborted) this.config.forget(dispatcher);
      throw failure;
    } finally {
      // Whatever ended it: nobody reads on, so the stream must not stay open.
      deadline.end();
    }
  }

  async create<T>(
    type: ResourceType,
    object: WrittenObject,
    options: WriteOptions & { readonly path?: ResourcePath } = {},
  ): Promise<T> {
    const { path = inside(object.metadata.namespace), ...rest } = options;
    return this.#send<T>('POST', pathOf(type, path), this.#write(object, rest));
  }

  /** Replaces the whole object; with a metadata.resourceVersion only that version of it. */
  async replace<T extends KubernetesObject>(
    type: ResourceType,
    object: T,
    options: WriteOptions & { readonly subresource?: string } = {},
  ): Promise<T> {
    const { subresource, ...rest } = options;
    const path = placeOf(object, subresource);
    return this.#send<T>('PUT', pathOf(type, path), this.#write(object, rest));
  }

  /** An RFC 7386 merge patch. One that changes nothing leaves the resourceVersion. */
  async mergePatch<T extends KubernetesObject>(
    type: ResourceType,
    path: ResourcePath & { readonly name: string },
    patch: object,
    options: WriteOptions = {},
  ): Promise<T> {
    const contentType = 'application/merge-patch+json';
    const request = { ...this.#write(patch, options), contentType };
    return this.#send<T>('PATCH', pathOf(type, path), request);
  }

  /** An RFC 6902 patch: for `test` operations, and for lists without keys. */
  async jsonPatch<T extends KubernetesObject>(
    type: ResourceType,
    path: ResourcePath & { readonly name: string },
    operations: readonly object[],
    options: WriteOptions = {},
  ): Promise<T> {
    const contentType = 'application/json-patch+json';
    const request = { ...this.#write(operations, options), contentType };
    return this.#send<T>('PATCH', pathOf(type, path), request);
  }

  /**
   * Server-side apply: creates or updates, owns the fields given, and takes them from other managers. One
   * that changes nothing leaves the resourceVersion.
   */
  async apply<T extends KubernetesObject>(
    type: ResourceType,
    object: WrittenObject & { readonly metadata: { readonly name: string } },
    options: WriteOptions & { readonly fieldManager: string; readonly subresource?: string },
  ): Promise<T> {
    const { subresource, ...rest } = options;
    const request = this.#write(object, rest);
    return this.#send<T>('PATCH', pathOf(type, placeOf(object, subresource)), {
      ...request,
      query: { ...request.query, force: true },
      contentType: 'application/apply-patch+yaml',
    });
  }

  async delete(
    type: ResourceType,
    namespace: string,
    name: string,
    options: DeleteOptions = {},
  ): Promise<void> {
    const { signal, timeoutMs, ...rest } = options;
    await this.#send('DELETE', pathOf(type, { namespace, name }), {
      ...(signal !== undefined && { signal }),
      ...(timeoutMs !== undefined && { timeoutMs }),
      body: { apiVersion: 'v1', kind: 'DeleteOptions', ...rest },
    });
  }

  #write(body: object, { fieldManager, dryRun, ...call }: WriteOptions): RequestOptions {
    const query = { fieldManager, dryRun: dryRun ? 'All' : undefined, fieldValidation: 'Strict' };
    return { ...call, body, query };
  }

  async #send<T>(method: `${HttpMethod}`, path: string, options: RequestOptions): Promise<T> {
    const request = `${method} ${path}`;
    const deadline = startDeadline(
      this.#clock,
      request,
      options.timeoutMs ?? requestTimeoutMs,
      options.signal,
    );
    const startUs = this.#clock.monotonicUs();
    let code = 0;
    let dispatcher: ReturnType<RequestContext['getDispatcher']>;
    try {
      const context = await this.#context(method, path, options);
      dispatcher = context.getDispatcher();
      const response = await this.#open(context, deadline.signal);
      const text = await readText(response.body);
      code = response.code;
      if (code < 200 || code > 299) {
        throw errorOfStatus(request, code, text, response.headers['retry-after']);
      }
      return parseJson(request, text) as T;
    } catch (error) {
      const failure = this.#failure(error, request, deadline.signal);
      if (failure.isNetwork && options.signal?.aborted !== true) this.config.forget(dispatcher);
      throw failure;
    } finally {
      deadline.end();
      this.#onRequest(method, code, (this.#clock.monotonicUs() - startUs) / 1e6);
    }
  }

  async #context(
    method: `${HttpMethod}`,
    path: string,
    { query = {}, body, contentType = 'application/json' }: RequestOptions,
  ): Promise<RequestContext> {
    const cluster = this.config.getCurrentCluster();
    if (cluster === null) throw new Error('the configuration names no cluster');
    const context = new RequestContext(
      `${cluster.server.replace(/\/+$/, '')}${path}`,
      HttpMethod[method],
    );
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) context.setQueryParam(name, String(value));
    }
    context.setHeaderParam('Accept', 'application/json');
    if (body !== undefined) {
      context.setHeaderParam('Content-Type', contentType);
      context.setBody(JSON.stringify(body));
    }
    await this.config.applySecurityAuthentication(context);
    return context;
  }

  async #open(context: RequestContext, signal: AbortSignal): Promise<OpenResponse> {
    signal.throwIfAborted();
    context.setSignal(signal);
    const response = await this.#transport.send(context).toPromise();
    const { httpStatusCode: code, headers, body } = response;
    return { code, headers, body: (body.stream?.() ?? []) as AsyncIterable<Uint8Array> };
  }

  /** What a request threw; if it was cut by its deadline, that is the reason. */
  #failure(error: unknown, request: string, signal: AbortSignal): ApiError {
    const { aborted, reason } = signal;
    if (aborted && reason instanceof ApiError) return reason;
    return toApiError(error, request);
  }
}

const inside = (namespace: string | undefined): ResourcePath =>
  namespace === undefined ? {} : { namespace };

function placeOf(
  { metadata: { namespace, name } }: WrittenObject,
  subresource: string | undefined,
): ResourcePath {
  return {
    ...(namespace !== undefined && { namespace }),
    name: name ?? '',
    ...(subresource !== undefined && { subresource }),
  };
}
