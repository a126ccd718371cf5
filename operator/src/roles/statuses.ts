/** Statuses of resources, written while this replica leads. */

import {
  type StatusController,
  startStatusController,
} from '@chaperone/control/controllers/status-controller.ts';
import type { StatusOptions } from '@chaperone/control/controllers/statuses.ts';
import type { StoredKind } from '@chaperone/control/store/resource-store.ts';
import type { ResourceKind } from '@chaperone/core/resources/types.ts';
import { InvalidObjects } from '../controllers/invalid-objects.ts';
import { StatusEvents } from '../controllers/status-events.ts';
import { KubernetesStore } from '../kubernetes/kubernetes-store.ts';
import type { Part } from '../runtime/lifecycle.ts';
import type { Program } from './program.ts';

/** Changes that come together are looked at together. */
const debounceMs = 200;

/** Statuses of some kinds, from a store of the program's own. */
export interface Statuses {
  /** Followed by the program's manager. */
  readonly store: KubernetesStore;
  /** What writes them, made anew: to run while this replica leads. */
  parts(): readonly Part[];
  /** Asks for another look. */
  touch(): void;
}

export interface StatusesOptions {
  /** What the store watches. */
  readonly watched: readonly StoredKind[];
  readonly targetNamespaces: readonly string[];
  /** Whose statuses are written here; other kinds' are others' business. */
  readonly kinds: readonly ResourceKind[];
  readonly statuses: Omit<StatusOptions, 'kinds'>;
}

export function addStatuses(program: Program, options: StatusesOptions): Statuses {
  const { api, clock, random, logger, metrics, events } = program;
  const { watched, targetNamespaces, kinds, statuses } = options;
  const fieldManager = `chaperone-${program.role}`;
  let invalid: InvalidObjects | undefined;
  let controller: StatusController | undefined;
  const store: KubernetesStore = new KubernetesStore({
    api,
    kinds: watched,
    targetNamespaces,
    fieldManager,
    onInvalid: (object) => invalid?.add(object),
    clock,
    random,
    logger,
    metrics,
  });
  program.addCache(store, store.reflectors);

  const invalidObjects = (): Part => {
    const made = new InvalidObjects({
      api,
      kinds,
      store,
      events,
      fieldManager,
      clock,
      logger,
      metrics,
    });
    return {
      start() {
        invalid = made;
        for (const object of store.invalid()) made.add(object);
        made.controller.start();
      },
      stop: () => made.controller.stop(),
    };
  };
  const statusController = (): Part => {
    const told = new StatusEvents({
      record: (subject, event) => events.record(subject, event),
      clock,
    });
    return {
      start() {
        controller = startStatusController({
          store,
          clock,
          debounceMs,
          kinds,
          ...statuses,
          onWritten: (written) => told.written(written),
          onError: (error) => logger.error({ err: error }, 'a status could not be written'),
        });
      },
      async stop() {
        controller?.stop();
        await controller?.settled();
        told.stop();
      },
    };
  };
  return {
    store,
    parts: () => [invalidObjects(), statusController()],
    touch: () => controller?.touch(),
  };
}
