import { type CompiledMask, isExempt, type MaskSet } from '@chaperone/core/masking/mask-set.ts';
import type { PlannedMask } from '@chaperone/core/masking/types.ts';
import type { RuleRef } from '@chaperone/core/policy/types.ts';
import type { Catalog } from '@chaperone/core/sql/postgres/catalog.ts';
import type { ColumnDescription } from '../messages/backend-reader.ts';

/**
 * The second opinion on lineage: where the backend itself says that a result column is a protected column
 * of a table (its OID and attribute number), a mask must stand on it. Undefined when that holds.
 */
export function checkProvenance(
  columns: readonly ColumnDescription[],
  planned: readonly (PlannedMask | null)[],
  masks: MaskSet,
  catalog: Catalog,
  nowMs: number,
): { readonly rule: RuleRef; readonly why: string } | undefined {
  if (masks.masks.length === 0) return undefined;
  for (const [index, column] of columns.entries()) {
    if (column.tableOid === 0) continue;
    const relation = catalog.relationByOid(column.tableOid);
    const attribute = relation?.columns.find(({ attnum }) => attnum === column.attribute);
    if (relation === undefined || attribute === undefined) continue;
    const protecting = masks
      .protecting({
        relationOid: relation.oid,
        attnum: attribute.attnum,
        name: [catalog.database, relation.schema, relation.name, attribute.name],
        typeOid: attribute.typeOid,
      })
      .filter((mask) => !isExempt(mask, nowMs));
    const [first] = protecting;
    if (first !== undefined && !hides(planned[index], protecting, masks)) {
      return {
        rule: first.rule,
        why: `the server says that column ${index + 1} is ${relation.schema}.${relation.name}.${attribute.name}, which the statement did not show`,
      };
    }
  }
  return undefined;
}

/** A detector hides what it finds, not the column; any other mask hides all of the value. */
function hides(
  planned: PlannedMask | null | undefined,
  protecting: readonly CompiledMask[],
  masks: MaskSet,
): boolean {
  if (!planned) return false;
  // By name: the plan may have been made under an earlier state of the policies.
  const isPlanned = ({ rule }: CompiledMask): boolean =>
    rule.namespace === planned.rule.namespace && rule.object === planned.rule.object;
  if (protecting.some(isPlanned)) return true;
  const source = masks.masks.find(isPlanned)?.source;
  return source !== undefined && source.detectors.length === 0;
}
