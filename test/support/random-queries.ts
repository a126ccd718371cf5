/**
 * Random SELECTs over a few known tables and views, nested as deep as asked: joins of every kind, sub-queries,
 * LATERAL, WITH, UNION, window functions, whole rows. Most are valid; who runs them skips those that are not.
 */

/** A relation and its columns, as a query may name them. */
interface Source {
  readonly sql: string;
  readonly alias: string;
  readonly columns: readonly string[];
}

interface Query {
  readonly sql: string;
  readonly columns: readonly string[];
}

export type Tables = Readonly<Record<string, readonly string[]>>;

export class QueryMaker {
  readonly #tables: Tables;
  #state: number;
  #names = 0;

  /** The same seed gives the same query. */
  constructor(tables: Tables, seed: number) {
    this.#tables = tables;
    this.#state = (seed % 0x7ffffffe) + 1;
  }

  make(depth: number): string {
    return this.#query(depth, [], []).sql;
  }

  /** A number in [0, 1), by Park and Miller. */
  #random(): number {
    this.#state = (this.#state * 48271) % 0x7fffffff;
    return this.#state / 0x7fffffff;
  }

  #pick<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.#random() * choices.length)] as T;
  }

  #name(prefix: string): string {
    this.#names += 1;
    return `${prefix}${this.#names}`;
  }

  #source(depth: number, withs: readonly Source[], outer: readonly Source[]): Source {
    const choice = this.#random();
    if (choice < 0.45 || depth <= 0) return this.#table();
    if (choice < 0.6 && withs.length > 0) {
      const query = this.#pick(withs);
      const alias = this.#name('w');
      return { sql: `${query.alias} ${alias}`, alias, columns: query.columns };
    }
    const alias = this.#name('s');
    if (choice < 0.85) {
      const lateral = outer.length > 0 && this.#random() < 0.5;
      const query = this.#query(depth - 1, withs, lateral ? outer : []);
      return {
        sql: `${lateral ? 'LATERAL ' : ''}(${query.sql}) ${alias}`,
        alias,
        columns: query.columns,
      };
    }
    return this.#pick<Source>([
      { sql: `generate_series(1, 2) ${alias}(g)`, alias, columns: ['g'] },
      { sql: `(VALUES ('x', 'y'), ('z', 'w')) ${alias}(va, vb)`, alias, columns: ['va', 'vb'] },
      { sql: `unnest(array['u']) WITH ORDINALITY ${alias}(un, od)`, alias, columns: ['un', 'od'] },
    ]);
  }

  #table(): Source {
    const table = this.#pick(Object.keys(this.#tables));
    const columns = this.#tables[table] as readonly string[];
    if (this.#random() < 0.3) return { sql: table, alias: table, columns };
    const alias = this.#name('t');
    if (this.#random() < 0.8) return { sql: `${table} ${alias}`, alias, columns };
    // Only the first columns get new names, in the table's order.
    const renamed = columns.map((column, index) => (index === 0 ? 'c0' : column));
    return { sql: `${table} AS ${alias}(c0)`, alias, columns: renamed };
  }

  #column(sources: readonly Source[]): string {
    const source = this.#pick(sources);
    if (source === undefined || source.columns.length === 0) return `'lit'`;
    const column = this.#pick(source.columns);
    return this.#random() < 0.6 ? `${source.alias}.${column}` : column;
  }

  #expression(depth: number, sources: readonly Source[]): string {
    if (depth <= 0 || this.#random() < 0.4) return this.#column(sources);
    const text = () => `(${this.#expression(depth - 1, sources)})::text`;
    const row = this.#pick(sources)?.alias ?? `'lit'`;
    return this.#pick([
      () => `coalesce(${text()}, ${text()})`,
      () => `upper(${text()})`,
      () => `${text()} || ${text()}`,
      () => `CASE WHEN ${text()} IS NULL THEN ${text()} ELSE ${text()} END`,
      () => `row_to_json(${row})::text`,
      () => `(${row})::text`,
      () => `(SELECT ${this.#column(sources)} LIMIT 1)`,
      () => `ARRAY(SELECT ${this.#column(sources)})`,
      () => `ARRAY[${text()}]`,
      () => `(array[${text()}])[1]`,
      () => `nullif(${text()}, 'q')`,
      () => `greatest(${text()}, 'a')`,
      () => `format('%s', ${text()})`,
      () => `row(${text()})::text`,
      () => `json_build_object('a', ${text()})::text`,
      () => `max(${text()}) over ()`,
      () => `lag(${text()}, 0) over (order by 1)`,
      () => `exists (select 1 from ${this.#pick(Object.keys(this.#tables))})`,
      () => `(${text()})::varchar`,
    ])();
  }

  #condition(sources: readonly Source[]): string {
    const left = this.#column(sources);
    const right = this.#column(sources);
    return this.#pick([
      'true',
      `${left} IS NOT NULL`,
      `${left}::text = ${right}::text`,
      `${left}::text IN ('a', ${right}::text)`,
      `${left}::text < 'zz'`,
    ]);
  }

  #query(depth: number, withs: readonly Source[], outer: readonly Source[]): Query {
    if (depth > 0 && this.#random() < 0.15) return this.#union(depth, withs, outer);
    let prefix = '';
    let visible = withs;
    if (depth > 0 && this.#random() < 0.3) {
      const inner = this.#query(depth - 1, withs, []);
      const alias = this.#name('cte');
      prefix = `WITH ${alias} AS (${inner.sql}) `;
      visible = [...withs, { sql: alias, alias, columns: inner.columns }];
    }
    const sources: Source[] = [this.#source(depth, visible, outer)];
    let from = sources[0]?.sql ?? '';
    if (this.#random() < 0.5) {
      const added = this.#source(depth, visible, sources);
      if (added.alias !== sources[0]?.alias) {
        from += this.#join(sources[0] as Source, added);
        sources.push(added);
      }
    }
    const all = [...sources, ...outer];
    const where = `WHERE ${this.#condition(all)}`;
    const choice = this.#random();
    if (choice < 0.1) {
      const { alias } = this.#pick(sources);
      return { sql: `${prefix}SELECT ${alias}.* FROM ${from} ${where}`, columns: [] };
    }
    if (choice < 0.2) return { sql: `${prefix}SELECT * FROM ${from} ${where}`, columns: [] };
    const columns: string[] = [];
    const items = Array.from({ length: 1 + Math.floor(this.#random() * 3) }, () => {
      const expression = this.#expression(2, all);
      columns.push(this.#name('o'));
      return `${expression} AS ${columns.at(-1)}`;
    });
    const distinct = this.#random() < 0.08 ? 'DISTINCT ' : '';
    const order = this.#random() < 0.1 ? ` ORDER BY ${columns[0]}` : '';
    return {
      sql: `${prefix}SELECT ${distinct}${items.join(', ')} FROM ${from} ${where}${order}`,
      columns,
    };
  }

  #join(left: Source, right: Source): string {
    const common = left.columns.filter((column) => right.columns.includes(column));
    const choice = this.#random();
    if (common.length > 0 && choice < 0.3) return ` JOIN ${right.sql} USING (${common[0]})`;
    if (choice < 0.45) return ` NATURAL LEFT JOIN ${right.sql}`;
    if (choice < 0.7) return ` JOIN ${right.sql} ON ${this.#condition([left, right])}`;
    return `, ${right.sql}`;
  }

  #union(depth: number, withs: readonly Source[], outer: readonly Source[]): Query {
    const left = this.#query(depth - 1, withs, outer);
    if (left.columns.length === 0) return left;
    const table = this.#table();
    const right = left.columns.map(() => `(${this.#column([table])})::text`);
    const casts = left.columns.map((column) => `u.${column}::text`);
    const operator = this.#pick(['UNION', 'UNION ALL', 'EXCEPT', 'INTERSECT ALL']);
    return {
      sql: `SELECT ${casts.join(', ')} FROM (${left.sql}) u ${operator} SELECT ${right.join(', ')} FROM ${table.sql}`,
      columns: left.columns,
    };
  }
}
