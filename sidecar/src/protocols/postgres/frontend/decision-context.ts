/**
 * Decisions that hold as long as nothing they depend on changes: one context per policy snapshot, catalog,
 * database, role and search path (decisions 3), shared by all sessions for which these are the same. Within
 * it, a text is looked up as it stands, then by its normal form; it is parsed on a double miss only.
 */
import { hash } from 'node:crypto';
import type { OperationDecided } from '@chaperone/core/events/types.ts';
import type { TargetPolicy } from '@chaperone/core/policy/compile.ts';
import { decide, observedPermit } from '@chaperone/core/policy/decide.ts';
import { effectiveLimits } from '@chaperone/core/policy/limits.ts';
import type {
  Decided,
  Hold,
  Permit,
  Refusal,
  RequestContext,
  RuleRef,
} from '@chaperone/core/policy/types.ts';
import type { Analysis, StatementAnalysis } from '@chaperone/core/sql/operation.ts';
import { analyze } from '@chaperone/core/sql/postgres/analyze.ts';
import type { Catalog } from '@chaperone/core/sql/postgres/catalog.ts';
import { normalize } from '@chaperone/core/sql/postgres/normalize.ts';
import type { PolicyView } from '../../../policy-views.ts';
import { isBoundedWrite } from './bounded-writes.ts';
import { isChangeThatMayBeCut } from './limited-results.ts';
import { TextBudget, TextCache } from './text-cache.ts';

export type Limits = ReturnType<typeof effectiveLimits>;

/** What one statement may do, decided. */
export interface DecidedStatement {
  readonly analysis: StatementAnalysis;
  /** Present when the statement may go out (always under Observe). */
  readonly permit?: Permit;
  /** Present when it must not. */
  readonly refusal?: Refusal | Hold;
  readonly limits: Limits;
  /** The rule of a mask that its column's type, known beforehand, cannot keep: then it must not go out. */
  readonly unmaskable?: RuleRef;
  /** Epoch ms; see `Decided`. */
  readonly validUntilMs: number;
  /** The body of its OperationDecided, the same object each time, so that it is encoded once. */
  readonly event: OperationDecided;
}

/** One text, analyzed and redacted. */
export interface AnalyzedText {
  readonly analysis: Analysis;
  readonly redacted: string;
  readonly fingerprint: string;
}

/** All that a decision depends on besides the statement and the request. */
export interface ContextKey {
  readonly policy: TargetPolicy;
  readonly policyDigest: string;
  readonly catalog: Catalog;
  readonly database: string;
  readonly currentUser: string;
  readonly searchPath: readonly string[];
  /** See `AnalyzeContext`; undefined where the setting cannot be read. */
  readonly pathSetting?: readonly string[] | undefined;
}

export class DecisionContext {
  readonly key: ContextKey;
  /** Texts that had to be analyzed, for they were not found. */
  misses = 0;
  readonly #fingerprint: (normalForm: string) => string;
  readonly #exact: TextCache<AnalyzedText>;
  readonly #normal: TextCache<AnalyzedText>;
  readonly #decided = new WeakMap<
    StatementAnalysis,
    Map<OperationDecided['protocol'], DecidedStatement>
  >();

  constructor(
    key: ContextKey,
    fingerprint: (normalForm: string) => string,
    budget = new TextBudget(),
  ) {
    this.key = key;
    this.#fingerprint = fingerprint;
    this.#exact = new TextCache(budget);
    this.#normal = new TextCache(budget);
  }

  /** Forgets the texts; sessions that still hold the context may go on with it. */
  clear(): void {
    this.#exact.clear();
    this.#normal.clear();
  }

