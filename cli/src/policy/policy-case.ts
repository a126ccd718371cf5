/** One question to the policies: what becomes of a statement of an identity on a target. */

import { isOfferedTo } from '@chaperone/control/controllers/attachment.ts';
import { lookUp } from '@chaperone/control/controllers/lookup.ts';
import type { Snapshot } from '@chaperone/control/controllers/snapshot.ts';
import { bundleFor } from '@chaperone/control/policy-api/bundle.ts';
import { type Simulation, simulate } from '@chaperone/core/policy/simulate.ts';
import { analyze } from '@chaperone/core/sql/postgres/analyze.ts';
import type { Catalog } from '@chaperone/core/sql/postgres/catalog.ts';
import { compileCatalog } from '@chaperone/core/sql/postgres/compile-catalog.ts';
import { namePath } from '@chaperone/core/sql/postgres/search-path.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import type { SavedCatalog } from './read-catalog.ts';

export interface Question {
  readonly identity: string;
  readonly target: string;
  readonly statement: string;
  /** Epoch milliseconds. */
  readonly nowMs: number;
  readonly sourceIP?: string;
}

export interface Answer {
  /** The worst of the statements': Deny, then RequireApproval, then Allow. */
  readonly verdict: 'Allow' | 'Deny' | 'RequireApproval';
  /** Under Observe a statement goes out whatever the verdict. */
  readonly enforcement: 'Enforce' | 'Observe';
  readonly statements: readonly Simulation[];
  /** Why there is nothing to decide: a syntax error, a cap. The verdict is then Deny. */
  readonly failure?: string;
}

/** A catalog, ready for many questions. */
export interface QuestionCatalog {
  readonly catalog: Catalog;
  readonly searchPath: readonly string[];
  /** The schemas that the setting names, whether or not they are there. */
  readonly pathSetting?: readonly string[];
  readonly currentUser: string;
}

/** Throws ChaperoneError when the file is no catalog file. */
export function openCatalog(saved: SavedCatalog): QuestionCatalog {
  if (saved?.chaperoneCatalog !== 1) {
    throw new ChaperoneError('CHP-1002', 'The catalog is not one of `chaperone policy catalog`.');
  }
  const catalog = compileCatalog(JSON.stringify(saved.catalog));
  const { searchPath, pathSetting } = namePath(saved.session, catalog);
  return {
    catalog,
    searchPath,
    ...(pathSetting && { pathSetting }),
    currentUser: saved.session.currentUser,
  };
}

/** The parser must be loaded. Throws ChaperoneError when identity or target do not exist. */
export function ask(question: Question, snapshot: Snapshot, known: QuestionCatalog): Answer {
  const identity = lookUp(snapshot, 'MachineIdentity', question.identity);
  const target = lookUp(snapshot, 'Target', question.target);
  const { enforcement } = target.spec;
  if (!isOfferedTo(target, identity.metadata.namespace, snapshot)) {
    const failure = `Target ${question.target} is not open to namespace ${identity.metadata.namespace}`;
    return { verdict: 'Deny', enforcement, statements: [], failure };
  }
  // Masks are told by their kind here, never applied, so that any key does.
  const bundle = bundleFor(identity, snapshot, Buffer.alloc(32), undefined);
  const own = bundle.targets.find((one) => one.target.uid === target.metadata.uid)!;
  const analysis = analyze(question.statement, {
    ...known,
    database: known.catalog.database,
  });
  if (analysis.failure !== undefined) {
    return { verdict: 'Deny', enforcement, statements: [], failure: analysis.failure.message };
  }
  const statements = simulate(own, bundle.identity, analysis.statements, {
    nowMs: question.nowMs,
    ...(question.sourceIP !== undefined && { sourceIP: question.sourceIP }),
  });
  const verdicts = new Set(statements.map(({ verdict }) => verdict));
  const verdict = verdicts.has('Deny')
    ? 'Deny'
    : verdicts.has('RequireApproval')
      ? 'RequireApproval'
      : 'Allow';
  return { verdict, enforcement, statements };
}
