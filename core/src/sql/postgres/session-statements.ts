import type { VariableSetStmt } from 'libpg-query';
import type { SessionEffects, StatementAnalysis } from '../operation.ts';
import { finish } from './analyze.ts';
import { bodyOf, type Node, stringOf, tagOf } from './ast.ts';
import { expandBeneath } from './beneath.ts';
import { changesResolution } from './calls.ts';
import { analyzeEach } from './expressions.ts';
import { Run } from './run.ts';
import { newScope } from './scope.ts';
import { settingOperation, showOperation } from './settings.ts';
import { analyzeInner, plainColumn, type StatementHandlers } from './statement.ts';
import { resolveType } from './types.ts';

/** FETCH and DECLARE: CURSOR_OPT_HOLD of parsenodes.h. */
const cursorHold = 0x0020;

const transactionKinds: Readonly<Record<string, SessionEffects['transaction']>> = {
  TRANS_STMT_BEGIN: 'Begin',
  TRANS_STMT_START: 'Begin',
  TRANS_STMT_COMMIT: 'Commit',
  TRANS_STMT_ROLLBACK: 'Rollback',
  TRANS_STMT_SAVEPOINT: 'Savepoint',
  TRANS_STMT_RELEASE: 'Release',
  TRANS_STMT_ROLLBACK_TO: 'RollbackTo',
  TRANS_STMT_PREPARE: 'TwoPhase',
  TRANS_STMT_COMMIT_PREPARED: 'TwoPhase',
  TRANS_STMT_ROLLBACK_PREPARED: 'TwoPhase',
};

const discards: Readonly<Record<string, NonNullable<SessionEffects['discard']>>> = {
  DISCARD_ALL: 'All',
  DISCARD_PLANS: 'Plans',
  DISCARD_SEQUENCES: 'Sequences',
  DISCARD_TEMP: 'Temp',
};

/** Statements about the session: transactions, settings, prepared statements, cursors, channels. */
export const sessionHandlers: StatementHandlers = {
  TransactionStmt: (run, body) => {
    run.ignore(body.options);
    const transaction = transactionKinds[body.kind ?? ''];
    if (transaction === undefined) {
      run.unknown(`transaction statement ${body.kind}`);
      return undefined;
    }
    if (transaction === 'TwoPhase') {
      // A transaction that outlives the session, or another session's, ends outside any record of it.
      run.findings.add('System', [run.context.database]);
    }
    const undoes = transaction === 'Rollback' || transaction === 'RollbackTo';
    run.effects = {
      transaction,
      ...(body.chain === true && { chain: true }),
      ...(undoes || transaction === 'TwoPhase' ? { resolution: true } : undefined),
    };
    return undefined;
  },
  VariableSetStmt: (run, body) => {
    analyzeSet(run, body);
    return undefined;
  },
  VariableShowStmt: (run, body) => {
    const name = body.name ?? '';
    const operation = showOperation(name, run.context.database);
    if (operation !== null) run.findings.add('Show', operation.resource);
    return name === 'all'
      ? ['name', 'setting', 'description'].map((column) => plainColumn(column))
      : [plainColumn(name)];
  },
  DiscardStmt: (run, body) => {
    const discard = discards[body.target ?? ''];
    if (discard === undefined) run.unknown(`DISCARD ${body.target}`);
    else {
      run.effects = {
        discard,
        resolution: true,
        ...(discard === 'All' || discard === 'Temp' ? { catalog: true } : undefined),
      };
    }
    return undefined;
  },
  PrepareStmt: (run, body) => {
    for (const node of body.argtypes ?? []) {
      const type = bodyOf(node, 'TypeName');
      if (type !== undefined) resolveType(run, type);
    }
    const inner = analyzeHeld(run, body.query);
    run.effects = { ...effectsOfHeld(inner), prepare: { name: body.name ?? '', inner } };
    return undefined;
  },
  ExecuteStmt: (run, body) => {
    analyzeEach(run, newScope(undefined), body.params);
    run.effects = { ...run.effects, execute: { name: body.name ?? '' } };
    return undefined;
  },
  DeallocateStmt: (run, body) => {
    run.effects = { deallocate: { name: body.isall === true ? null : (body.name ?? '') } };
    return undefined;
  },
  DeclareCursorStmt: (run, body) => {
    const inner = analyzeHeld(run, body.query);
    const hold = ((body.options ?? 0) & cursorHold) !== 0;
    run.effects = {
      ...effectsOfHeld(inner),
      declare: { name: body.portalname ?? '', hold, inner },
    };
    return undefined;
  },
  FetchStmt: (run, body) => {
    run.effects = { fetch: { name: body.portalname ?? '', returnsRows: body.ismove !== true } };
    return undefined;
  },
  ClosePortalStmt: (run, body) => {
    run.effects = { closeCursor: { name: body.portalname ?? null } };
    return undefined;
  },
  ListenStmt: (run, body) => {
    run.findings.add('Listen', [run.context.database, body.conditionname ?? '']);
    return undefined;
  },
  UnlistenStmt: () => undefined,
  NotifyStmt: (run, body) => {
    run.findings.add('Notify', [run.context.database, body.conditionname ?? '']);
    return undefined;
  },
  ConstraintsSetStmt: (run, body) => {
    run.ignore(body.constraints);
    return undefined;
  },
};

