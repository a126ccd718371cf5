/** Random expressions over columns, by the type that they give: what SQL offers to say a value in other words. */
import type { Choices } from './masking-random.ts';
import { guess, type Kind } from './masking-worlds.ts';

/** A column as a query may name it. */
export interface Column {
  readonly sql: string;
  readonly kind: Kind;
  readonly hidden: boolean;
}

/** What may be named at one place of a query. */
export interface Scope {
  readonly columns: readonly Column[];
  /** Aliases of relations, for whole rows. */
  readonly rows: readonly string[];
  readonly serverVersion: number;
}

type Made = string | undefined;

export class Expressions {
  readonly #choices: Choices;
  readonly #scope: Scope;
  /** How often a column is a protected one. */
  readonly #hiddenShare: number;

  constructor(choices: Choices, scope: Scope, hiddenShare: number) {
    this.#choices = choices;
    this.#scope = scope;
    this.#hiddenShare = hiddenShare;
  }

  /** A column, protected as often as asked; undefined when there is none. */
  column(kind?: Kind): Column | undefined {
    const fitting = this.#scope.columns.filter((one) => kind === undefined || one.kind === kind);
    const wanted = this.#choices.chance(this.#hiddenShare);
    const of = fitting.filter(({ hidden }) => hidden === wanted);
    return this.#choices.pick(of.length > 0 ? of : fitting);
  }

  /** An expression of any type, as one would select it. */
  any(depth: number): string {
    const choices = this.#choices;
    const kind = choices.pick<Kind | 'boolean'>([
      'text',
      'text',
      'text',
      'int',
      'numeric',
      'json',
      'jsonb',
      'bytea',
      'date',
      'array',
      'boolean',
    ]);
    return kind === 'boolean' ? this.condition(depth) : (this.of(kind, depth) ?? `'literal'`);
  }

  /** An expression of a type; undefined when nothing here leads to one. */
  of(kind: Kind, depth: number): Made {
    const choices = this.#choices;
    if (depth <= 0 || choices.chance(0.2)) {
      const found = this.column(kind);
      if (found !== undefined) return found.sql;
      if (depth <= 0) return literals[kind];
    }
    switch (kind) {
      case 'text':
        return this.#text(depth);
      case 'int':
      case 'bigint':
        return this.#int(depth);
      case 'numeric':
      case 'float':
        return this.#numeric(depth);
      case 'date':
      case 'time':
        return this.#date(depth);
      case 'json':
      case 'jsonb':
        return this.#json(kind, depth);
      case 'bytea':
        return this.#bytea(depth);
      case 'array':
        return this.#array(depth);
      default:
        return this.column(kind)?.sql ?? literals[kind];
    }
  }

