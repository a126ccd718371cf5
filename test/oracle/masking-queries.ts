/**
 * Random SELECTs over the relations of a world: joins of every kind, sub-queries, LATERAL, WITH (recursive,
 * data-modifying), set operations, aggregates, GROUPING SETS, window functions, arrays, JSON. Most are valid.
 */
import { type Column, Expressions, type Scope } from './masking-expressions.ts';
import type { Choices } from './masking-random.ts';
import { type Kind, type Relation, relations } from './masking-worlds.ts';

/** Something in FROM. */
interface Source {
  readonly sql: string;
  readonly alias: string;
  readonly columns: readonly Column[];
}

/** A query, and the columns that it gives: undefined where they are not known by name. */
export interface Query {
  readonly sql: string;
  readonly columns: readonly Column[] | undefined;
}

interface Item {
  readonly sql: string;
  readonly column: Column;
}

export class QueryMaker {
  readonly #choices: Choices;
  readonly #serverVersion: number;
  /** How often an expression reads a protected column. */
  readonly #hiddenShare: number;
  /** How often a condition, an order or a group may read one. */
  readonly #useShare: number;

  constructor(choices: Choices, serverVersion: number) {
    this.#choices = choices;
    this.#serverVersion = serverVersion;
    this.#hiddenShare = choices.pick([0.1, 0.3, 0.7]);
    this.#useShare = choices.pick([0, 0, 0.05, 0.4]);
  }

  make(depth: number): Query {
    return this.#query(depth, [], []);
  }

  /** A relation under an alias. */
  table(among: readonly Relation[] = relations): Source {
    const relation = this.#choices.pick(among);
    const alias = this.#choices.chance(0.3) ? relation.name : this.#choices.name('t');
    const only = relation.name === 'vault' && this.#choices.chance(0.2) ? 'ONLY ' : '';
    return {
      sql: `${only}${relation.name}${alias === relation.name ? '' : ` ${alias}`}`,
      alias,
      columns: columnsOf(relation, alias),
    };
  }

