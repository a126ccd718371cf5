import { KubeConfig, type RequestContext } from '@kubernetes/client-node';

type Dispatcher = NonNullable<ReturnType<RequestContext['getDispatcher']>>;

/**
 * client-node makes a dispatcher for every request, and so a TLS connection for every call. This one keeps
 * the first and hands it to all: one HTTP/2 connection carries the calls and the watches.
 */
export class SharedKubeConfig extends KubeConfig {
  #shared: Dispatcher | undefined;
  #connections = 0;

  /**
   * Connections opened so far. When it grows, the server may have retired the one that the watches are on:
   * a server that shuts down lets them stay open, and says nothing over them any more.
   */
  get connections(): number {
    return this.#connections;
  }

  override async applySecurityAuthentication(context: RequestContext): Promise<void> {
    await super.applySecurityAuthentication(context);
    if (this.#shared === undefined) {
      this.#shared = context.getDispatcher();
      this.#shared?.on('connect', () => {
        this.#connections += 1;
      });
    }
    if (this.#shared !== undefined) context.setDispatcher(this.#shared);
  }

  /**
   * Later requests connect anew, and read the CA file anew; those under way go on. For when a request on
   * `dispatcher` got no answer: its connection may be half-open, or the cluster's CA may have been replaced.
   */
  forget(dispatcher: Dispatcher | undefined): void {
    if (dispatcher === undefined || dispatcher !== this.#shared) return;
    this.#shared = undefined;
    // Closes once its requests have ended; what fails then has been reported to those requests.
    dispatcher.close().catch(() => {});
  }

  /** Ends all connections and the requests on them. */
  async close(): Promise<void> {
    const dispatcher = this.#shared;
    this.#shared = undefined;
    await dispatcher?.destroy();
  }
}

/** From a kubeconfig file if one is named, else as client-node finds it: KUBECONFIG, ~/.kube/config, the pod's ServiceAccount. */
export function loadKubeConfig(file?: string): SharedKubeConfig {
  const config = new SharedKubeConfig();
  if (file === undefined) config.loadFromDefault();
  else config.loadFromFile(file);
  return config;
}
