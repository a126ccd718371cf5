/** Statuses of resources, written while this replica leads. */

import {
  type StatusController,
  startStatusController,
} from '@chaperone/control/controllers/status-controller.ts';
import type { StatusOptions } from '@chaperone/control/controllers/statuses.ts';
import type { StoredKind } from '@chaperone/control/store/resource-store.ts';
import type { ResourceKind } from '@chaperone/core/resources/types.ts';
import { InvalidObjects } from '../controllers/invalid-objects.ts';
import { eventsOfStatus, subjectOf } from '../controllers/status-events.ts';
import { KubernetesStore } from '../kubernetes/kubernetes-store.ts';
import type { Program } from './program.ts';

/** Changes that come together are looked at together. */
const debounceMs = 200;

/**
 * A store over the program's API server, followed by its manager, and what writes the statuses of `kinds`
 * from it while this replica leads. `touch` asks for another look.
 */
export function addStatuses(
  program: Program,
  options: {
    /** What the store watches. */
    readonly watched: readonly StoredKind[];
    readonly targetNamespaces: readonly string[];
    /** Whose statuses are written here; other kinds' are others' business. */
    readonly kinds: readonly ResourceKind[];
    readonly statuses: Omit<StatusOptions, 'kinds'>;
  },
): { readonly store: KubernetesStore; touch(): void } {
  const { api, clock, random, logger, metrics, manager, events } = program;
  const { watched, targetNamespaces, kinds, statuses } = options;
  const fieldManager = `chaperone-${program.role}`;
  const invalid = new InvalidObjects({
    api,
    kinds,
    store: () => store,
    events,
    fieldManager,
    clock,
    logger,
    metrics,
  });
  const store: KubernetesStore = new KubernetesStore({
    api,
    kinds: watched,
    targetNamespaces,
    fieldManager,
    onInvalid: (object) => invalid.add(object),
    clock,
    random,
    logger,
    metrics,
  });
  program.addCache(store, store.reflectors);
  manager.addLeading(invalid.controller);
  let controller: StatusController | undefined;
  manager.addLeading({
    start() {
      controller = startStatusController({
        store,
        clock,
        debounceMs,
        kinds,
        ...statuses,
        onWritten(written) {
          const subject = subjectOf(written);
          for (const event of eventsOfStatus(written)) events.record(subject, event);
        },
        onError: (error) => logger.error({ err: error }, 'a status could not be written'),
      });
    },
    async stop() {
      controller?.stop();
      await controller?.settled();
    },
  });
  return { store, touch: () => controller?.touch() };
}