  expressions(sources: readonly Source[], uses = false): Expressions {
    const share = uses ? this.#useShare : this.#hiddenShare;
    return new Expressions(this.#choices, this.#scopeOf(sources), share);
  }

  /** Expressions as one selects them: mostly columns as they are. */
  items(sources: readonly Source[], count = 1 + this.#choices.below(4)): Item[] {
    const expressions = this.expressions(sources);
    return Array.from({ length: count }, () => {
      const name = this.#choices.name('o');
      const plain = this.#choices.chance(0.75) ? expressions.column() : undefined;
      const sql = plain?.sql ?? expressions.any(1 + this.#choices.below(3));
      const column = { sql: name, kind: plain?.kind ?? 'text', hidden: plain?.hidden ?? false };
      return { sql: `${sql} AS ${name}`, column };
    });
  }

  #scopeOf(sources: readonly Source[]): Scope {
    return {
      columns: sources.flatMap(({ columns }) => columns),
      rows: sources.map(({ alias }) => alias),
      serverVersion: this.#serverVersion,
    };
  }

  #source(depth: number, withs: readonly Source[], outer: readonly Source[]): Source {
    const choices = this.#choices;
    const choice = choices.next();
    if (choice < 0.5 || depth <= 0) return this.table();
    if (choice < 0.65 && withs.length > 0) {
      const named = choices.pick(withs);
      const alias = choices.name('w');
      return {
        ...named,
        sql: `${named.alias} ${alias}`,
        alias,
        columns: under(named.columns, alias),
      };
    }
    const alias = choices.name('s');
    if (choice < 0.88) {
      const lateral = outer.length > 0 && choices.chance(0.4);
      const query = this.#query(depth - 1, withs, lateral ? outer : []);
      return {
        sql: `${lateral ? 'LATERAL ' : ''}(${query.sql}) ${alias}`,
        alias,
        columns: under(query.columns ?? [], alias),
      };
    }
    const of = (sql: string, columns: Readonly<Record<string, Kind>>, hidden = false): Source => ({
      sql,
      alias,
      columns: Object.entries(columns).map(([name, kind]) => ({
        sql: `${alias}.${name}`,
        kind,
        hidden,
      })),
    });
    const expressions = this.expressions(outer.length > 0 ? outer : [this.#constants()]);
    return choices.pick<() => Source>([
      () => of(`generate_series(1, 2) ${alias}(g)`, { g: 'int' }),
      () => of(`(VALUES ('x', 1), ('z', 2)) ${alias}(va, vb)`, { va: 'text', vb: 'int' }),
      () =>
        of(
          `LATERAL (VALUES (${expressions.of('text', 1) ?? `'v'`})) ${alias}(va)`,
          { va: 'text' },
          true,
        ),
      () =>
        of(
          `unnest(${expressions.of('array', 1)}) WITH ORDINALITY ${alias}(un, od)`,
          { un: 'text', od: 'int' },
          true,
        ),
      () =>
        of(
          `jsonb_each_text(${expressions.of('jsonb', 1)}) ${alias}(ke, va)`,
          { ke: 'text', va: 'text' },
          true,
        ),
      () =>
        of(`string_to_table(${expressions.of('text', 1)}, 'Q') ${alias}(pa)`, { pa: 'text' }, true),
      () =>
        of(
          `jsonb_to_record(${expressions.of('jsonb', 1)}) AS ${alias}(k text)`,
          { k: 'text' },
          true,
        ),
    ])();
  }

  #constants(): Source {
    return {
      sql: '',
      alias: 'ROW(1)',
      columns: [
        { sql: `'literal'`, kind: 'text', hidden: false },
        { sql: '7', kind: 'int', hidden: false },
      ],
    };
  }

  #query(depth: number, withs: readonly Source[], outer: readonly Source[]): Query {
    const choices = this.#choices;
    if (depth > 0 && choices.chance(0.15)) return this.#setOperation(depth, withs, outer);
    let prefix = '';
    let visible = withs;
    if (depth > 0 && choices.chance(0.25)) {
      const named = this.#with(depth, withs);
      prefix = named.prefix;
      visible = [...withs, named.source];
    }
    const first = this.#source(depth, visible, outer);
    const sources = [first];
    let from = first.sql;
    if (choices.chance(0.45)) {
      const added = this.#source(depth - 1, visible, sources);
      if (added.alias !== first.alias) {
        from += this.#join(first, added);
        sources.push(added);
      }
    }
    const all = [...sources, ...outer];
    const where = choices.chance(0.6) ? ` WHERE ${this.expressions(all, true).condition(2)}` : '';
    const shape = choices.next();
    if (shape < 0.08) return { sql: `${prefix}SELECT * FROM ${from}${where}`, columns: undefined };
    if (shape < 0.14) {
      const { alias, columns } = choices.pick(sources);
      const bare = columns.map((column) => ({ ...column, sql: bareName(column.sql) }));
      return { sql: `${prefix}SELECT ${alias}.* FROM ${from}${where}`, columns: bare };
    }
    if (shape < 0.32) return this.#grouped(prefix, from, where, all);
    const items = this.items(all);
    const windows = shape < 0.45 ? [this.#window(all)] : [];
    const selected = [...items, ...windows];
    const names = selected.map(({ column }) => column);
    return {
      sql: `${prefix}SELECT ${this.#distinct(all)}${selected.map(({ sql }) => sql).join(', ')} FROM ${from}${where}${this.#tail(all, names)}`,
      columns: names,
    };
  }

  #distinct(all: readonly Source[]): string {
    if (!this.#choices.chance(0.06)) return '';
    const column = this.expressions(all, true).column();
    return this.#choices.chance(0.5) && column ? `DISTINCT ON (${column.sql}) ` : 'DISTINCT ';
  }

  #tail(all: readonly Source[], names: readonly Column[]): string {
    const choices = this.#choices;
    let tail = '';
    if (choices.chance(0.3)) {
      const column = this.expressions(all, true).column();
      const by = choices.pick([column?.sql ?? '1', names[0]?.sql ?? '1', '1']);
      tail += ` ORDER BY ${by}${choices.pick(['', ' DESC', ' NULLS FIRST'])}`;
    }
    if (choices.chance(0.1)) tail += ` LIMIT ${1 + choices.below(4)}`;
    if (choices.chance(0.04)) tail += ` OFFSET ${choices.below(3)}`;
    if (choices.chance(0.03)) tail += choices.pick([' FOR UPDATE', ' FOR SHARE']);
    return tail;
  }

