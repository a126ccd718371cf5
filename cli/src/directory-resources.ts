/** What every program over a directory of resources does with it. */
import { statSync } from 'node:fs';
import type { BackendReports } from '@chaperone/control/controllers/backend-reports.ts';
import { watchReferences } from '@chaperone/control/controllers/references.ts';
import { startStatusController } from '@chaperone/control/controllers/status-controller.ts';
import { DirectoryStore, formatPlaced } from '@chaperone/control/store/directory-store.ts';
import { formatProblem } from '@chaperone/core/resources/problem.ts';
import type { Clock } from '@chaperone/runtime/clock.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import type { Logger } from '@chaperone/runtime/logging/logger.ts';

/** Throws CHP-1004 for what is no directory. */
export function requireDirectory(directory: string): void {
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() === true) return;
  throw new ChaperoneError('CHP-1004', `${directory} is not a directory`, {
    hint: 'Name the directory that holds the YAML files of the resources.',
  });
}

/** The directory's resources; problems of its files are logged. */
export function openDirectoryStore(
  options: Omit<Parameters<typeof DirectoryStore.open>[0], 'onProblems'>,
  logger: Logger,
): Promise<DirectoryStore> {
  return DirectoryStore.open({
    ...options,
    onProblems: (problems) => {
      for (const problem of problems) logger.warn({ code: 'CHP-1010' }, formatPlaced(problem));
    },
  });
}

/**
 * Keeps the status of every resource true, has `backends` take reports and logs references that do not resolve,
 * until the returned function is called; it resolves once nothing is written any more.
 */
export function watchResources(
  store: DirectoryStore,
  {
    clock,
    logger,
    backends,
  }: { readonly clock: Clock; readonly logger: Logger; readonly backends: BackendReports },
): () => Promise<void> {
  const statuses = startStatusController({
    store,
    clock,
    backends,
    onError: (error) => logger.error({ err: error }, 'a status could not be written'),
  });
  backends.start(() => statuses.touch());
  const unwatchReferences = watchReferences(store, ({ object, path, message }) =>
    logger.warn(
      { code: 'CHP-1011' },
      formatProblem({ severity: 'Warning', path, message }, object),
    ),
  );
  return async () => {
    backends.stop();
    statuses.stop();
    unwatchReferences();
    await statuses.settled();
  };
}
