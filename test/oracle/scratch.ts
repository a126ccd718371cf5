import type { StatementAnalysis } from '@chaperone/core/sql/operation.ts';
import { analyze } from '@chaperone/core/sql/postgres/analyze.ts';
import { decodeField, readSessionState } from '@chaperone/core/sql/postgres/catalog-document.ts';
import { catalogQuery, sessionStateQuery } from '@chaperone/core/sql/postgres/catalog-query.ts';
import { compileCatalog } from '@chaperone/core/sql/postgres/compile-catalog.ts';
import type { AnalyzeContext } from '@chaperone/core/sql/postgres/run.ts';
import { namePath } from '@chaperone/core/sql/postgres/search-path.ts';
import pg from 'pg';
import type { PostgresVersion, TestPostgres } from '../support/postgres.ts';
import { startPostgres } from '../support/postgres.ts';
import { compare, type Verdict } from './coverage.ts';
import type { Written } from './kinds.ts';
import { scratchSchema } from './scratch-schema.ts';
import { installWatch, type Knowledge, readKnowledge, type Sight, Watch } from './watch.ts';

/** What came of one statement; undefined where the server did not take it. */
export type Outcome = { readonly kind: string; readonly verdict: Verdict } | undefined;

export type Spoil = (analysis: StatementAnalysis) => StatementAnalysis;

const database = 'scratch';

/** What the analyzer would know of the database by now, as the session sees it. */
export async function readContext(
  client: pg.ClientBase,
  documentRead: (json: string) => void = () => {},
): Promise<AnalyzeContext> {
  const field = async (sql: string): Promise<string> => {
    const { rows } = await client.query<string[]>({ text: sql, rowMode: 'array' });
    return String(rows[0]?.[0]);
  };
  const json = decodeField(await field(catalogQuery));
  documentRead(json);
  const state = readSessionState(await field(sessionStateQuery));
  const catalog = compileCatalog(json);
  const { searchPath, pathSetting = [] } = namePath(state, catalog);
  return {
    catalog,
    database,
    searchPath,
    pathSetting,
    currentUser: state.currentUser,
  };
}

/** A server with the scratch database, on which statements are tried one by one. */
export class Scratch {
  readonly server: TestPostgres;
  readonly known: Knowledge;
  readonly context: AnalyzeContext;
  #client: pg.Client | undefined;
  #watch: Watch | undefined;
  #copies = 0;

  private constructor(server: TestPostgres, known: Knowledge, context: AnalyzeContext) {
    this.server = server;
    this.known = known;
    this.context = context;
  }

  /** `setup`: statements after the schema's own. */
  static async start(version: PostgresVersion, setup = ''): Promise<Scratch> {
    const server = await startPostgres({
      version,
      settings: {
        track_functions: 'all',
        allow_in_place_tablespaces: 'on',
        wal_level: 'logical',
        autovacuum: 'off',
        jit: 'off',
      },
    });
    await server.query(`CREATE DATABASE ${database}`);
    await server.query("CREATE TABLESPACE elsewhere LOCATION ''");
    const client = new pg.Client({ connectionString: server.url(database) });
    await client.connect();
    try {
      await client.query(scratchSchema + setup);
      // Before the watch is there: the analyzer knows nothing of it.
      const context = await readContext(client);
      await installWatch(client);
      return new Scratch(server, await readKnowledge(client), context);
    } finally {
      await client.end();
    }
  }

  async stop(): Promise<void> {
    await this.#client?.end();
    await this.server.stop();
  }

  /** Runs it in a transaction that is rolled back. `spoil` makes a wrong analysis of the right one, to see it found. */
  async tryOne(written: Written, spoil: Spoil = (analysis) => analysis): Promise<Outcome> {
    const { client, watch } = await this.#session();
    await watch.before(true);
    return await this.#judge(client, watch, written, false, spoil);
  }

  /** A session with nothing of the statement before in it, for whoever tries several in one transaction. */
  async session(): Promise<{ readonly client: pg.Client; readonly watch: Watch }> {
    return this.#session();
  }