  #join(left: Source, right: Source): string {
    const choices = this.#choices;
    const condition = () => this.expressions([left, right], true).condition(1);
    const choice = choices.next();
    if (choice < 0.3) return ` JOIN ${right.sql} USING (id)`;
    if (choice < 0.35)
      return ` JOIN ${right.sql} USING (${choices.pick(['label', 't', 'v', 'grp'])})`;
    if (choice < 0.4) return ` NATURAL LEFT JOIN ${right.sql}`;
    if (choice < 0.7) {
      return ` ${choices.pick(['JOIN', 'LEFT JOIN', 'FULL JOIN'])} ${right.sql} ON ${left.columns[0]?.sql ?? '1'} = ${right.columns[0]?.sql ?? '1'}`;
    }
    if (choice < 0.85) return ` LEFT JOIN ${right.sql} ON ${condition()}`;
    return `, ${right.sql}`;
  }

  #grouped(prefix: string, from: string, where: string, all: readonly Source[]): Query {
    const choices = this.#choices;
    const expressions = this.expressions(all);
    const keys = [this.expressions(all, true).column(), this.expressions(all, true).column()]
      .filter((column) => column !== undefined)
      .map(({ sql }) => sql);
    const t = () => expressions.of('text', 1) ?? `'x'`;
    const n = () => expressions.of('numeric', 1) ?? '1';
    const any = () => expressions.column()?.sql ?? '1';
    const order = () => this.expressions(all, true).column()?.sql ?? '1';
    const condition = () => this.expressions(all, true).condition(1);
    const aggregate = () =>
      choices.pick<() => string>([
        () => 'count(*)',
        () => `count(${any()})`,
        () => `count(DISTINCT ${any()})`,
        () => `min(${t()})`,
        () => `max(${t()})`,
        () => `sum(${n()})`,
        () => `avg(${n()})`,
        () => `stddev(${n()})`,
        () => `string_agg(${t()}, ',' ORDER BY ${order()})`,
        () => `array_agg(${any()} ORDER BY ${order()})`,
        () => `json_agg(${any()})`,
        () => `jsonb_agg(${choices.pick(all).alias})`,
        () => `jsonb_object_agg(${t()}, ${any()})`,
        () => `bool_or(${condition()})`,
        () => `bit_xor(${expressions.of('int', 1) ?? '1'})`,
        () => `count(*) FILTER (WHERE ${condition()})`,
        () => `mode() WITHIN GROUP (ORDER BY ${any()})`,
        () => `percentile_disc(0.5) WITHIN GROUP (ORDER BY ${any()})`,
        () => `rank('M') WITHIN GROUP (ORDER BY ${t()})`,
        () => `xmlagg(xmlelement(name a, ${any()}))`,
        () => `(array_agg(${t()}))[1]`,
      ])();
    const names: Column[] = [];
    const item = (sql: string): string => {
      const name = choices.name('o');
      names.push({ sql: name, kind: 'text', hidden: true });
      return `${sql} AS ${name}`;
    };
    const style = choices.next();
    const group =
      style < 0.3 || keys.length === 0
        ? ''
        : style < 0.7
          ? ` GROUP BY ${keys.join(', ')}`
          : style < 0.8
            ? ` GROUP BY ROLLUP (${keys.join(', ')})`
            : style < 0.9
              ? ` GROUP BY CUBE (${keys.join(', ')})`
              : ` GROUP BY GROUPING SETS ((${keys[0]}), ())`;
    const shown = group === '' ? [] : keys.slice(0, style < 0.9 ? 2 : 1).map(item);
    if (style >= 0.7 && keys[0] !== undefined && choices.chance(0.3)) {
      shown.push(item(`grouping(${keys[0]})`));
    }
    const aggregates = Array.from({ length: 1 + choices.below(2) }, () => item(aggregate()));
    const having =
      group !== '' && choices.chance(0.2)
        ? ` HAVING ${choices.pick(['count(*)', `count(${order()})`])} > 1`
        : '';
    const ordered = group !== '' ? ' ORDER BY 1' : '';
    return {
      sql: `${prefix}SELECT ${[...shown, ...aggregates].join(', ')} FROM ${from}${where}${group}${having}${ordered}`,
      columns: names,
    };
  }

  #window(all: readonly Source[]): Item {
    const choices = this.#choices;
    const expressions = this.expressions(all);
    const uses = this.expressions(all, true);
    const t = () => expressions.of('text', 1) ?? `'x'`;
    const call = choices.pick<() => string>([
      () => 'row_number()',
      () => 'rank()',
      () => 'ntile(3)',
      () => 'cume_dist()',
      () => `lag(${t()}, 1)`,
      () => `first_value(${expressions.column()?.sql ?? '1'})`,
      () => `nth_value(${t()}, 2)`,
      () => `max(${t()})`,
      () => `string_agg(${t()}, '')`,
      () => `sum(${expressions.of('numeric', 1) ?? '1'})`,
    ])();
    const partition = choices.chance(0.4) ? `PARTITION BY ${uses.column()?.sql ?? '1'} ` : '';
    const frame = choices.pick(['', '', ' ROWS BETWEEN 1 PRECEDING AND CURRENT ROW']);
    const name = choices.name('o');
    return {
      sql: `${call} OVER (${partition}ORDER BY ${uses.column()?.sql ?? '1'}${frame}) AS ${name}`,
      column: { sql: name, kind: 'text', hidden: true },
    };
  }

  #with(depth: number, withs: readonly Source[]): { prefix: string; source: Source } {
    const choices = this.#choices;
    const alias = choices.name('cte');
    const style = choices.next();
    if (style < 0.2) return this.#recursive(alias);
    if (style < 0.35) return this.#modifying(alias);
    const query = this.#query(depth - 1, withs, []);
    const hint = choices.pick(['', 'MATERIALIZED ', 'NOT MATERIALIZED ']);
    return {
      prefix: `WITH ${alias} AS ${hint}(${query.sql}) `,
      source: { sql: alias, alias, columns: query.columns ?? [] },
    };
  }

  #recursive(alias: string): { prefix: string; source: Source } {
    const from = this.table();
    const column = this.expressions([from]).column('text') ?? { sql: `'x'`, hidden: false };
    const step = this.#choices.pick(['s', `s || 'x'`, `substr(s, 2)`, 'u']);
    return {
      prefix: `WITH RECURSIVE ${alias}(s, u, lv) AS (SELECT ${column.sql}::text, 'a'::text, 1 FROM ${from.sql} UNION ALL SELECT ${step}::text, s::text, lv + 1 FROM ${alias} WHERE lv < 3) `,
      source: {
        sql: alias,
        alias,
        columns: [
          { sql: 's', kind: 'text', hidden: column.hidden },
          { sql: 'u', kind: 'text', hidden: column.hidden },
          { sql: 'lv', kind: 'int', hidden: false },
        ],
      },
    };
  }

  #modifying(alias: string): { prefix: string; source: Source } {
    const write = this.write();
    return {
      prefix: `WITH ${alias} AS (${write.sql}) `,
      source: { sql: alias, alias, columns: write.columns ?? [] },
    };
  }

  /** INSERT, UPDATE, DELETE or MERGE with RETURNING. */
  write(): Query {
    const choices = this.#choices;
    const tables = relations.filter(({ name }) => !/^(v_|kept)/.test(name));
    const target = this.table(tables);
    const other = this.table();
    const both = target.alias === other.alias ? [target] : [target, other];
    const items = this.items([target], 1 + choices.below(3));
    const returning = ` RETURNING ${items.map(({ sql }) => sql).join(', ')}`;
    const columns = items.map(({ column }) => column);
    const condition = () => this.expressions([target], true).condition(1);
    const value = () => this.expressions(both).of('text', 2) ?? `'x'`;
    const column = choices.pick(['label', 'label', 'label', 't']);
    const from = both.length > 1 ? other.sql : 'plain p1';
    const name = target.sql.replace(/^ONLY /, '').split(' ')[0]!;
    return choices.pick<() => Query>([
      () => ({
        sql: `UPDATE ${target.sql} SET ${column} = ${value()} FROM ${from} WHERE ${condition()}${returning}`,
        columns,
      }),
      () => ({
        sql: `UPDATE ${target.sql} SET label = 'changed' WHERE ${condition()}${returning}`,
        columns,
      }),
      () => ({
        sql: `UPDATE ${target.sql} SET qty = ${this.expressions([target]).of('numeric', 2)}${returning}`,
        columns,
      }),
      () => ({ sql: `UPDATE ${target.sql} SET id = 1${returning}`, columns }),
      () => ({
        sql: `UPDATE ${target.sql} SET label = NULL WHERE ${condition()}${returning}`,
        columns,
      }),
      () => ({ sql: `DELETE FROM ${target.sql} WHERE ${condition()}${returning}`, columns }),
      () => ({
        sql: `DELETE FROM ${target.sql} USING ${from} WHERE ${condition()}${returning}`,
        columns,
      }),
      () => {
        const source = this.table();
        const [text] = this.items([source], 1);
        return {
          sql: `INSERT INTO plain (id, label, note) SELECT 100 + row_number() OVER (), 'added', (${text!.sql.replace(/ AS \w+$/, '')})::text FROM ${source.sql} RETURNING id, note`,
          columns: [
            { sql: 'id', kind: 'int', hidden: false },
            { sql: 'note', kind: 'text', hidden: true },
          ],
        };
      },
      () => ({
        sql: `INSERT INTO ${name} AS ${target.alias} (id, grp, label) VALUES (${choices.pick([3, 77])}, 1, 'new')${choices.pick(['', ' ON CONFLICT DO NOTHING', ` ON CONFLICT (id) DO UPDATE SET label = excluded.label`, ` ON CONFLICT (id) DO UPDATE SET label = ${target.alias}.t`])}${returning}`,
        columns,
      }),
      () => ({
        sql: `MERGE INTO ${target.sql} USING ${from} ON ${this.expressions(both, true).condition(1)} WHEN MATCHED THEN UPDATE SET label = ${value()}${this.#serverVersion >= 17 ? returning : ''}`,
        columns: this.#serverVersion >= 17 ? columns : undefined,
      }),
    ])();
  }

  #setOperation(depth: number, withs: readonly Source[], outer: readonly Source[]): Query {
    const left = this.#query(depth - 1, withs, outer);
    if (left.columns === undefined || left.columns.length === 0) return left;
    const operator = this.#choices.pick([
      'UNION ALL',
      'UNION ALL',
      'UNION',
      'EXCEPT',
      'INTERSECT ALL',
    ]);
    const right = this.table();
    const expressions = this.expressions([right]);
    const texts = left.columns.map(() => `${expressions.column('text')?.sql ?? `'x'`}::text`);
    return {
      sql: `SELECT ${left.columns.map(({ sql }) => `q.${sql}::text AS ${sql}`).join(', ')} FROM (${left.sql}) q ${operator} SELECT ${texts.join(', ')} FROM ${right.sql}`,
      columns: left.columns.map((column) => ({ ...column, kind: 'text' })),
    };
  }
}

function columnsOf(relation: Relation, alias: string): Column[] {
  return Object.entries(relation.columns).map(([name, kind]) => ({
    sql: `${alias}.${name}`,
    kind,
    hidden: relation.hidden.has(name),
  }));
}

const bareName = (sql: string): string => sql.slice(sql.lastIndexOf('.') + 1);

const under = (columns: readonly Column[], alias: string): Column[] =>
  columns.map((column) => ({ ...column, sql: `${alias}.${bareName(column.sql)}` }));
