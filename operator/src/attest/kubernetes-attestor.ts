/** Tells sidecars and gateways by their ServiceAccount token and their live pod. */
import {
  type AttestedProgram,
  type Attestor,
  type AuthenticatedWorkload,
  NotYetKnown,
  type PodReference,
} from '@chaperone/control/policy-api/attestor.ts';
import { ControlRefusal } from '@chaperone/core/control/types.ts';
import type { Clock } from '@chaperone/runtime/clock.ts';
import { type ExpectedSidecar, inspectPod } from '../injection/inspect.ts';
import { hasOwnNameServers } from '../injection/name-servers.ts';
import { sidecarContainer, tokenAudience } from '../injection/names.ts';
import { type CheckedPod, podProblem } from '../injection/pod.ts';
import type { KubernetesApi } from '../kubernetes/client.ts';
import type { KubernetesObject } from '../kubernetes/object.ts';
import { resourceTypes } from '../kubernetes/resource-types.ts';
import { hasEnded, type LivePods, podLife } from './live-pods.ts';
import { type ReviewedToken, reviewToken } from './token-review.ts';
import { type ReviewOutcome, TokenReviews } from './token-reviews.ts';

export interface KubernetesAttestorOptions {
  readonly api: KubernetesApi;
  readonly pods: LivePods;
  readonly expected: ExpectedSidecar;
  /** `namespace/name` of ServiceAccounts that gateways run under. */
  readonly gatewayServiceAccounts: readonly string[];
  /** Whether a pod has to call from its own address. */
  readonly verifySourceAddress: boolean;
  readonly clock: Clock;
  readonly onReview: (call: 'attest' | 'authenticate', outcome: ReviewOutcome) => void;
}

type BoundToken = ReviewedToken & Required<Pick<ReviewedToken, 'pod'>>;
type LivePod = CheckedPod & KubernetesObject;

export class KubernetesAttestor implements Attestor {
  readonly #options: KubernetesAttestorOptions;
  readonly #gateways: ReadonlySet<string>;
  /** Apart: callers of gateways must not keep sidecars from being recognised. */
  readonly #programs: TokenReviews;
  readonly #callers: TokenReviews;

  constructor(options: KubernetesAttestorOptions) {
    const { api, clock, onReview } = options;
    this.#options = options;
    const reviews = (call: 'attest' | 'authenticate'): TokenReviews =>
      new TokenReviews({
        audience: tokenAudience,
        ask: (token, claims) => reviewToken(api, token, tokenAudience, claims),
        clock,
        onOutcome: (outcome) => onReview(call, outcome),
      });
    this.#programs = reviews('attest');
    this.#callers = reviews('authenticate');
    this.#gateways = new Set(options.gatewayServiceAccounts);
  }

  async attest(token: string, address: string): Promise<AttestedProgram> {
    const { reviewed } = await this.#programs.review(token, address);
    if (reviewed === undefined) {
      throw refusal(
        'The ServiceAccount token is not valid.',
        `It has to be of audience ${tokenAudience} and of a pod that runs.`,
      );
    }
    const { pod: bound } = reviewed;
    if (bound === undefined)
      throw refusal('The ServiceAccount token is bound to no pod.', startAnew);
    const proven = { ...reviewed, pod: bound };
    const pod = await this.#livePod(proven);
    this.#verifyAddress(pod, address);
    const gateway = this.#gateways.has(`${reviewed.namespace}/${reviewed.serviceAccount}`);
    if (!gateway) this.#verifySidecar(pod);
    const { namespace, serviceAccount, node } = proven;
    return {
      role: gateway ? 'Gateway' : 'Pod',
      source: {
        namespace,
        serviceAccount,
        pod: bound,
        ...(node !== undefined && { node }),
        ...ownAddress(pod),
      },
      ...(!gateway && hasOwnNameServers(pod.spec) && { ownNameServers: true }),
    };
  }

