/** The soak's client in Node: a pool of pg, and connections that come and go. */
import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { ClientTally } from './tally.ts';

const masked = /^\*{7}\d{4}$/;
const endless = 'SELECT pg_sleep(3600)';

/** The session was ended while the client waited or before it knew. */
const ended: ReadonlySet<string> = new Set(['57P01', 'ECONNRESET', 'EPIPE', 'closed']);

interface Counts {
  logins: number;
  refused: number;
  inserted: number;
  lost: number;
  cancelled: number;
  bare: number;
  answered: number;
  strange: Record<string, number>;
}

/** Some workers over one pool, until they are told to stop. */
export class PgClient {
  readonly #config: pg.ClientConfig;
  readonly #pool: pg.Pool;
  readonly #counts: Counts = {
    logins: 0,
    refused: 0,
    inserted: 0,
    lost: 0,
    cancelled: 0,
    bare: 0,
    answered: 0,
    strange: {},
  };
  #latenciesMs: number[] = [];
  #stopping = false;
  #workers: Promise<void>[] = [];

  constructor(config: pg.ClientConfig) {
    this.#config = config;
    this.#pool = new pg.Pool({ ...config, max: 5, idleTimeoutMillis: 2000, maxUses: 500 });
    this.#pool.on('connect', (client) => {
      this.#counts.logins += 1;
      client.on('error', () => {}); // its session was ended while a worker had it: the next query says so
    });
    this.#pool.on('error', () => {}); // an idle connection was ended
  }

  start(workers: number): void {
    this.#workers = Array.from({ length: workers }, () => this.#work());
  }

  /** Milliseconds that single-row reads have taken since this was asked last. */
  takeLatencies(): number[] {
    const taken = this.#latenciesMs;
    this.#latenciesMs = [];
    return taken;
  }

  /** Resolves when all workers have ended and every connection is closed. */
  async stop(): Promise<ClientTally> {
    this.#stopping = true;
    await Promise.all(this.#workers);
    await this.#pool.end();
    return { name: 'pg', ...this.#counts };
  }

  async #work(): Promise<void> {
    const steps = [
      () => this.#read(),
      () => this.#read(),
      () => this.#read(),
      () => this.#toggled(),
      () => this.#insert(),
      () => this.#transaction(),
      () => this.#refusal(),
      () => this.#failure(),
      () => this.#bigResult(),
      () => this.#cancel(),
      () => this.#churn(),
    ];
    while (!this.#stopping) {
      await this.#outcome(steps[randomInt(steps.length)]!);
      await delay(randomInt(60));
    }
  }

  /** Counts what became of a step that may be refused, cancelled, or end with its session. */
  async #outcome(step: () => Promise<unknown>): Promise<void> {
    try {
      await step();
      this.#counts.answered += 1;
    } catch (error) {
      const code = codeOf(error);
      if (code === '42501') this.#counts.refused += 1;
      else if (code === '57014') this.#counts.cancelled += 1;
      else if (code === '22012') this.#counts.answered += 1;
      else if (code === '28000')
        await delay(100); // turned away while suspended: nothing was sent
      else if (ended.has(code)) {
        this.#counts.lost += 1;
        await delay(100);
      } else {
        const name = `${code} ${(error as Error).message}`;
        this.#counts.strange[name] = (this.#counts.strange[name] ?? 0) + 1;
      }
    }
  }

  async #read(): Promise<void> {
    const startedMs = performance.now();
    const text = 'SELECT id, ssn, name FROM customers WHERE id = $1';
    const name = randomInt(2) === 0 ? 'customer' : undefined;
    const { rows } = await this.#pool.query({
      text,
      values: [1 + randomInt(200)],
      ...(name && { name }),
    });
    this.#latenciesMs.push(performance.now() - startedMs);
    if (!masked.test(rows[0].ssn)) this.#counts.bare += 1;
  }

  /** What the policy allows and refuses by turns. */
  async #toggled(): Promise<void> {
    await this.#pool.query('SELECT name FROM products WHERE id = $1', [1 + randomInt(50)]);
  }

  async #insert(): Promise<void> {
    await this.#pool.query("INSERT INTO soak_log (client) VALUES ('pg')");
    this.#counts.inserted += 1;
  }

  async #transaction(): Promise<void> {
    const client = await this.#pool.connect();
    let failed: Error | undefined;
    try {
      await client.query('BEGIN');
      await client.query("INSERT INTO soak_log (client) VALUES ('pg')");
      if (randomInt(3) === 0) await client.query('ROLLBACK');
      else {
        await client.query('COMMIT');
        this.#counts.inserted += 1;
      }
    } catch (error) {
      failed = error as Error;
      throw error;
    } finally {
      client.release(failed);
    }
  }

  async #refusal(): Promise<void> {
    await this.#pool.query('DELETE FROM orders WHERE id = $1', [randomInt(1000)]);
  }

  async #failure(): Promise<void> {
    await this.#pool.query('SELECT 1/0');
  }

  async #bigResult(): Promise<void> {
    await this.#pool.query('SELECT * FROM order_items');
    const { rows } = await this.#pool.query('SELECT id, ssn, notes FROM customers');
    this.#counts.bare += rows.filter(({ ssn }) => !masked.test(ssn)).length;
  }

  async #cancel(): Promise<void> {
    const client = await this.#pool.connect();
    let failed: Error | undefined;
    try {
      // Questions of the proxy's own run under it, too: they take longer than a few milliseconds here.
      await client.query(`SET statement_timeout = ${1000 + randomInt(500)}`);
      await client.query(endless).catch((error) => {
        if (codeOf(error) !== '57014') throw error;
        this.#counts.cancelled += 1;
      });
      await client.query('RESET statement_timeout');
    } catch (error) {
      failed = error as Error;
      throw error;
    } finally {
      client.release(failed);
    }
  }

  /** A connection of its own, which is ended or just dropped. */
  async #churn(): Promise<void> {
    const client = new pg.Client(this.#config);
    client.on('error', () => {});
    await client.connect();
    this.#counts.logins += 1;
    await client.query('SELECT 1');
    // biome-ignore lint/suspicious/noExplicitAny: the socket beneath is not in pg's types
    if (randomInt(3) === 0) (client as any).connection.stream.destroy();
    else await client.end();
  }
}

function codeOf(error: unknown): string {
  const { code, message } = error as { code?: string; message: string };
  if (code !== undefined) return code;
  return /terminated|closed|ended/i.test(message) ? 'closed' : 'none';
}
