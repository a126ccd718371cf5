import pg from 'pg';

/** pg's types leave out these two. */
type Client = pg.Client & { ref(): void; unref(): void };

interface Kept {
  readonly client: Client;
  pending: number;
}

/** One connection per database, opened on first use; idle ones do not keep the process alive. */
export class Connections {
  readonly #config: pg.ClientConfig;
  readonly #open = new Map<string, Promise<Kept>>();

  constructor(config: pg.ClientConfig) {
    this.#config = config;
  }

  async query<Row extends pg.QueryResultRow>(
    sql: string,
    params: readonly unknown[] | undefined,
    database: string,
  ): Promise<pg.QueryResult<Row>> {
    let opening = this.#open.get(database);
    if (opening === undefined) {
      opening = this.#connect(database);
      opening.catch(() => this.#open.delete(database));
      this.#open.set(database, opening);
    }
    const kept = await opening;
    kept.pending += 1;
    kept.client.ref();
    try {
      return await kept.client.query<Row>(sql, params === undefined ? undefined : [...params]);
    } finally {
      kept.pending -= 1;
      if (kept.pending === 0) kept.client.unref();
    }
  }

  async close(): Promise<void> {
    const open = [...this.#open.values()];
    this.#open.clear();
    await Promise.allSettled(
      open.map(async (opening) => {
        const { client } = await opening;
        client.ref();
        await client.end();
      }),
    );
  }

  async #connect(database: string): Promise<Kept> {
    const client = new pg.Client({ ...this.#config, database }) as Client;
    client.on('error', () => this.#open.delete(database)); // the next query opens a new one
    await client.connect();
    client.unref();
    return { client, pending: 0 };
  }
}
