import { bodyOf, catalogType, literalString, type Node, nameParts } from './ast.ts';
import type { CatalogRelation } from './catalog.ts';
import { isCertainName } from './encoding.ts';
import { relationResource, resolveRelation } from './names.ts';
import type { Run } from './run.ts';

/** nextval('schema.sequence') and its kin; the name is text, parsed as an identifier. */
export function performSequence(
  run: Run,
  name: string,
  verb: 'Update' | 'Select',
  node: Node | undefined,
): void {
  const owned = ownedSequences(run, node);
  const found = owned ?? named(run, node, isLate(node));
  if (found === undefined) {
    run.unknown(`${name} of a sequence that is not given by a constant name`);
    return;
  }
  if (found.length === 0) {
    const what =
      owned === undefined
        ? `sequence ${literalString(unwrapRegclass(node))}`
        : 'the sequence of a column';
    run.unknown(`${what} does not resolve`);
  }
  for (const relation of found)
    run.findings.add(verb, relationResource(run, relation), { relation });
}

/** A text is looked up when the statement runs; a constant that is a regclass, cast or not, when it is parsed. */
function isLate(node: Node | undefined): boolean {
  return bodyOf(unwrapRegclass(node), 'A_Const') === undefined;
}

/** The relation of that constant name, or none; undefined where the name is no constant. `late`: see isLate. */
function named(
  run: Run,
  node: Node | undefined,
  late: boolean,
): readonly CatalogRelation[] | undefined {
  const text = literalString(unwrapRegclass(node));
  if (text !== undefined && !isCertainName(run, text)) return [];
  const parts = text === undefined ? undefined : parseIdentifier(text);
  if (parts === undefined || parts.length > 3) return undefined;
  const [relname, schemaname, catalogname] = [...parts].reverse();
  if (late && schemaname === undefined) run.effects = { ...run.effects, lateNames: true };
  const resolved = resolveRelation(run, {
    relname: relname ?? '',
    ...(schemaname === undefined ? undefined : { schemaname }),
    ...(catalogname === undefined ? undefined : { catalogname }),
  });
  return resolved?.kind === 'Relation' ? [resolved.relation] : [];
}

/** pg_get_serial_sequence('table', …) is one of those that belong to the table; undefined for anything else. */
function ownedSequences(run: Run, node: Node | undefined): readonly CatalogRelation[] | undefined {
  const call = bodyOf(unwrapRegclass(node), 'FuncCall');
  const [name, schema = 'pg_catalog'] = nameParts(call?.funcname).reverse();
  // Another by that name is reported with the arguments, but for one that an owner's view calls.
  if (name !== 'pg_get_serial_sequence' || schema !== 'pg_catalog') return undefined;
  const [table] = named(run, call?.args?.[0], true) ?? [];
  if (table === undefined) return [];
  return table.dependents.flatMap((oid) => {
    const dependent = run.context.catalog.relationByOid(oid);
    return dependent?.kind === 'S' ? [dependent] : [];
  });
}

function unwrapRegclass(node: Node | undefined): Node | undefined {
  if (node === undefined || !('TypeCast' in node)) return node;
  return catalogType(node.TypeCast) === 'regclass' ? node.TypeCast.arg : node;
}

/** Splits a name as PostgreSQL does: unquoted parts are folded to lower case. */
function parseIdentifier(text: string): string[] | undefined {
  const parts: string[] = [];
  // No other characters are space to PostgreSQL: what is to others may begin a name.
  const pattern =
    /[ \t\n\r\f\v]*(?:"((?:[^"]|"")+)"|([A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*))[ \t\n\r\f\v]*(\.|$)/y;
  for (;;) {
    const match = pattern.exec(text);
    if (match === null) return undefined;
    parts.push(
      match[1] === undefined
        ? (match[2] as string).replace(/[A-Z]/g, (letter) => letter.toLowerCase())
        : match[1].replaceAll('""', '"'),
    );
    if (match[3] === '') return pattern.lastIndex === text.length ? parts : undefined;
  }
}
