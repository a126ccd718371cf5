import type { RangeVar } from 'libpg-query';
import type { Verb } from '../operation.ts';
import { bodyOf, type Node, nameParts, stringOf } from './ast.ts';
import { runsAttachedCode } from './beneath.ts';
import type { CatalogRelation } from './catalog.ts';
import { changed, wholeDatabase } from './ddl.ts';
import { analyzeEach } from './expressions.ts';
import { relationResource, resolveRelation, written } from './names.ts';
import { namedObject, rangeObject, schemaObject } from './objects.ts';
import { eachRelation } from './reach.ts';
import type { Run } from './run.ts';
import { newScope } from './scope.ts';
import type { StatementHandlers } from './statement.ts';

/** Statements about tables as a whole, privileges, code, and the server. */
export const utilityHandlers: StatementHandlers = {
  TruncateStmt: (run, body) => {
    for (const name of rangeVars(run, body.relations)) {
      const relation = existing(run, name);
      if (relation === undefined) continue;
      run.findings.add('Truncate', relationResource(run, relation), {
        relation,
        descendants: name.inh === true,
        sideEffects: runsAttachedCode('Truncate', relation, undefined),
      });
      if (body.behavior === 'DROP_CASCADE') truncateReferring(run, relation);
    }
    return undefined;
  },
  LockStmt: (run, body) => {
    for (const name of rangeVars(run, body.relations)) {
      const relation = existing(run, name);
      if (relation === undefined) continue;
      run.findings.add('Lock', relationResource(run, relation), {
        relation,
        descendants: name.inh === true,
      });
    }
    return undefined;
  },
  VacuumStmt: (run, body) => {
    run.ignore(body.options);
    if (body.rels === undefined) maintain(run, undefined);
    for (const node of body.rels ?? []) {
      const item = bodyOf(node, 'VacuumRelation');
      if (item === undefined) continue;
      run.visit(item);
      run.ignore(item.va_cols);
      maintain(run, item.relation);
    }
    return undefined;
  },
  ClusterStmt: (run, body) => {
    run.ignore(body.params);
    maintain(run, body.relation);
    return undefined;
  },
  ReindexStmt: (run, body) => {
    run.ignore(body.params);
    maintain(run, body.relation, body.kind === 'REINDEX_OBJECT_SCHEMA' ? body.name : undefined);
    return undefined;
  },
  RefreshMatViewStmt: (run, body) => {
    const name = body.relation;
    if (name === undefined) return undefined;
    run.visit(name);
    const relation = existing(run, name);
    if (relation !== undefined) {
      run.findings.add('Refresh', relationResource(run, relation), { relation });
    }
    return undefined;
  },
  DoStmt: (run, body) => {
    run.ignore(body.args);
    run.findings.add('Do', [run.context.database], { reason: 'the code of DO is not analyzed' });
    return blind(run);
  },
  CallStmt: (run, body) => {
    const call = body.funccall;
    if (call === undefined) {
      run.unknown('CALL of nothing');
      return undefined;
    }
    run.visit(call);
    const parts = nameParts(call.funcname);
    analyzeEach(run, newScope(undefined), call.args);
    run.findings.add('Call', schemaObject(run, 'function', parts), {
      reason: `procedure ${parts.join('.')} is not analyzed`,
    });
    run.findings.functions.add(parts.join('.'));
    return blind(run);
  },
  GrantStmt: (run, body) => {
    run.ignore(body.privileges);
    run.ignore(body.grantees);
    run.ignore(body.grantor);
    run.ignore(body.objects);
    const verb: Verb = body.is_grant === true ? 'Grant' : 'Revoke';
    const { database } = run.context;
    for (const node of body.objects ?? []) {
      const name = bodyOf(node, 'RangeVar');
      if (name !== undefined) {
        changed(run, verb, rangeObject(run, name), `relation ${written(name)}`);
      } else if (body.targtype === 'ACL_TARGET_ALL_IN_SCHEMA') {
        const schema = stringOf(node) ?? '';
        run.findings.add(verb, [database, schema]);
        const kinds = body.objtype === 'OBJECT_TABLE' ? 'rpvmf' : 'S';
        if (body.objtype === 'OBJECT_TABLE' || body.objtype === 'OBJECT_SEQUENCE') {
          eachRelation(run, verb, kinds, schema);
        }
      } else {
        changed(run, verb, namedObject(run, body.objtype, node) ?? wholeDatabase(run));
      }
    }
    return undefined;
  },
  GrantRoleStmt: (run, body) => {
    run.ignore(body.granted_roles);
    run.ignore(body.grantee_roles);
    run.ignore(body.opt);
    run.ignore(body.grantor);
    const verb: Verb = body.is_grant === true ? 'Grant' : 'Revoke';
    for (const node of body.granted_roles ?? []) {
      const role = bodyOf(node, 'AccessPriv')?.priv_name ?? '';
      run.findings.add(verb, [run.context.database, role]);
    }
    // Membership decides what names the session may use.
    run.effects = { ...run.effects, resolution: true };
    return undefined;
  },
  AlterDefaultPrivilegesStmt: (run, body) => {
    run.ignore(body.options);
    run.ignore(body.action);
    const verb: Verb = body.action?.is_grant === true ? 'Grant' : 'Revoke';
    run.findings.add(verb, [run.context.database]);
    // They decide whether whoever makes a schema may use it, and so what names lead to.
    if (body.action?.objtype === 'OBJECT_SCHEMA') run.effects = { ...run.effects, catalog: true };
    return undefined;
  },
};

