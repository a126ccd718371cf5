import { mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTicket } from '@chaperone/cli/commands/ticket.ts';
import { locateRecord, RecordClient } from '@chaperone/cli/record-client.ts';
import { type Standalone, startStandalone } from '@chaperone/cli/standalone/start.ts';
import { systemClock } from '@chaperone/runtime/clock.ts';
import { createLogger } from '@chaperone/runtime/logging/logger.ts';
import manifest from '../../package.json' with { type: 'json' };
import { startPostgres, type TestPostgres } from '../../test/support/postgres.ts';
import { copyQuickstart } from '../../test/support/quickstart.ts';
import { loadShop, type Shop } from '../../test/support/shop.ts';
import { Caller } from './caller.ts';
import { Lines } from './lines.ts';

export const ordersLoaded = 100_000;

/** What `chaperone ticket create --output json` prints. */
interface Ticket {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
}

/** Everything that the scenes play on: PostgreSQL, the shop, a directory of resources, Chaperone over it. */
export class Stage {
  readonly directory: string;
  readonly standalone: Standalone;
  readonly postgres: TestPostgres;
  readonly shop: Shop;
  readonly record: RecordClient;
  readonly #callers: Caller[] = [];

  private constructor(
    directory: string,
    standalone: Standalone,
    postgres: TestPostgres,
    shop: Shop,
  ) {
    this.directory = directory;
    this.standalone = standalone;
    this.postgres = postgres;
    this.shop = shop;
    this.record = new RecordClient(locateRecord({ directory }));
  }

  /** `onProgress` is told what is being waited for. */
  static async open(onProgress: (what: string) => void): Promise<Stage> {
    onProgress('PostgreSQL 18');
    const postgres = await startPostgres({ version: 18 });
    let directory: string | undefined;
    try {
      onProgress(`a shop with ${ordersLoaded.toLocaleString('en')} orders`);
      const shop = await loadShop(postgres, { orders: ordersLoaded });
      directory = mkdtempSync(join(tmpdir(), 'chaperone-demo-'));
      copyQuickstart(directory, postgres, shop);
      onProgress('chaperone standalone');
      const clock = systemClock();
      const standalone = await startStandalone({
        directory,
        version: manifest.version,
        clock,
        // Only what would surprise: refusals are the demo's subject.
        logger: createLogger({ program: 'standalone', level: 'error', clock }),
      });
      return new Stage(directory, standalone, postgres, shop);
    } catch (error) {
      if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
      await postgres.stop();
      throw error;
    }
  }

  /** A ticket from `chaperone ticket create`. */
  async ticket(identity: string, ttlMs = 10 * 60_000): Promise<Ticket> {
    const lines = new Lines();
    const { directory, shop } = this;
    const options = { directory, target: 'orders-db', ttl: ttlMs, database: shop.database };
    await createTicket(identity, { ...options, output: 'json' }, lines);
    return JSON.parse(lines.all().join('')) as Ticket;
  }

  /**
   * Connects as an identity, with a ticket of its own unless one is given. Throws what the client gets when it
   * is refused.
   */
  async connect(identity: string, ticket?: Ticket): Promise<Caller> {
    const { host, port, user, password } = ticket ?? (await this.ticket(identity));
    const caller = await Caller.connect(identity, this.#callers.length, {
      ...{ host, port, user, password },
      database: this.shop.database,
      application_name: 'demo',
    });
    this.#callers.push(caller);
    return caller;
  }

  /** Rows of a table, asked of the database itself. */
  async count(table: string): Promise<number> {
    const { rows } = await this.postgres.query<{ n: number }>(
      `SELECT count(*)::int AS n FROM ${table}`,
      [],
      this.shop.database,
    );
    return rows[0]!.n;
  }

  /**
   * Replaces a text in a file of the directory, as an editor that saves by renaming does. Returns the moment
   * of saving, by `performance.now()`.
   */
  edit(file: string, from: string, to: string): number {
    const path = join(this.directory, file);
    const before = readFileSync(path, 'utf8');
    if (!before.includes(from)) throw new Error(`${file} does not say ${from}`);
    writeFileSync(`${path}.new`, before.replace(from, to), { mode: statSync(path).mode });
    renameSync(`${path}.new`, path);
    return performance.now();
  }

  /** As `edit`; resolves when the file's change is in force. */
  async editInForce(file: string, from: string, to: string): Promise<void> {
    const changed = Promise.withResolvers<void>();
    let first = true;
    const unwatch = this.standalone.store.watch(['MachineIdentity', 'Target'], () => {
      if (!first) changed.resolve();
      first = false;
    });
    try {
      this.edit(file, from, to);
      await changed.promise;
    } finally {
      unwatch();
    }
  }

  /** Ends everything and removes every trace. */
  async close(): Promise<void> {
    try {
      await Promise.all(this.#callers.map((caller) => caller.end()));
      this.record.close();
      await this.standalone.close();
    } finally {
      rmSync(this.directory, { recursive: true, force: true });
      await this.postgres.stop();
    }
  }
}