/**
 * A statement kept for later, under PREPARE or in a cursor. Its operations are reported now as well: what
 * could never be allowed is refused before it is kept.
 */
function analyzeHeld(run: Run, query: Node | undefined): StatementAnalysis {
  const inner = new Run(run.context, false, run.budget);
  const outputs = analyzeInner(inner, query);
  inner.sweep(query);
  expandBeneath(inner);
  run.ignore(query);
  run.hasWhere = inner.hasWhere;
  run.findings.adopt(inner.findings);
  return finish(inner, query === undefined ? '' : tagOf(query), outputs);
}

/** Of the kept statement's effects, what holds for the one that keeps it. */
function effectsOfHeld(inner: StatementAnalysis): SessionEffects {
  const { resolution, catalog } = inner.effects;
  return {
    ...(resolution === true ? { resolution } : undefined),
    ...(catalog === true ? { catalog } : undefined),
  };
}

function analyzeSet(run: Run, body: VariableSetStmt): void {
  const name = body.name ?? '';
  switch (body.kind) {
    case 'VAR_RESET_ALL':
      run.effects = { resolution: true };
      return;
    case 'VAR_SET_VALUE':
      run.ignore(body.args);
      set(run, name, settingValue(body.args));
      return;
    case 'VAR_SET_DEFAULT':
    case 'VAR_RESET':
      run.effects = { resolution: true };
      set(run, name, undefined);
      return;
    case 'VAR_SET_CURRENT':
      // FROM CURRENT belongs to functions; of a session it changes nothing that is not so already.
      set(run, name, '');
      return;
    case 'VAR_SET_MULTI':
      run.ignore(body.args);
      if (name === 'TRANSACTION' || name === 'SESSION CHARACTERISTICS') return;
      set(run, 'transaction_snapshot', '');
      return;
    default:
      run.unknown(`SET of kind ${body.kind}`);
  }
}

function set(run: Run, name: string, value: string | undefined): void {
  const operation = settingOperation(name, value, run.context.database);
  if (operation !== null) {
    run.findings.add(operation.verb, operation.resource, {
      ...(operation.reason === undefined ? undefined : { reason: operation.reason }),
    });
  }
  if (changesResolution(name)) run.effects = { ...run.effects, resolution: true };
}

/** The value as one text; a list is joined as PostgreSQL does. An odd one is '\0', which no list knows. */
function settingValue(args: readonly Node[] | undefined): string {
  const values = (args ?? []).map((node) => {
    const constant = bodyOf(node, 'A_Const');
    if (constant?.sval !== undefined) return constant.sval.sval ?? '';
    if (constant?.ival !== undefined) return String(constant.ival.ival ?? 0);
    if (constant?.fval !== undefined) return constant.fval.fval ?? '';
    if (constant?.boolval !== undefined) return String(constant.boolval.boolval ?? false);
    return stringOf(node) ?? '\0';
  });
  return values.join(', ');
}