  /** Runs it outside of any transaction on a copy of the database, which is thrown away. */
  async tryAlone(written: Written): Promise<Outcome> {
    await this.#forget();
    this.#copies += 1;
    const copy = `copy_${this.#copies}`;
    // The statement may name the database, so the copy takes its name for the time.
    await this.server.query(`ALTER DATABASE ${database} RENAME TO original`);
    await this.server.query(`CREATE DATABASE ${database} TEMPLATE original`);
    const client = await this.#connect();
    try {
      const watch = new Watch(client, this.known);
      await watch.begin();
      await watch.clear();
      await watch.before(false);
      return await this.#judge(client, watch, written, true, (analysis) => analysis);
    } finally {
      await client.end();
      await this.server.query(`ALTER DATABASE ${database} RENAME TO ${copy}`);
      await this.server.query(`DROP DATABASE ${copy} WITH (FORCE)`);
      await this.server.query(`ALTER DATABASE original RENAME TO ${database}`);
    }
  }

  async #judge(
    client: pg.Client,
    watch: Watch,
    { sql, before = [] }: Written,
    alone: boolean,
    spoil: Spoil,
  ): Promise<Outcome> {
    let { context } = this;
    const analyses: StatementAnalysis[] = [];
    let already: Sight | undefined;
    try {
      for (const text of before) {
        // What EXECUTE and FETCH stand for: the session adds it from what it knows of the names.
        analyses.push(...analyze(text, context).statements.filter(keepsForLater));
        await client.query(text);
        if (/^(create|alter)/i.test(text)) context = await this.#reread(client, alone);
      }
      if (before.length > 0) {
        already = await this.#look(client, watch, alone);
        await watch.before(false);
      }
      await client.query(sql);
    } catch {
      return undefined;
    }
    const analysis = analyze(sql, context);
    const [statement] = analysis.statements;
    if (statement === undefined) return undefined;
    let sight: Sight;
    try {
      sight = without(await watch.after(alone), already);
    } catch (error) {
      if (!(error instanceof pg.DatabaseError)) throw error;
      return { kind: statement.kind, verdict: { kind: 'Unseen' } };
    }
    return {
      kind: statement.kind,
      verdict: compare([spoil(statement), ...analyses], sight, this.known, database),
    };
  }

  /** What is there before the statement; looking takes locks, which are given up again. */
  async #look(client: pg.Client, watch: Watch, alone: boolean): Promise<Sight> {
    if (alone) return watch.after(true);
    await client.query('SAVEPOINT looking');
    const sight = await watch.after(false);
    await client.query('ROLLBACK TO looking; RELEASE looking');
    return sight;
  }

  async #reread(client: pg.Client, alone: boolean): Promise<AnalyzeContext> {
    if (alone) return readContext(client);
    await client.query('SAVEPOINT reading');
    const context = await readContext(client);
    await client.query('ROLLBACK TO reading; RELEASE reading');
    return context;
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: this.server.url(database) });
    client.on('error', () => {});
    await client.connect();
    await client.query("SET statement_timeout = '10s'");
    // Making a copy has changed the databases themselves.
    await client.query('UPDATE oracle.since SET xid = pg_current_xact_id()::text::bigint');
    return client;
  }

  /** A session with nothing of the statement before in it. */
  async #session(): Promise<{ client: pg.Client; watch: Watch }> {
    if (this.#client !== undefined && this.#watch !== undefined) {
      try {
        await this.#watch.clear();
        return { client: this.#client, watch: this.#watch };
      } catch {
        // The statement before has ended the session.
        await this.#forget();
      }
    }
    const client = await this.#connect();
    const watch = new Watch(client, this.known);
    await watch.begin();
    await watch.clear();
    this.#client = client;
    this.#watch = watch;
    return { client, watch };
  }

  async #forget(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    this.#watch = undefined;
    await client?.end().catch(() => {});
  }
}

function keepsForLater({ kind }: { readonly kind: string }): boolean {
  return kind === 'PrepareStmt' || kind === 'DeclareCursorStmt';
}

/** Counted from just before the statement, so never an earlier one's. */
const counted: ReadonlySet<string> = new Set([
  'scanned',
  'inserted',
  'updated',
  'deleted',
  'advanced',
  'maintained',
]);

/** What was there before the statement is not its doing. */
export function without(sight: Sight, already: Sight | undefined): Sight {
  if (already === undefined) return sight;
  const known = new Set([...already.touches, ...already.objects].map((one) => JSON.stringify(one)));
  const isNew = (one: object): boolean => !known.has(JSON.stringify(one));
  return {
    ...sight,
    touches: sight.touches.filter((touch) => counted.has(touch.fact) || isNew(touch)),
    objects: sight.objects.filter(isNew),
    settings: sight.settings.filter((name) => !already.settings.includes(name)),
  };
}
