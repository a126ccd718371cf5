import type { StatementAnalysis } from '../operation.ts';
import { type Body, type Node, type Tag, tagOf } from './ast.ts';
import { followAlterTable, followRename, type Lost } from './text-alterations.ts';
import type { Place } from './text-columns.ts';
import { followDrop } from './text-drops.ts';
import {
  followAlterSequence,
  followCompositeType,
  followFunction,
  followGrant,
  followOwner,
  followPlainType,
  followSequence,
  followTrigger,
  followView,
} from './text-objects.ts';
import { followCreateTable, followIndex } from './text-tables.ts';

type Followers = {
  readonly [K in Tag]?: (
    place: Place,
    body: Body<K>,
    analysis: StatementAnalysis,
    lost: Lost,
  ) => boolean;
};

/** Each makes the changes of one kind of statement; false where they are not wholly told by it. */
const followers: Followers = {
  CreateStmt: followCreateTable,
  IndexStmt: followIndex,
  AlterTableStmt: (place, body, _, lost) => followAlterTable(place, body, lost),
  RenameStmt: (place, body, _, lost) => followRename(place, body, lost),
  DropStmt: followDrop,
  CreateSeqStmt: followSequence,
  AlterSeqStmt: followAlterSequence,
  CreateEnumStmt: (place, body) => followPlainType(place, body.typeName),
  CreateDomainStmt: (place, body) => followPlainType(place, body.domainname, body),
  CompositeTypeStmt: followCompositeType,
  // Another value of it.
  AlterEnumStmt: () => true,
  CreateFunctionStmt: followFunction,
  ViewStmt: (place, body, analysis) => followView(place, body.view, 'v', body.query, analysis),
  CreateTableAsStmt: (place, body, analysis) =>
    body.objtype === 'OBJECT_MATVIEW' &&
    followView(place, body.into?.rel, 'm', body.query, analysis),
  CreateTrigStmt: followTrigger,
  CommentStmt: () => true,
  GrantStmt: followGrant,
  AlterOwnerStmt: (_, body) => followOwner(body),
};

/** Makes the changes of a statement that the analysis has understood; true where these are all of them. */
export function followStatement(
  place: Place,
  node: Node,
  analysis: StatementAnalysis,
  lost: Lost,
): boolean {
  const tag = tagOf(node);
  const follower = followers[tag] as
    | ((place: Place, body: unknown, analysis: StatementAnalysis, lost: Lost) => boolean)
    | undefined;
  if (follower === undefined) return false;
  const body = (node as Record<string, unknown>)[tag];
  return follower(place, body, analysis, lost) && place.run.findings.operations.size === 0;
}
