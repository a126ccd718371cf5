import pg from 'pg';

export type Answer =
  | {
      readonly kind: 'Rows';
      readonly columns: readonly string[];
      readonly rows: readonly (readonly unknown[])[];
      /** Of the command tag, like 3 of `DELETE 3`; null where it has none. */
      readonly count: number | null;
      readonly command: string;
    }
  | {
      readonly kind: 'Refused';
      readonly code: string;
      readonly message: string;
      readonly hint: string | undefined;
    };

/** A program that connects: the ordinary `pg` driver, which knows nothing of Chaperone. */
export class Caller {
  readonly identity: string;
  /** Of all that connected, from 0. */
  readonly number: number;
  /** Resolves when the connection is gone. */
  readonly gone: Promise<void>;
  readonly #client: pg.Client;

  private constructor(identity: string, number: number, client: pg.Client) {
    this.identity = identity;
    this.number = number;
    this.#client = client;
    this.gone = new Promise((resolve) => client.once('end', resolve));
  }

  static async connect(identity: string, number: number, config: pg.ClientConfig): Promise<Caller> {
    const client = new pg.Client(config);
    client.on('error', () => {}); // a cut connection is told by its queries
    const caller = new Caller(identity, number, client);
    await client.connect();
    return caller;
  }

  /** Resolves to what the client saw, a refusal included. */
  async ask(text: string, parameters?: readonly unknown[]): Promise<Answer> {
    try {
      const result = await this.#client.query({
        text,
        rowMode: 'array',
        ...(parameters && { values: [...parameters] }),
      });
      return {
        kind: 'Rows',
        columns: result.fields.map(({ name }) => name),
        rows: result.rows,
        count: result.rowCount,
        command: result.command,
      };
    } catch (error) {
      return refused(error);
    }
  }

  async end(): Promise<void> {
    await this.#client.end().catch(() => {});
  }
}

/** What a refused login or statement told the client. */
export function refused(error: unknown): Answer & { kind: 'Refused' } {
  const { code, message, hint } = error as pg.DatabaseError;
  return { kind: 'Refused', code: code ?? 'none', message, hint };
}
