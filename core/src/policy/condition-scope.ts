import type { Operation, StatementAnalysis } from '../sql/operation.ts';
import { formatResource } from './resource-pattern.ts';
import type { BundleIdentity, BundleTarget, RequestContext } from './types.ts';

/** The variables of a rule's `when`. Classes, since CEL's declarations are bound to constructors. */
export class OwnerScope {
  readonly team: string;
  /** Empty when the identity names none. */
  readonly contact: string;
  constructor(owner: BundleIdentity['owner']) {
    this.team = owner.team;
    this.contact = owner.contact ?? '';
  }
}

export class IdentityScope {
  readonly name: string;
  readonly namespace: string;
  readonly owner: OwnerScope;
  readonly groups: readonly string[];
  /** Claims of the token that proved the identity; empty where there was none. */
  readonly claims: ReadonlyMap<string, string> = new Map();
  constructor(identity: BundleIdentity) {
    this.name = identity.name;
    this.namespace = identity.namespace;
    this.owner = new OwnerScope(identity.owner);
    this.groups = identity.groups;
  }
}

export class TargetScope {
  readonly name: string;
  readonly namespace: string;
  readonly classification: readonly string[];
  constructor(target: BundleTarget) {
    this.name = target.name;
    this.namespace = target.namespace;
    this.classification = target.classification;
  }
}

export class OperationScope {
  readonly verb: string;
  readonly class: string;
  /** Written as in a rule's `resources`: dots between the parts, quotes where a part needs them. */
  readonly resource: string;
  readonly columns: readonly string[];
  readonly sideEffects: boolean;
  constructor(operation: Operation) {
    this.verb = operation.verb;
    this.class = operation.class;
    this.resource = formatResource(operation.resource);
    this.columns = operation.columns ?? [];
    this.sideEffects = operation.sideEffects ?? false;
  }
}

export class StatementScope {
  readonly hasWhere: boolean;
  readonly relations: readonly string[];
  readonly functions: readonly string[];
  constructor(facts: StatementAnalysis['facts']) {
    this.hasWhere = facts.hasWhere;
    this.relations = facts.relations;
    this.functions = facts.functions;
  }
}

export class RequestScope {
  readonly time: Date;
  /** Empty when it is not known. */
  readonly sourceIP: string;
  /** Empty when there is none. */
  readonly ticket: string;
  constructor(request: RequestContext) {
    this.time = new Date(request.nowMs);
    this.sourceIP = request.sourceIP ?? '';
    this.ticket = request.ticket ?? '';
  }
}

/** All that one evaluation sees. */
export interface ConditionScope {
  readonly identity: IdentityScope;
  readonly target: TargetScope;
  readonly operation: OperationScope;
  readonly statement: StatementScope;
  readonly request: RequestScope;
}

/** Length of the longest list that an expression can go through. */
export function longestList(scope: ConditionScope): number {
  return Math.max(
    scope.identity.groups.length,
    scope.identity.claims.size,
    scope.target.classification.length,
    scope.operation.columns.length,
    scope.statement.relations.length,
    scope.statement.functions.length,
  );
}
