import { parseSql } from '@chaperone/core/sql/postgres/parser.ts';

/** Where a node stands in the text. */
const places = /^(?:location|.*_location|stmt_len|list_(?:start|end)|rexpr_list_(?:start|end))$/;

/**
 * The parse tree of a text without the values of constants of which only the kind counts. Bit strings, what is cast
 * to a type that looks names up, and the precisions of types keep theirs. `loadParser` comes first.
 */
export function shapeOf(text: string): unknown {
  return shape(parseSql(text).statements, false);
}

function shape(node: unknown, keeps: boolean): unknown {
  if (Array.isArray(node)) return node.map((one) => shape(one, keeps));
  if (typeof node !== 'object' || node === null) return node;
  return Object.fromEntries(
    Object.entries(node)
      .filter(([name]) => !places.test(name))
      .map(([name, value]) => [name, shapeIn(name, value, keeps)]),
  );
}

function shapeIn(name: string, value: unknown, keeps: boolean): unknown {
  switch (name) {
    case 'A_Const':
      return keeps || 'bsval' in (value as object)
        ? shape(value, keeps)
        : Object.keys(value as object).filter((key) => !places.test(key));
    case 'TypeCast':
      return shape(value, keeps || looksNamesUp(value as Cast));
    case 'typmods':
      return shape(value, true);
    default:
      return shape(value, keeps);
  }
}

interface Cast {
  readonly typeName?: {
    readonly names?: readonly { readonly String?: { readonly sval?: string } }[];
  };
}

function looksNamesUp({ typeName }: Cast): boolean {
  return /^reg/.test(typeName?.names?.at(-1)?.String?.sval ?? '');
}
