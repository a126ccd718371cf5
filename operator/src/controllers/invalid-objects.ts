/**
 * Objects that the API server has and that are not valid, such as those stored before a rule of their schema
 * existed: they count as absent, and say so themselves.
 */
import { conditionsOf } from '@chaperone/control/controllers/conditions.ts';
import { formatProblem } from '@chaperone/core/resources/problem.ts';
import type { Condition, ResourceKind } from '@chaperone/core/resources/types.ts';
import type { Clock } from '@chaperone/runtime/clock.ts';
import type { Logger } from '@chaperone/runtime/logging/logger.ts';
import { ApiError } from '../kubernetes/api-error.ts';
import type { KubernetesApi } from '../kubernetes/client.ts';
import { Controller } from '../kubernetes/controller.ts';
import type { EventRecorder } from '../kubernetes/event-recorder.ts';
import type { KubernetesStore } from '../kubernetes/kubernetes-store.ts';
import type { KubernetesMetrics } from '../kubernetes/metrics.ts';
import { resourceTypes } from '../kubernetes/resource-types.ts';
import { type InvalidObject, isResourceKind } from '../kubernetes/stored-object.ts';

export interface InvalidObjectsOptions {
  readonly api: KubernetesApi;
  /** Whose statuses are written here. */
  readonly kinds: readonly ResourceKind[];
  /** What is not valid now; see KubernetesStore. */
  readonly store: KubernetesStore;
  readonly events: EventRecorder;
  readonly fieldManager: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: KubernetesMetrics;
}

const maxProblems = 5;

export class InvalidObjects {
  readonly controller: Controller;
  readonly #options: InvalidObjectsOptions;

  constructor(options: InvalidObjectsOptions) {
    const { clock, logger, metrics } = options;
    this.#options = options;
    this.controller = new Controller({
      name: 'invalid-objects',
      reconcile: async (key) => {
        await this.#reconcile(key);
        return undefined;
      },
      clock,
      logger,
      metrics,
    });
  }

  /** For the store's onInvalid. */
  add(invalid: InvalidObject): void {
    const { kind } = invalid;
    if (isResourceKind(kind) && this.#options.kinds.includes(kind)) {
      this.controller.add(keyOf(invalid));
    }
  }

  async #reconcile(key: string): Promise<void> {
    const invalid = this.#options.store.invalid().find((one) => keyOf(one) === key);
    if (invalid === undefined) return;
    const { api, clock, events, fieldManager } = this.#options;
    const { object, problems } = invalid;
    const kind = invalid.kind as ResourceKind;
    const { namespace = '', name, uid, generation = 0, resourceVersion } = object.metadata;
    const shown = problems.slice(0, maxProblems).map((problem) => formatProblem(problem, name));
    const message = `it counts as absent until it is corrected: ${shown.join('; ')}`.slice(
      0,
      maxMessageChars,
    );
    const before = conditionsBefore(object.status);
    const finding = { type: 'Ready', holds: false, reason: 'InvalidSpec', message };
    const conditions = conditionsOf([finding], before, generation, clock.nowMs());
    if (JSON.stringify(conditions) === JSON.stringify(before)) return;
    const status = { observedGeneration: generation, conditions };
    try {
      await api.mergePatch(
        resourceTypes[kind],
        { namespace, name, subresource: 'status' },
        { metadata: { uid, resourceVersion }, status },
        { fieldManager },
      );
    } catch (error) {
      // Changed meanwhile: the watch brings what it is now.
      if (!(error instanceof ApiError && (error.isNotFound || error.isConflict))) throw error;
      return;
    }
    events.record(
      { apiVersion: object.apiVersion, kind, namespace, name, uid },
      { type: 'Warning', reason: 'InvalidSpec', action: 'SetReady', note: message },
    );
  }
}

/** Of a condition's message. */
const maxMessageChars = 4096;

const keyOf = ({ kind, object }: InvalidObject): string =>
  `${kind} ${object.metadata.namespace ?? ''}/${object.metadata.name}`;

function conditionsBefore(status: unknown): readonly Condition[] {
  const { conditions } = (status ?? {}) as { readonly conditions?: unknown };
  return Array.isArray(conditions) ? (conditions as readonly Condition[]) : [];
}
