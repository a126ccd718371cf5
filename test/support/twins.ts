import { afterAll, beforeAll } from '@jest/globals';
import { type Resource, TestChaperone } from './chaperone.ts';
import { converse, createOrigin, originRows, type Spelling, type Step } from './conversations.ts';
import { startPostgres, type TestPostgres } from './postgres.ts';
import { RawClient } from './raw-client.ts';

/** What two conversations and two databases became; equal where the proxy is not seen. */
export interface Compared {
  readonly expected: readonly string[];
  readonly actual: readonly string[];
}

/** Rules that allow everything, and name what an allowed class does not reach. */
export const allowEverything: readonly Resource[] = [
  {
    name: 'everything',
    action: 'Allow',
    classes: ['Read', 'Write', 'Schema', 'Privilege', 'Session', 'Procedure', 'Export', 'Admin'],
    resources: ['**'],
  },
  {
    name: 'named',
    action: 'Allow',
    verbs: ['Unknown', 'Do', 'Call', 'FunctionCall', 'ServerFile', 'ServerProgram', 'SetRole'],
    resources: ['**'],
  },
];

/** Rows, and what else the texts may make that does not end with their session. */
const stateQuery = `SELECT
  (SELECT coalesce(string_agg(line, ' | ' ORDER BY line), '') FROM (
    SELECT 't ' || t::text AS line FROM public.t UNION ALL SELECT 'o ' || o::text FROM other.t AS o
    UNION ALL SELECT 's ' || s::text FROM public.secret AS s) AS lines) AS rows,
  (SELECT string_agg(relnamespace::regnamespace || '.' || relname, ' ' ORDER BY relnamespace, relname)
    FROM pg_class WHERE relnamespace::regnamespace::text !~ '^pg_') AS schema`;

const restoreRows = ['TRUNCATE t, other.t, secret', ...originRows].join('; ');

interface State {
  readonly rows: string;
  readonly schema: string;
}

/** Two copies of one database, and what of them a conversation may have changed. */
interface Pair {
  readonly direct: string;
  readonly proxied: string;
  rowsChanged: boolean;
}

/**
 * A server, a proxy before it, and two copies of one database: one for each way there. Each conversation finds
 * them as the first one did: rows are put back, and where more was changed there are two new copies.
 */
export class Twins {
  readonly #postgres: TestPostgres;
  readonly #chaperone: TestChaperone;
  /** What every conversation finds. */
  #origin: State | undefined;
  #pair: Pair | undefined;
  #pairs = 0;

  private constructor(postgres: TestPostgres, chaperone: TestChaperone) {
    this.#postgres = postgres;
    this.#chaperone = chaperone;
  }

  static async start(resources: readonly Resource[]): Promise<Twins> {
    // What vacuuming did to one of two databases might be seen.
    const postgres = await startPostgres({ version: 18, settings: { autovacuum: 'off' } });
    await createOrigin(postgres);
    return new Twins(postgres, await TestChaperone.start({ postgres, resources }));
  }

  /**
   * Has the conversation both ways; `spelling` is how the server itself is told a text. Messages and, at the
   * end, contents.
   */
  async compare(steps: readonly Step[], cut: number, spelling?: Spelling): Promise<Compared> {
    const pair = await this.#unchanged();
    this.#pair = undefined; // until it is known what the conversation left
    const { direct, proxied } = pair;
    const { host, port, superuser: user, password } = this.#postgres;
    const [a, b] = await Promise.all([
      RawClient.direct({ host, port, user, password, database: direct }),
      RawClient.login(await this.#chaperone.connection(proxied)),
    ]);
    try {
      const [expected, actual] = await Promise.all([
        converse(a, steps, cut, spelling),
        converse(b, steps, cut),
      ]);
      for (const client of [a, b]) client.end();
      await Promise.all([a, b].map((client) => client.until(() => false)));
      const states = await Promise.all([direct, proxied].map((name) => this.#stateOf(name)));
      if (states.every(({ schema }) => schema === this.#origin!.schema)) {
        pair.rowsChanged = states.some(({ rows }) => rows !== this.#origin!.rows);
        this.#pair = pair;
      }
      const [expectedState, actualState] = states.map(({ rows, schema }) => [rows, schema]);
      return {
        expected: [...expected.map((line) => line.replaceAll(direct, proxied)), ...expectedState!],
        actual: [...actual, ...actualState!],
      };
    } finally {
      for (const client of [a, b]) client.end();
      if (this.#pair !== pair) await this.#drop(pair);
    }
  }

  async stop(): Promise<void> {
    await this.#chaperone.stop();
    await this.#postgres.stop();
  }

  async #unchanged(): Promise<Pair> {
    const pair = this.#pair ?? (await this.#copies());
    if (pair.rowsChanged) {
      await Promise.all(
        [pair.direct, pair.proxied].map((name) =>
          this.#postgres.query(restoreRows, undefined, name),
        ),
      );
    }
    return pair;
  }

  async #copies(): Promise<Pair> {
    this.#pairs += 1;
    const [direct, proxied] = [`direct_${this.#pairs}`, `proxied_${this.#pairs}`];
    for (const name of [direct, proxied]) {
      await this.#postgres.query(`CREATE DATABASE ${name} TEMPLATE origin STRATEGY file_copy`);
    }
    this.#origin ??= await this.#stateOf(direct);
    return { direct, proxied, rowsChanged: false };
  }

  async #drop({ direct, proxied }: Pair): Promise<void> {
    for (const name of [direct, proxied]) {
      await this.#postgres.query(`DROP DATABASE ${name} WITH (FORCE)`);
    }
  }

  async #stateOf(database: string): Promise<State> {
    const { rows } = await this.#postgres.query<State>(stateQuery, [], database);
    return rows[0]!;
  }
}

/** Twins for the tests of a file. */
export function useTwins(resources: readonly Resource[]): Pick<Twins, 'compare'> {
  let twins: Twins | undefined;
  beforeAll(async () => {
    twins = await Twins.start(resources);
  }, 60_000);
  afterAll(() => twins?.stop());
  return { compare: (steps, cut, spelling) => twins!.compare(steps, cut, spelling) };
}