  async authenticate(token: string, gateway: string): Promise<AuthenticatedWorkload | undefined> {
    const { reviewed, cached } = await this.#callers.review(token, gateway);
    if (reviewed === undefined) return undefined;
    const { issuer, namespace, serviceAccount, pod, expiresMs } = reviewed;
    if (pod !== undefined && cached) {
      if (!(await this.stillThere({ namespace, ...pod }))) return undefined;
    } else if (pod !== undefined) {
      try {
        await this.#livePod({ ...reviewed, pod });
      } catch (error) {
        if (error instanceof ControlRefusal) return undefined;
        throw error;
      }
    }
    return {
      issuer,
      namespace,
      serviceAccount,
      ...(pod !== undefined && { pod }),
      expiresMs,
    };
  }

  stillThere(pod: PodReference): Promise<boolean> {
    return this.#options.pods.stillThere(pod);
  }

  isGone(pod: PodReference): boolean {
    return this.#options.pods.isGone(pod);
  }

  /** The pod itself, not one that has its name now; it runs. */
  async #livePod({ namespace, serviceAccount, pod: bound }: BoundToken): Promise<LivePod> {
    const { api, clock } = this.#options;
    const name = `${namespace}/${bound.name}`;
    const pod = await api.find<LivePod>(resourceTypes.Pod, namespace, bound.name);
    if (pod === undefined || pod.metadata.uid !== bound.uid) {
      throw refusal(`Pod ${name} does not exist any more.`, startAnew);
    }
    const problem = podProblem(pod);
    if (problem !== undefined) throw new Error(`pod ${name} cannot be read: ${problem}`);
    if (hasEnded(podLife(pod), clock.nowMs())) {
      throw refusal(`Pod ${name} has ended.`, startAnew);
    }
    if (pod.spec.serviceAccountName !== serviceAccount) {
      throw refusal(`Pod ${name} does not run under ServiceAccount ${serviceAccount}.`, startAnew);
    }
    return pod;
  }

  #verifyAddress({ metadata, spec, status }: LivePod, address: string): void {
    // On the node's network all pods have its addresses.
    if (!this.#options.verifySourceAddress || spec.hostNetwork === true) return;
    const addresses = (status?.podIPs ?? []).map(({ ip }) => ip);
    const name = `${metadata.namespace}/${metadata.name}`;
    // The kubelet tells a moment after the first containers have started: asking again will do.
    if (addresses.length === 0) throw new NotYetKnown(`pod ${name} has no address yet`);
    if (addresses.includes(address)) return;
    throw refusal(
      'The program does not call from its pod’s own address.',
      'If connections to the policy API are translated, have its verifySourceAddress be false.',
      `pod ${name} has ${addresses.join(', ')}, and the connection comes from ${address}`,
    );
  }

  #verifySidecar(pod: LivePod): void {
    const problem = inspectPod(pod, this.#options.expected);
    if (problem === undefined) return;
    const { namespace, name } = pod.metadata;
    const hasSidecar = pod.spec.initContainers?.some((one) => one.name === sidecarContainer);
    if (hasSidecar !== true) {
      // A new gateway may come upon a replica from before it was configured.
      throw refusal(
        `The pod has no sidecar, and its ServiceAccount ${namespace}/${pod.spec.serviceAccountName} is none that gateways run under.`,
        `A gateway has to be configured in the chart, and the policy API rolled out since. Any other pod: ${problem.hint}`,
        `pod ${namespace}/${name}: ${problem.message}`,
      );
    }
    throw refusal(
      'The pod’s token proves nothing, because the pod is not as it was injected.',
      problem.hint,
      `pod ${namespace}/${name}: ${problem.message}`,
    );
  }
}

/** The first of its addresses is that of its main family; on the node's network it has none of its own. */
function ownAddress({ spec, status }: LivePod): { readonly address?: string } {
  const ip = status?.podIPs?.[0]?.ip ?? status?.podIP;
  return spec.hostNetwork === true || ip === undefined ? {} : { address: ip };
}

const startAnew = 'Start the pod anew.';

function refusal(message: string, hint: string, detail?: string): ControlRefusal {
  return new ControlRefusal('CHP-2006', message, hint, detail);
}
