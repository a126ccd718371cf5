/** Whose ServiceAccount token that is, by the API server's word. */
import type { KubernetesApi } from '../kubernetes/client.ts';
import { resourceTypes } from '../kubernetes/resource-types.ts';
import type { TokenClaims } from './token-claims.ts';

export interface ReviewedToken {
  readonly issuer: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  /** The pod that it is bound to, if it is. */
  readonly pod?: { readonly name: string; readonly uid: string };
  readonly node?: string;
  /** Epoch ms. */
  readonly expiresMs: number;
}

interface ReviewStatus {
  readonly authenticated?: boolean;
  readonly audiences?: readonly string[];
  readonly user?: {
    readonly username?: string;
    readonly extra?: Readonly<Record<string, readonly string[]>>;
  };
}

const extraPrefix = 'authentication.kubernetes.io/';
const username = /^system:serviceaccount:([a-z0-9.-]+):([a-z0-9.-]+)$/;

/**
 * Undefined for what is no valid ServiceAccount token of that audience. `claims`: its own. Throws ApiError when
 * the API server cannot be asked. Its word may be 10 s old: a pod that a token is bound to may be gone.
 */
export async function reviewToken(
  api: KubernetesApi,
  token: string,
  audience: string,
  claims: TokenClaims,
): Promise<ReviewedToken | undefined> {
  const { status = {} } = await api.create<{ readonly status?: ReviewStatus }>(
    resourceTypes.TokenReview,
    {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      metadata: {},
      spec: { token, audiences: [audience] },
    } as never,
  );
  // A token that is not valid has no `authenticated` at all.
  if (status.authenticated !== true || status.audiences?.includes(audience) !== true) {
    return undefined;
  }
  const [, namespace, serviceAccount] = username.exec(status.user?.username ?? '') ?? [];
  if (namespace === undefined || serviceAccount === undefined) return undefined;
  const extra = (name: string): string | undefined => status.user?.extra?.[extraPrefix + name]?.[0];
  const [pod, uid, node] = [extra('pod-name'), extra('pod-uid'), extra('node-name')];
  return {
    issuer: claims.issuer,
    namespace,
    serviceAccount,
    ...(pod !== undefined && uid !== undefined && { pod: { name: pod, uid } }),
    ...(node !== undefined && { node }),
    expiresMs: claims.expiresMs,
  };
}
