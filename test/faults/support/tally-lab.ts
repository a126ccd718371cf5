/** A database whose rows are tallied, behind a stage at which its connections can be held and reset. */
import { identity, type Resource } from '../../support/chaperone.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { Stage } from './stage.ts';
import { levelPolicies, levels } from './tally.ts';

export interface TallyLab {
  readonly postgres: TestPostgres;
  readonly stage: Stage;
  /** Starts a proxy over the stage, with an identity for each durability. */
  readonly proxy: {
    readonly postgres: TestPostgres;
    readonly resources: Resource[];
  };
}

export async function startTallyLab(): Promise<TallyLab> {
  const postgres = await startPostgres({ version: 18 });
  await postgres.query('CREATE DATABASE tally');
  await postgres.query('CREATE TABLE done (id text)', [], 'tally');
  const stage = new Stage(postgres.port);
  const port = await stage.listen();
  return {
    postgres,
    stage,
    proxy: {
      postgres: { ...postgres, port } as TestPostgres,
      resources: [...levelPolicies, ...levels.map((level) => identity(level.toLowerCase()))],
    },
  };
}
