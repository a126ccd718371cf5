/** Admission of pods: injection, and the comparison at its end. */
import type { Logger } from '@chaperone/runtime/logging/logger.ts';
import type { admissionMetrics } from '@chaperone/runtime/metrics/catalogue.ts';
import type { MetricSet } from '@chaperone/runtime/metrics/metrics.ts';
import { vainOptOut } from '../injection/eligibility.ts';
import { jsonPatch } from '../injection/json-patch.ts';
import type { Injected, InjectionOutcome, Refused } from '../injection/outcome.ts';
import { type CheckedPod, podProblem } from '../injection/pod.ts';
import { maxToldWarnings, renderPod } from '../injection/render.ts';
import type { InjectionSettings } from '../injection/settings.ts';
import { verifyPod } from '../injection/verify.ts';
import type { EventDetails, EventSubject } from '../kubernetes/event-recorder.ts';
import { type AdmissionRequest, type AdmissionVerdict, ReviewProblem } from './review.ts';
import { type AdmissionState, type Entry, injectionContext } from './state.ts';

export interface PodAdmissionOptions {
  readonly state: AdmissionState;
  readonly settings: InjectionSettings;
  /** Where Events go; must not throw. */
  readonly recordEvent: (subject: EventSubject, details: EventDetails) => void;
  readonly metrics: MetricSet<typeof admissionMetrics>;
  readonly logger: Logger;
}

/** Skips of pods that nobody asked to inject are no news. */
const quietSkips: ReadonlySet<string> = new Set([
  'NotRequested',
  'OwnNamespace',
  'ExcludedNamespace',
]);
/** Skips that are as they should be. */
const normalSkips: ReadonlySet<string> = new Set(['OptedOut', 'IsTarget']);

export class PodAdmission {
  readonly #options: PodAdmissionOptions;

  constructor(options: PodAdmissionOptions) {
    this.#options = options;
  }

  /**
   * The pod may be shown here twice, when others changed it after us: what comes of it is told by `verify`,
   * but for refusals, which end it. Throws ReviewProblem for what is no pod.
   */
  async mutate(request: AdmissionRequest, entry: Entry): Promise<AdmissionVerdict> {
    if (request.operation !== 'CREATE') return { allowed: true };
    const pod = readPod(request);
    const { state, settings } = this.#options;
    const context = await injectionContext(state, settings, request.namespace, entry);
    const outcome = renderPod(pod, context);
    switch (outcome.outcome) {
      case 'Refused':
        this.#tell(request, pod, outcome, undefined);
        return refusal(outcome);
      case 'Skipped':
        return {
          allowed: true,
          ...(!quietSkips.has(outcome.reason) && {
            warnings: [`not governed by Chaperone (${outcome.reason}): ${outcome.message}`],
          }),
        };
      case 'Injected': {
        const vain = vainOptOut(pod, context.namespace);
        return {
          allowed: true,
          patch: jsonPatch(pod, outcome.pod),
          warnings: [
            ...(vain === undefined ? [] : [vain]),
            ...outcome.warnings.map(({ message }) => message),
          ],
        };
      }
    }
  }

  /** Comes once, at the end of an admission. Throws ReviewProblem for what is no pod. */
  async verify(request: AdmissionRequest, entry: Entry): Promise<AdmissionVerdict> {
    if (request.operation !== 'CREATE') return { allowed: true };
    const pod = readPod(request);
    const { state, settings } = this.#options;
    const context = await injectionContext(state, settings, request.namespace, entry);
    const outcome = verifyPod(pod, context);
    this.#tell(request, pod, outcome, vainOptOut(pod, context.namespace));
    return outcome.outcome === 'Refused' ? refusal(outcome) : { allowed: true };
  }

  /** `vain`: see vainOptOut. */
  #tell(
    request: AdmissionRequest,
    pod: CheckedPod,
    outcome: InjectionOutcome,
    vain: string | undefined,
  ): void {
    const { metrics, logger, recordEvent } = this.#options;
    const owner = ownerOf(pod, request.namespace);
    const fields = {
      namespace: request.namespace,
      pod: pod.metadata?.name ?? `${pod.metadata?.generateName ?? ''}*`,
      ...(owner !== undefined && { owner: `${owner.kind} ${owner.name}` }),
      outcome: outcome.outcome,
      ...(outcome.outcome !== 'Injected' && { reason: outcome.reason, why: outcome.message }),
      ...(outcome.outcome === 'Injected' && summary(outcome)),
      ...(outcome.outcome === 'Injected' && vain !== undefined && { optOutIgnored: true }),
      dryRun: request.dryRun,
    };
    const quiet = outcome.outcome === 'Skipped' && quietSkips.has(outcome.reason);
    if (quiet) logger.debug(fields, 'pod reviewed');
    else logger.info(fields, 'pod reviewed');
    // A dry run is to leave nothing behind.
    if (request.dryRun) return;
    const reason = outcome.outcome === 'Injected' ? 'None' : outcome.reason;
    metrics.injections.inc({ outcome: outcome.outcome, reason });
    if (outcome.outcome === 'Injected') {
      if (vain !== undefined && owner !== undefined) {
        const reason = 'OptOutIgnored';
        recordEvent(owner, { type: 'Warning', reason, action: 'Inject', note: vain });
      }
      for (const warning of outcome.warnings) {
        metrics.unmapped.inc({ reason: warning.reason });
      }
      if (owner === undefined) return;
      for (const { reason: why, message } of outcome.warnings.slice(0, maxToldWarnings)) {
        recordEvent(owner, { type: 'Warning', reason: why, action: 'Inject', note: message });
      }
      return;
    }
    // A refusal reaches the owner's Events by whoever could not create the pod.
    if (outcome.outcome === 'Refused' || quiet || owner === undefined) return;
    recordEvent(owner, {
      type: normalSkips.has(outcome.reason) ? 'Normal' : 'Warning',
      reason: outcome.reason,
      action: 'Inject',
      note: `Pods are not governed by Chaperone: ${outcome.message}.`,
    });
  }
}

function readPod({ object }: AdmissionRequest): CheckedPod {
  const problem = podProblem(object);
  if (problem !== undefined) throw new ReviewProblem(`request.object: ${problem}`);
  return object as CheckedPod;
}

const refusal = ({ reason, message, hint }: Refused): AdmissionVerdict => ({
  allowed: false,
  message: `CHP-8001 ${reason}: ${message}. ${hint}`,
});

const summary = ({ targets, warnings }: Injected): object => ({
  targets: targets.length,
  ...(warnings.length > 0 && { unmapped: warnings.length }),
});

/** The controller that made the pod: the pod itself has no name and no uid yet. */
function ownerOf({ metadata }: CheckedPod, namespace: string): EventSubject | undefined {
  const owner = metadata?.ownerReferences?.find(({ controller }) => controller === true);
  if (owner === undefined) return undefined;
  const { apiVersion, kind, name, uid } = owner;
  return { apiVersion, kind, namespace, name, uid };
}