  #sub(kind: Kind, depth: number): string {
    return this.of(kind, depth - 1) ?? literals[kind] ?? 'NULL';
  }

  /** Something of whatever type, for what takes anything. */
  #whatever(): string {
    return this.column()?.sql ?? `'literal'`;
  }

  #row(): string {
    return this.#choices.pick(this.#scope.rows) ?? 'ROW(1)';
  }

  #text(depth: number): string {
    const t = () => this.#sub('text', depth);
    const any = () => this.#whatever();
    return this.#choices.pick<() => string>([
      () => `upper(${t()})`,
      () => `lower(${t()})`,
      () => `initcap(${t()})`,
      () => `reverse(${t()})`,
      () => `substr(${t()}, ${1 + this.#choices.below(4)}, ${4 + this.#choices.below(8)})`,
      () => `substring(${t()} FROM 2 FOR 9)`,
      () => `left(${t()}, 9)`,
      () => `right(${t()}, -1)`,
      () => `${t()} || ${t()}`,
      () => `concat(${any()}, '-', ${t()})`,
      () => `concat_ws('/', ${t()}, ${any()})`,
      () => `format('%s and %L', ${any()}, ${t()})`,
      () => `repeat(${t()}, 2)`,
      () => `replace(${t()}, 'B', 'b')`,
      () => `translate(${t()}, 'BCD', 'bcd')`,
      () => `trim(${t()})`,
      () => `md5(${t()})`,
      () => `quote_literal(${t()})`,
      () => `quote_nullable(${any()})`,
      () => `lpad(${t()}, 30, '.')`,
      () => `split_part(${t()}, 'Q', 1)`,
      () => `regexp_replace(${t()}, '(.)', '\\1')`,
      () => `overlay(${t()} PLACING 'zz' FROM 3)`,
      () => `coalesce(${t()}, ${t()})`,
      () => `nullif(${t()}, ${t()})`,
      () => `greatest(${t()}, ${t()})`,
      () => `CASE WHEN ${this.condition(depth - 1)} THEN ${t()} ELSE ${t()} END`,
      () => `CASE ${t()} WHEN 'x' THEN ${t()} ELSE '' END`,
      () => `${t()}::varchar`,
      () => `(${t()})::varchar(30)`,
      () => `(${t()})::char(12)`,
      () => `(${t()})::name`,
      () => `${t()} COLLATE "C"`,
      () => `CAST(${any()} AS text)`,
      () => `(${any()})::text`,
      () =>
        `encode(${this.#sub('bytea', depth)}, ${this.#choices.pick(["'hex'", "'base64'", "'escape'"])})`,
      () => `${this.#sub('jsonb', depth)} ->> 'k'`,
      () => `jsonb_pretty(${this.#sub('jsonb', depth)})`,
      () => `to_char(${this.#sub('date', depth)}, 'YYYY-MM-DD')`,
      () => `to_char(${this.#sub('numeric', depth)}, '999999999999.9999')`,
      () => `(${this.#sub('array', depth)})[1]`,
      () => `array_to_string(${this.#sub('array', depth)}, ',')`,
      () => `(${this.#row()})::text`,
      () => `${this.#row()}.t`,
      () => `(${this.column('row')?.sql ?? "ROW('s', 1)::place"}).street`,
      () => `((SELECT ${this.#row()})).t`,
      () => `(SELECT (zr.r).t FROM (SELECT ${this.#row()} AS r) zr)`,
      () => `(jsonb_each_text(${this.#sub('jsonb', depth)})).value`,
      () => `(SELECT ${t()})`,
      () => `(SELECT max(${t()}))`,
      () => `row_to_json(${this.#row()})::text`,
      () => `xmlserialize(CONTENT xmlelement(name a, ${any()}) AS text)`,
      () => `(${t()})::tax_id::text`,
      () => `(${t()})::early`,
      () => `chr(ascii(${t()}))`,
      () => `to_hex(${this.#sub('int', depth)})`,
      () => `host(${this.column('inet')?.sql ?? "'10.0.0.1'::inet"})`,
      () => `convert_from(${this.#sub('bytea', depth)}, 'UTF8')`,
      () => `unistr(${t()})`,
      () => `pg_typeof(${any()})::text`,
      () => `to_tsvector('simple', ${t()})::text`,
      () => `unnest(string_to_array(${t()}, 'B'))`,
      () => `(regexp_matches(${t()}, '([B-H])', 'g'))[1]`,
      () => `string_to_table(${t()}, 'D')`,
      () => `(${t()})::"char"::text`,
      () => `substr(${t()}, 1, 3 - ascii(${t()}) % 5)`,
    ])();
  }

  #int(depth: number): string {
    const i = () => this.#sub('int', depth);
    const t = () => this.#sub('text', depth);
    return this.#choices.pick<() => string>([
      () => `${i()} + 1`,
      () => `abs(${i()})`,
      () => `- ${i()}`,
      () => `${i()} % 7`,
      () => `${i()} / (${i()} - 3)`,
      () => `${i()} # 5`,
      () => `length(${t()})`,
      () => `octet_length(${t()})`,
      () => `ascii(${t()})`,
      () => `hashtext(${t()})`,
      () => `position('B' IN ${t()})`,
      () => `(${t()})::int`,
      () => `coalesce(${i()}, 0)`,
      () => `CASE WHEN ${this.condition(depth - 1)} THEN ${i()} ELSE 0 END`,
      () => `cardinality(${this.#sub('array', depth)})`,
      () => `num_nulls(${this.#whatever()})`,
      () => `(SELECT ${i()})`,
      () => `extract(year FROM ${this.#sub('date', depth)})::int`,
      () => `get_byte(${this.#sub('bytea', depth)}, 0)`,
      () => `(${this.#sub('jsonb', depth)} ->> 'n')::int`,
      () => `least(${i()}, ${i()})`,
      () => `${this.#row()}.id`,
      // What fails, or returns as many rows, as a value says.
      () => `1 / (ascii(${t()}) % 2)`,
      () => `1 / (CASE WHEN ${t()} LIKE '%B%' THEN 0 ELSE 1 END)`,
      () => `1 / (length(${t()}) - length(replace(${t()}, 'C', '')))`,
      () => `generate_series(1, ascii(${t()}) % 4)`,
    ])();
  }

  #numeric(depth: number): string {
    const n = () => this.#sub('numeric', depth);
    return this.#choices.pick<() => string>([
      () => `round(${n()}, 1)`,
      () => `trunc(${n()})`,
      () => `${n()} * 2`,
      () => `1 / ${n()}`,
      () => `${n()} - 0.5`,
      () => `sqrt(abs(${n()}))`,
      () => `(${this.#sub('int', depth)})::numeric`,
      () => `(${n()})::numeric(6,2)`,
      () => `coalesce(${n()}, 0)`,
      () => `(${this.#sub('float', depth - 1)})::numeric`,
      () => `(${this.#sub('text', depth)})::numeric`,
      () => `ln(abs(${n()}) + 1)`,
      () => `width_bucket(${n()}, 0, 10, 5)`,
    ])();
  }

  #date(depth: number): string {
    const d = () => this.#sub('date', depth);
    return this.#choices.pick<() => string>([
      () => `${d()} + 1`,
      () => `date_trunc('month', ${d()})::date`,
      () => `(${this.#sub('time', depth - 1)})::date`,
      () => `coalesce(${d()}, date '2000-01-01')`,
      () => `make_date(2000, 1 + ${this.#sub('int', depth)} % 12, 1)`,
      () => `(${this.#sub('text', depth)})::date`,
      () => `CASE WHEN ${this.condition(depth - 1)} THEN ${d()} END`,
    ])();
  }

  #json(kind: 'json' | 'jsonb', depth: number): string {
    const prefix = kind === 'json' ? 'json' : 'jsonb';
    const any = () => this.#whatever();
    const j = () => this.#sub(kind, depth);
    const newer: (() => string)[] =
      this.#scope.serverVersion >= 17 && kind === 'jsonb'
        ? [
            () => `JSON_QUERY(${j()}, '$.k')`,
            () => `JSON_OBJECT('a' VALUE ${any()} RETURNING jsonb)`,
            () => `JSON_ARRAY(${any()} RETURNING jsonb)`,
            () => `JSON_VALUE(${j()}, '$.k')::jsonb`,
          ]
        : [];
    return this.#choices.pick<() => string>([
      () => `to_${prefix}(${any()})`,
      () => `to_${prefix}(${this.#row()})`,
      () => `${prefix}_build_object('a', ${any()})`,
      () => `${prefix}_build_array(${any()}, ${any()})`,
      () => `${j()} -> 'k'`,
      () => `${j()} #> '{k}'`,
      () => `${prefix}_strip_nulls(${j()})`,
      () => `(SELECT ${j()})`,
      () => `(${j()})::text::${kind}`,
      () => `coalesce(${j()}, '{}')`,
      ...(kind === 'json'
        ? [
            () => `row_to_json(${this.#row()})`,
            () => `json_object(ARRAY[${this.#sub('text', depth)}, 'v'])`,
          ]
        : [
            () => `${j()} || '{"more": 1}'`,
            () => `jsonb_set(${j()}, '{k}', to_jsonb(${any()}))`,
            () => `jsonb_path_query_first(${j()}, '$.*')`,
            () => `${j()} - 'n'`,
            () => `jsonb_path_query_array(${j()}, '$.k ? (@ starts with "B")')`,
          ]),
      ...newer,
    ])();
  }

  #bytea(depth: number): string {
    const b = () => this.#sub('bytea', depth);
    const t = () => this.#sub('text', depth);
    return this.#choices.pick<() => string>([
      () => `convert_to(${t()}, 'UTF8')`,
      () => `decode(encode(${b()}, 'hex'), 'hex')`,
      () => `(${t()})::bytea`,
      () => `sha256(${b()})`,
      () => `substr(${b()}, 1, 12)`,
      () => `${b()} || ${b()}`,
      () => `set_byte(${b()}, 0, 33)`,
      () =>
        `uuid_send(${this.column('uuid')?.sql ?? "'00000000-0000-0000-0000-000000000001'::uuid"})`,
      () => `int4send(${this.#sub('int', depth)})`,
      () => `record_send(${this.#row()})`,
    ])();
  }

  #array(depth: number): string {
    const t = () => this.#sub('text', depth);
    return this.#choices.pick<() => string>([
      () => `ARRAY[${t()}, ${t()}]`,
      () => `string_to_array(${t()}, 'Q')`,
      () => `${this.#sub('array', depth)} || 'more'::text`,
      () => `ARRAY(SELECT ${t()})`,
      () => `array_append(${this.#sub('array', depth)}, ${t()})`,
      () => `(${this.#sub('array', depth)})[1:1]`,
      () => `regexp_match(${t()}, '(.{8})')`,
      () => `array_replace(${this.#sub('array', depth)}, 'two', 'three')`,
    ])();
  }

  /** A condition over public columns, or one that uses protected ones as the scope says. */
  condition(depth: number): string {
    const t = () => this.of('text', depth - 1) ?? `'x'`;
    const i = () => this.of('int', depth - 1) ?? '1';
    const any = () => this.#whatever();
    const { sql } = this.column('text') ?? { sql: `'x'` };
    return this.#choices.pick<() => string>([
      () => `${sql} = '${this.#choices.pick([guess, 'label 1', 'note 2', 'nobody'])}'`,
      () => `${sql} IN ('label 2', '${guess}', 'nobody')`,
      () => `'${guess}' = ${sql}`,
      () => `${sql} = ANY (ARRAY['label 1', '${guess}'])`,
      () => `${t()} = ${t()}`,
      () => `${t()} LIKE '%L%'`,
      () => `${t()} > 'M'`,
      () => `${t()} <> 'label 1'`,
      () => `${i()} < 4`,
      () => `${i()} BETWEEN 1 AND 5`,
      () => `${any()} IS NOT NULL`,
      () => `${any()} IS NULL`,
      () => `${any()} IS DISTINCT FROM NULL`,
      () => `NOT (${t()} ~ '^[A-M]')`,
      () => `(${i()} = 1 OR ${t()} = 'x')`,
      () => `EXISTS (SELECT FROM plain p0 WHERE p0.label = ${sql})`,
      () => `${sql} IN (SELECT v0.t FROM vault v0)`,
      () => `${sql} IN (SELECT l0.label FROM ledger l0)`,
      () => `(${i()}, ${t()}) < (3, 'M')`,
      () => `1 / ${i()} < 2`,
    ])();
  }
}

const literals: Readonly<Partial<Record<Kind, string>>> = {
  text: `'literal'`,
  int: '3',
  bigint: '3',
  numeric: '2.5',
  float: '2.5',
  date: `date '2024-02-03'`,
  time: `timestamptz '2024-02-03 04:05:06+00'`,
  json: `'{"k": "j"}'::json`,
  jsonb: `'{"k": "j"}'::jsonb`,
  bytea: `'\\x616263'::bytea`,
  array: `ARRAY['a', 'b']`,
  enum: `'mid'::mood`,
  uuid: `'00000000-0000-0000-0000-000000000001'::uuid`,
  row: `ROW('s', 1)::place`,
  inet: `'10.0.0.1'::inet`,
};
