import type { AlterTableCmd, AlterTableStmt, RenameStmt } from 'libpg-query';
import { bodyOf } from './ast.ts';
import type { CatalogRelation } from './catalog.ts';
import { columnType, dependencies, type Place } from './text-columns.ts';
import {
  addColumn,
  addConstraint,
  addOwnSequence,
  namedRelation,
  standsAlone,
} from './text-tables.ts';

/** Subcommands of ALTER TABLE that change nothing of what the catalog holds, or take from it what it may go on claiming. */
const unnoted: ReadonlySet<string> = new Set([
  'AT_ChangeOwner',
  'AT_ClusterOn',
  'AT_DisableRowSecurity',
  'AT_DropCluster',
  'AT_DropNotNull',
  'AT_ForceRowSecurity',
  'AT_NoForceRowSecurity',
  'AT_ReplicaIdentity',
  'AT_ResetOptions',
  'AT_ResetRelOptions',
  'AT_SetCompression',
  'AT_SetIdentity',
  'AT_SetNotNull',
  'AT_SetOptions',
  'AT_SetRelOptions',
  'AT_SetStatistics',
  'AT_SetStorage',
  'AT_ValidateConstraint',
]);

/** Names that stand no more, or may not, where which these are is not told. */
export type Lost = (name: string) => void;

/** ALTER TABLE: each of its parts; `lost` takes the names of indexes and sequences that go along. */
export function followAlterTable(place: Place, body: AlterTableStmt, lost: Lost): boolean {
  const relation = namedRelation(place, body.relation);
  const commands = (body.cmds ?? []).flatMap((node) => bodyOf(node, 'AlterTableCmd') ?? []);
  if (commands.length !== (body.cmds ?? []).length) return false;
  if (relation === undefined) return body.missing_ok === true;
  if (commands.every(({ subtype = '' }) => unnoted.has(subtype))) return true;
  if (!standsAlone(relation)) return false;
  // As PostgreSQL does them: what is dropped makes room for what is added under its name.
  const drops = commands.filter(({ subtype }) => subtype?.startsWith('AT_Drop'));
  const others = commands.filter((command) => !drops.includes(command));
  return [...drops, ...others].every((command) => follow(place, relation.oid, command, lost));
}

function follow(place: Place, oid: number, command: AlterTableCmd, lost: Lost): boolean {
  const { text } = place;
  const relation = text.relationByOid(oid);
  const { subtype = '', name, def, missing_ok, behavior } = command;
  if (relation === undefined || behavior === 'DROP_CASCADE') return false;
  if (unnoted.has(subtype)) return true;
  const column = relation.columns.find((one) => one.name === name);
  switch (subtype) {
    case 'AT_AddColumn': {
      const added = bodyOf(def, 'ColumnDef')?.colname;
      const stands = relation.columns.some((one) => one.name === added);
      if (stands) return missing_ok === true;
      return !isRead(place, relation, hasDefinition) && addColumn(place, oid, def);
    }
    case 'AT_DropColumn':
      if (column === undefined) return missing_ok === true;
      if (isRead(place, relation, hasDefinition)) return false;
      // Which of its indexes and sequences are of this column is not told.
      loseParts(place, relation, lost);
      text.change(oid, { columns: relation.columns.filter((one) => one !== column) });
      return true;
    case 'AT_AlterColumnType': {
      const definition = bodyOf(def, 'ColumnDef');
      const type = columnType(place, definition?.typeName);
      if (column === undefined || type === undefined) return false;
      if (dependencies(place, definition?.raw_default) === undefined) return false;
      text.change(oid, {
        columns: relation.columns.map((one) =>
          one === column ? { ...one, typeOid: type.typeOid } : one,
        ),
        hasConstraintFunctions: relation.hasConstraintFunctions || type.mayRunCode,
      });
      return true;
    }
    case 'AT_ColumnDefault': {
      const uses = dependencies(place, def);
      for (const sequence of uses ?? []) text.tie(sequence.oid, ['dependents'], oid);
      return uses !== undefined && column !== undefined;
    }
    case 'AT_AddIdentity':
      if (bodyOf(def, 'Constraint')?.options !== undefined || name === undefined) return false;
      return addOwnSequence(place, relation, name);
    case 'AT_AddConstraint': {
      const constraint = bodyOf(def, 'Constraint');
      return constraint !== undefined && addConstraint(place, relation, constraint);
    }
    case 'AT_DropConstraint':
      // The index of a key has its name.
      if (name !== undefined) lost(name);
      return name !== undefined;
    case 'AT_EnableRowSecurity':
      text.change(oid, { hasRowSecurity: true });
      return true;
    default:
      return false;
  }
}

/** The names of indexes and sequences that a relation may take along when a column of it goes. */
function loseParts({ text }: Place, relation: CatalogRelation, lost: Lost): void {
  for (const oid of [...text.indexesOf(relation.oid), ...relation.dependents]) {
    const part = text.relationByOid(oid);
    if (part !== undefined && partKinds.has(part.kind)) lost(part.name);
  }
}

const partKinds: ReadonlySet<string> = new Set(['i', 'I', 'S']);

/**
 * Whether a view reads it. Its definition was printed for the columns of then: by the names that they had, which may soon
 * be those of others, and in lists of names for them in their order.
 */
function isRead({ text }: Place, { dependents }: CatalogRelation, isMeant = isView): boolean {
  text.budget.search(dependents.length);
  return dependents.some((oid) => {
    const dependent = text.relationByOid(oid);
    return dependent !== undefined && isMeant(dependent);
  });
}

const isView = ({ kind }: CatalogRelation): boolean => kind === 'v' || kind === 'm';

/** Not one of the text's own, which nothing is read through. */
const hasDefinition = (relation: CatalogRelation): boolean => isView(relation) && relation.oid > 0;

/** Of what the catalog holds names that may be others afterwards. */
const renamed: ReadonlySet<string> = new Set(['r', 'i', 'S']);

/** ALTER … RENAME of tables, columns, indexes, sequences and constraints. */
export function followRename(place: Place, body: RenameStmt, lost: Lost): boolean {
  const { text } = place;
  const { renameType, relation: name, subname, newname, missing_ok } = body;
  if (name === undefined || newname === undefined) return false;
  const relation = namedRelation(place, name);
  if (relation === undefined) return missing_ok === true;
  if (relation.parents.length > 0 || relation.children.length > 0) return false;
  if (!renamed.has(relation.kind)) return false;
  if (isRead(place, relation)) return false;
  switch (renameType) {
    case 'OBJECT_TABLE':
    case 'OBJECT_INDEX':
    case 'OBJECT_SEQUENCE':
      return text.rename(relation, newname);
    case 'OBJECT_COLUMN':
      if (relation.columns.some((one) => one.name === newname)) return false;
      text.change(relation.oid, {
        columns: relation.columns.map((one) =>
          one.name === subname ? { ...one, name: newname } : one,
        ),
      });
      return true;
    case 'OBJECT_TABCONSTRAINT':
      // The index of a key is renamed with it.
      if (subname !== undefined) lost(subname);
      lost(newname);
      return subname !== undefined;
    default:
      return false;
  }
}
