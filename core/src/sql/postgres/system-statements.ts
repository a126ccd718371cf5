import type { ObjectType, RangeVar } from 'libpg-query';
import type { Node } from './ast.ts';
import { isRelationType, type NamedObject, namedObject, rangeObject } from './objects.ts';
import { eachRelation } from './reach.ts';
import type { Run } from './run.ts';
import type { StatementHandlers } from './statement.ts';

/** Statements about the server, the cluster or what stands in no schema: class Admin, whatever they say. */
const systemStatements = [
  'AlterCollationStmt',
  'AlterDatabaseRefreshCollStmt',
  'AlterDatabaseSetStmt',
  'AlterDatabaseStmt',
  'AlterEventTrigStmt',
  'AlterExtensionContentsStmt',
  'AlterExtensionStmt',
  'AlterFdwStmt',
  'AlterForeignServerStmt',
  'AlterOpFamilyStmt',
  'AlterOperatorStmt',
  'AlterPublicationStmt',
  'AlterRoleSetStmt',
  'AlterRoleStmt',
  'AlterSubscriptionStmt',
  'AlterSystemStmt',
  'AlterTSConfigurationStmt',
  'AlterTSDictionaryStmt',
  'AlterTableMoveAllStmt',
  'AlterTableSpaceOptionsStmt',
  'AlterUserMappingStmt',
  'CheckPointStmt',
  'CreateAmStmt',
  'CreateCastStmt',
  'CreateConversionStmt',
  'CreateEventTrigStmt',
  'CreateExtensionStmt',
  'CreateFdwStmt',
  'CreateForeignServerStmt',
  'CreateOpClassStmt',
  'CreateOpFamilyStmt',
  'CreatePLangStmt',
  'CreatePublicationStmt',
  'CreateRoleStmt',
  'CreateSubscriptionStmt',
  'CreateTableSpaceStmt',
  'CreateTransformStmt',
  'CreateUserMappingStmt',
  'CreatedbStmt',
  'DropOwnedStmt',
  'DropRoleStmt',
  'DropSubscriptionStmt',
  'DropTableSpaceStmt',
  'DropUserMappingStmt',
  'DropdbStmt',
  'ImportForeignSchemaStmt',
  'LoadStmt',
  'ReassignOwnedStmt',
  'SecLabelStmt',
] as const;

/** Of those, the ones that reach relations which they do not name, or run a script of the server's. */
const reachingFar: Partial<Record<(typeof systemStatements)[number], string>> = {
  AlterExtensionStmt: 'ALTER EXTENSION',
  AlterSubscriptionStmt: 'ALTER SUBSCRIPTION',
  AlterTableMoveAllStmt: 'ALTER … ALL IN TABLESPACE',
  CreateExtensionStmt: 'CREATE EXTENSION',
  CreateSubscriptionStmt: 'CREATE SUBSCRIPTION',
  DropOwnedStmt: 'DROP OWNED',
  ImportForeignSchemaStmt: 'IMPORT FOREIGN SCHEMA',
  ReassignOwnedStmt: 'REASSIGN OWNED',
};

/** Of those, the ones that have code called where it was not: functions, or libraries of the server's. */
const keepingCode: ReadonlySet<string> = new Set<(typeof systemStatements)[number]>([
  'AlterEventTrigStmt',
  'AlterFdwStmt',
  'AlterOpFamilyStmt',
  'AlterOperatorStmt',
  'CreateAmStmt',
  'CreateCastStmt',
  'CreateConversionStmt',
  'CreateEventTrigStmt',
  'CreateFdwStmt',
  'CreateOpClassStmt',
  'CreateOpFamilyStmt',
  'CreatePLangStmt',
  'CreateTransformStmt',
  'LoadStmt',
]);

/** Each is an operation System on the database, and on the relations that it names. */
export const systemHandlers: StatementHandlers = Object.fromEntries(
  systemStatements.map((tag) => [
    tag,
    (run: Run, body: object) => {
      const far = reachingFar[tag];
      if (far !== undefined) run.unknown(`what ${far} reaches is not named in it`);
      if (keepingCode.has(tag)) run.keepsCode('the code that it has called is not analyzed');
      namedIn(run, body);
      for (const child of Object.values(body)) {
        if (typeof child === 'object' && child !== null) run.ignore(child as object);
      }
      run.findings.add('System', [run.context.database]);
      run.effects = { ...run.effects, catalog: true, resolution: true };
      return undefined;
    },
  ]),
);

/** The relations that a statement about the server names, such as those of a publication. */
function namedIn(run: Run, body: object): void {
  const {
    objtype,
    objectType,
    object,
    for_all_tables: allTables,
  } = body as {
    objtype?: ObjectType;
    objectType?: ObjectType;
    object?: Node;
    for_all_tables?: boolean;
  };
  const type = objtype ?? objectType;
  if (object !== undefined && isRelationType(type)) system(run, namedObject(run, type, object));
  if (allTables === true) eachRelation(run, 'System', 'rp');
  const waiting: unknown[] = [body];
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    if (typeof value !== 'object' || value === null) continue;
    if ('relname' in value) system(run, rangeObject(run, value as RangeVar));
    if ('pubobjtype' in value && value.pubobjtype !== 'PUBLICATIONOBJ_TABLE') {
      run.unknown('a publication of a whole schema');
    }
    waiting.push(...Object.values(value));
  }
}

function system(run: Run, object: NamedObject | undefined): void {
  if (object === undefined) return;
  run.findings.add('System', object.resource, { relation: object.relation, descendants: true });
}