  /** Analyzes a text, or finds what was made of it before. `parameterTypes`: those declared in Parse. */
  analyze(text: string, parameterTypes: readonly number[] = []): AnalyzedText {
    const exactKey = parameterTypes.length === 0 ? text : `${parameterTypes.join(',')}\0${text}`;
    let found = this.#exact.get(exactKey);
    if (found !== undefined) return found;

    const { normalForm, redacted, safe } = normalize(text);
    const normalKey =
      parameterTypes.length === 0 ? normalForm : `${parameterTypes.join(',')}\0${normalForm}`;
    if (safe) found = this.#normal.get(normalKey);
    if (found === undefined) {
      this.misses += 1;
      const { catalog, database, currentUser, searchPath, pathSetting } = this.key;
      const analysis = analyze(text, {
        catalog,
        database,
        currentUser,
        searchPath,
        ...(pathSetting && { pathSetting }),
        parameterTypes,
      });
      found = { analysis, redacted, fingerprint: this.#fingerprint(normalForm) };
      if (safe && analysis.failure === undefined) this.#normal.set(normalKey, found);
    }
    this.#exact.set(exactKey, found);
    return found;
  }

  /** Decides one analyzed statement, or finds the decision while it is valid. */
  decide(
    statement: StatementAnalysis,
    fingerprint: string,
    protocol: OperationDecided['protocol'],
    request: RequestContext,
  ): DecidedStatement {
    let byProtocol = this.#decided.get(statement);
    const found = byProtocol?.get(protocol);
    if (found !== undefined && request.nowMs < found.validUntilMs) return found;
    const made = this.#decide(statement, fingerprint, protocol, request);
    if (made.validUntilMs > request.nowMs) {
      byProtocol ??= new Map();
      byProtocol.set(protocol, made);
      this.#decided.set(statement, byProtocol);
    }
    return made;
  }

  #decide(
    statement: StatementAnalysis,
    fingerprint: string,
    protocol: OperationDecided['protocol'],
    request: RequestContext,
  ): DecidedStatement {
    const { policy, policyDigest } = this.key;
    const enforced = policy.bundle.target.enforcement === 'Enforce';
    const decided: Decided = decide(policy, statement, request);
    const { decision } = decided;
    const permit = enforced
      ? decision.verdict === 'Allow'
        ? decision
        : undefined
      : observedPermit(decided);
    const refusal = permit === undefined && decision.verdict !== 'Allow' ? decision : undefined;
    const rule = decision.verdict === 'Allow' ? undefined : decision.rule;
    const limits = effectiveLimits(permit?.limits ?? []);
    // The result of a simple Query is described before its rows, and its masks are bound by that; unless it
    // is a COPY, or goes out as messages of the extended protocol.
    const typesCome =
      protocol === 'Simple' &&
      statement.effects.copy === undefined &&
      !isBoundedWrite({ analysis: statement, limits }) &&
      !isChangeThatMayBeCut({ analysis: statement, limits, ...(permit && { permit }) });
    const unmaskable = permit && unmaskableRule(permit, statement, typesCome);
    return {
      analysis: statement,
      ...(permit && { permit }),
      ...(refusal && { refusal }),
      ...(unmaskable && { unmaskable }),
      limits,
      validUntilMs: decided.validUntilMs,
      event: {
        type: 'OperationDecided',
        verdict: decision.verdict,
        enforced,
        rules: decision.verdict === 'Allow' ? decision.rules : rule ? [rule] : [],
        ...(decision.verdict === 'Deny' && { reason: decision.reason }),
        ...(decision.verdict === 'RequireApproval' && { reason: 'ApprovalRequired' }),
        operations: statement.operations,
        fingerprint,
        wouldDeny: decision.wouldDeny,
        policyDigest,
        masks: [
          ...new Set(
            (permit?.masks.columns ?? []).flatMap((mask) => (mask === null ? [] : [mask.rule])),
          ),
        ],
        exemptions: permit?.masks.exemptionsUsed ?? [],
        protocol,
      },
    };
  }
}

/** `typesCome`: a type that is not known now is told before the rows. */
function unmaskableRule(
  permit: Permit,
  { outputs }: StatementAnalysis,
  typesCome: boolean,
): RuleRef | undefined {
  const mask = permit.masks.columns.find((planned, index) => {
    if (planned === null) return false;
    const typeOid = planned.typeOid ?? outputs?.[index]?.typeOid;
    if (typeOid === undefined && typesCome) return false;
    return planned.bind(typeOid, 0) === undefined;
  });
  return mask?.rule;
}

const maxContexts = 256;

/** The contexts in use, found by what they depend on. */
export class DecisionContexts {
  /** The one asked for last at the end. */
  readonly #contexts = new Map<string, DecisionContext>();
  readonly #fingerprint: (normalForm: string) => string;
  readonly #budget = new TextBudget();
  readonly #policyIds = new WeakMap<TargetPolicy, number>();
  #nextPolicyId = 1;

  constructor(fingerprint: (normalForm: string) => string) {
    this.#fingerprint = fingerprint;
  }

  get(key: ContextKey): DecisionContext {
    let policyId = this.#policyIds.get(key.policy);
    if (policyId === undefined) {
      policyId = this.#nextPolicyId++;
      this.#policyIds.set(key.policy, policyId);
      this.#supersede(key.policy);
    }
    const all = [
      policyId,
      key.catalog.version,
      key.database,
      key.currentUser,
      key.searchPath,
      key.pathSetting,
    ];
    const id = hash('sha256', JSON.stringify(all), 'base64');
    const context =
      this.#contexts.get(id) ?? new DecisionContext(key, this.#fingerprint, this.#budget);
    this.#contexts.delete(id);
    this.#contexts.set(id, context);
    for (const oldest of this.#contexts.keys()) {
      if (this.#contexts.size <= maxContexts) break;
      this.#drop(oldest);
    }
    return context;
  }

  /** Contexts held. */
  get size(): number {
    return this.#contexts.size;
  }

  /** Sessions go over to a new policy together: what was decided by the one before is not asked for again. */
  #supersede({ identity, bundle }: TargetPolicy): void {
    for (const [id, { key }] of this.#contexts) {
      const { policy: former } = key;
      const isSame =
        former.identity.uid === identity.uid && former.bundle.target.uid === bundle.target.uid;
      if (isSame) this.#drop(id);
    }
  }

  #drop(id: string): void {
    this.#contexts.get(id)?.clear();
    this.#contexts.delete(id);
  }
}

/** What a session begins with, before its catalog is read: nothing resolves in it. */
export function emptyContext(view: PolicyView, database: string): DecisionContext {
  const catalog: Catalog = {
    version: '',
    database,
    serverVersion: 0,
    schemas: new Set(),
    tempSchema: undefined,
    isPrivate: true,
    hasEventTriggers: false,
    isUtf8: false,
    hasSchemaDefaults: true,
    relationByOid: () => undefined,
    relation: () => undefined,
    relations: () => [],
    functionSchemas: () => [],
    operatorSchemas: () => [],
    typeSchemas: () => [],
    plainTypeSchemas: () => [],
    otherSchemas: () => [],
    isBuiltin: () => true,
    hasUserCast: () => true,
    baseType: (typeOid) => typeOid,
  };
  const key = {
    policy: view.policy,
    policyDigest: view.digest,
    catalog,
    database,
    currentUser: '',
    searchPath: [],
  };
  return new DecisionContext(key, () => '');
}
