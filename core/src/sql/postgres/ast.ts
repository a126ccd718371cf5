import type { Node } from 'libpg-query';

/** The parser's nodes come as `{Tag: body}`; typed fields hold the body without its tag. */
export type { Node };

type TagOf<T> = T extends unknown ? keyof T : never;
export type Tag = TagOf<Node>;
/** The body of the node with that tag. */
export type Body<K extends Tag> = Extract<Node, Record<K, unknown>>[K];

/** A node's tag. */
export function tagOf(node: Node): Tag {
  for (const tag in node) return tag as Tag;
  throw new TypeError('a parse node without a tag');
}

/** The node's body if it has that tag. */
export function bodyOf<K extends Tag>(node: Node | undefined, tag: K): Body<K> | undefined {
  return node === undefined ? undefined : (node as Record<K, Body<K> | undefined>)[tag];
}

/** The string of a String node, or undefined for any other. */
export function stringOf(node: Node | undefined): string | undefined {
  const body = bodyOf(node, 'String');
  return body === undefined ? undefined : (body.sval ?? '');
}

/** The parts of a dotted name; nodes that are not strings are left out. */
export function nameParts(nodes: readonly Node[] | undefined): string[] {
  const parts: string[] = [];
  for (const node of nodes ?? []) {
    const part = stringOf(node);
    if (part !== undefined) parts.push(part);
  }
  return parts;
}

/** The items of a List node, or the node itself. */
export function itemsOf(node: Node | undefined): readonly Node[] {
  if (node === undefined) return [];
  const list = bodyOf(node, 'List');
  return list === undefined ? [node] : (list.items ?? []);
}

/** The name of the type of pg_catalog that it is cast to; another schema's type may have any name. */
export function catalogType(cast: Body<'TypeCast'>): string | undefined {
  const [name, schema = 'pg_catalog'] = nameParts(cast.typeName?.names).reverse();
  return schema === 'pg_catalog' ? name : undefined;
}

/** What stands beneath casts to texts that change nothing. */
function beneathTextCasts(node: Node | undefined): Node | undefined {
  const cast = bodyOf(node, 'TypeCast');
  if (cast === undefined) return node;
  const type = cast.typeName;
  const name = catalogType(cast);
  const plain = type?.arrayBounds === undefined && type?.typmods === undefined;
  return plain && (name === 'text' || name === 'varchar' || name === 'unknown')
    ? beneathTextCasts(cast.arg)
    : undefined;
}

/** The text of a string constant, through casts; undefined when it is anything else. */
export function literalString(node: Node | undefined): string | undefined {
  const constant = bodyOf(beneathTextCasts(node), 'A_Const');
  if (constant === undefined || constant.sval === undefined) return undefined;
  return constant.sval.sval ?? '';
}

/** The number of a parameter, through casts to text; undefined when it is anything else. */
export function textParameter(node: Node | undefined): number | undefined {
  return bodyOf(beneathTextCasts(node), 'ParamRef')?.number;
}

/** The value of an integer constant; undefined when it is anything else. */
export function literalInteger(node: Node | undefined): number | undefined {
  const constant = bodyOf(node, 'A_Const');
  return constant?.ival === undefined ? undefined : (constant.ival.ival ?? 0);
}