/** The names of a list of relations, each visited. */
function rangeVars(run: Run, nodes: readonly Node[] | undefined): RangeVar[] {
  const names: RangeVar[] = [];
  for (const node of nodes ?? []) {
    const name = bodyOf(node, 'RangeVar');
    if (name === undefined) continue;
    run.visit(name);
    names.push(name);
  }
  return names;
}

/** The relation of that name; reports when there is none that may be named here. */
function existing(run: Run, name: RangeVar): CatalogRelation | undefined {
  const resolved = resolveRelation(run, name);
  if (resolved?.kind === 'Relation') return resolved.relation;
  run.unknown(
    resolved === undefined
      ? `relation ${written(name)} does not resolve`
      : `system relation ${resolved.schema}.${resolved.name}`,
  );
  return undefined;
}

/** TRUNCATE … CASCADE empties whatever refers to the relation, and what refers to that. */
function truncateReferring(run: Run, relation: CatalogRelation): void {
  const { catalog } = run.context;
  const seen = new Set([relation.oid]);
  const waiting = [...relation.referencedBy];
  for (let oid = waiting.pop(); oid !== undefined; oid = waiting.pop()) {
    if (seen.has(oid)) continue;
    seen.add(oid);
    const referring = catalog.relationByOid(oid);
    if (referring === undefined) {
      run.unknown('TRUNCATE … CASCADE of a relation that is not known');
      continue;
    }
    run.findings.add('Truncate', relationResource(run, referring), {
      relation: referring,
      reach: 'Beneath',
      sideEffects: runsAttachedCode('Truncate', referring, undefined),
    });
    waiting.push(...referring.referencedBy, ...referring.children);
  }
}

/** VACUUM, ANALYZE, CLUSTER, REINDEX: of a relation, of a schema, or of the whole database. */
function maintain(run: Run, name: RangeVar | undefined, schema?: string): void {
  if (name === undefined) {
    run.findings.add('Maintain', [run.context.database]);
    eachRelation(run, 'Maintain', 'rpm', schema);
    return;
  }
  run.visit(name);
  const object = rangeObject(run, name);
  if (object === undefined) return;
  run.findings.add('Maintain', object.resource, { relation: object.relation, descendants: true });
}

/** What code does that is not analyzed: anything. */
function blind(run: Run): undefined {
  run.findings.userCode = true;
  run.effects = { ...run.effects, catalog: true, resolution: true };
  return undefined;
}
