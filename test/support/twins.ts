import pg from 'pg';
import { type Resource, TestChaperone } from './chaperone.ts';
import { converse, originSchema, type Spelling, type Step } from './conversations.ts';
import { startPostgres, type TestPostgres } from './postgres.ts';
import { RawClient } from './raw-client.ts';

/** What two conversations and two databases became; equal where the proxy is not seen. */
export interface Compared {
  readonly expected: readonly string[];
  readonly actual: readonly string[];
}

const stateQuery = `SELECT coalesce(string_agg(line, ' | ' ORDER BY line), '') AS state FROM (
  SELECT 't ' || t::text AS line FROM public.t UNION ALL SELECT 'o ' || o::text FROM other.t AS o
  UNION ALL SELECT 's ' || s::text FROM public.secret AS s
  UNION ALL SELECT 'r ' || relname FROM pg_class WHERE relnamespace = 'public'::regnamespace) AS lines`;

/** A server, a proxy before it, and for each conversation two copies of one database: one for each way there. */
export class Twins {
  readonly postgres: TestPostgres;
  readonly chaperone: TestChaperone;
  #conversation = 0;

  private constructor(postgres: TestPostgres, chaperone: TestChaperone) {
    this.postgres = postgres;
    this.chaperone = chaperone;
  }

  static async start(resources: readonly Resource[]): Promise<Twins> {
    const postgres = await startPostgres({ version: 18 });
    await postgres.query('CREATE DATABASE origin');
    const setup = new pg.Client(postgres.url('origin'));
    await setup.connect();
    for (const sql of originSchema) await setup.query(sql);
    await setup.end();
    return new Twins(postgres, await TestChaperone.start({ postgres, resources }));
  }

  /**
   * Has the conversation both ways; `spelling` is how the server itself is told a text. Messages and, at the
   * end, contents.
   */
  async compare(steps: readonly Step[], cut: number, spelling?: Spelling): Promise<Compared> {
    const { postgres } = this;
    this.#conversation += 1;
    const [direct, proxied] = [`direct_${this.#conversation}`, `proxied_${this.#conversation}`];
    for (const name of [direct, proxied]) {
      await postgres.query(`CREATE DATABASE ${name} TEMPLATE origin STRATEGY file_copy`);
    }
    const { host, port, superuser: user, password } = postgres;
    const [a, b] = await Promise.all([
      RawClient.direct({ host, port, user, password, database: direct }),
      RawClient.login(await this.chaperone.connection(proxied)),
    ]);
    try {
      const expected = await converse(a, steps, cut, spelling);
      const actual = await converse(b, steps, cut);
      for (const client of [a, b]) client.end();
      await Promise.all([a, b].map((client) => client.until(() => false)));
      return {
        expected: [...expected.map((line) => line.replaceAll(direct, proxied))].concat(
          await this.#state(direct),
        ),
        actual: [...actual, await this.#state(proxied)],
      };
    } finally {
      for (const client of [a, b]) client.end();
      for (const name of [direct, proxied]) {
        await postgres.query(`DROP DATABASE ${name} WITH (FORCE)`);
      }
    }
  }

  async stop(): Promise<void> {
    await this.chaperone.stop();
    await this.postgres.stop();
  }

  async #state(database: string): Promise<string> {
    const { rows } = await this.postgres.query(stateQuery, [], database);
    return `= ${rows[0]!['state']}`;
  }
}
