/** Both worlds before the product and behind it, asked the same: what reaches the client, and what PostgreSQL itself says. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { replaySession } from '@chaperone/cli/commands/replay.ts';
import { locateRecord, RecordClient } from '@chaperone/cli/record-client.ts';
import { systemClock } from '@chaperone/runtime/clock.ts';
import { createLogger } from '@chaperone/runtime/logging/logger.ts';
import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { TestChaperone } from '../support/chaperone.ts';
import { type PostgresVersion, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { errorFields, RawClient, type RawMessage } from '../support/raw-client.ts';
import { acknowledged } from '../support/record.ts';
import { Canaries } from './masking-canaries.ts';
import type { Conversation } from './masking-statements.ts';
import { compare, KeyedPairs, type Line, lineOf, type Origin } from './masking-transcript.ts';
import {
  comparableRelations,
  createWorlds,
  databases,
  guessableRelations,
  maskingResources,
  shapes,
  type World,
} from './masking-worlds.ts';

/** What one session said and heard in a conversation, step by step. */
type Transcript = readonly (readonly RawMessage[])[];

/** A session that is opened anew when it has ended. */
class Session {
  readonly #open: () => Promise<RawClient>;
  #client: RawClient | undefined;

  constructor(open: () => Promise<RawClient>) {
    this.#open = open;
  }

  async converse(steps: Conversation['steps']): Promise<Transcript> {
    this.#client ??= await this.#open();
    const transcript: RawMessage[][] = [];
    for (const { bytes, ready } of steps) transcript.push(await this.#exchange(bytes, ready));
    for (const sql of this.#status(transcript) === 'I' ? tidy : ['ROLLBACK', ...tidy]) {
      if (this.#client !== undefined) transcript.push(await this.#exchange(write.query(sql), 1));
    }
    return transcript;
  }

  async #exchange(bytes: Buffer, ready: number): Promise<RawMessage[]> {
    if (this.#client === undefined) return [];
    const messages = await this.#client.exchange(bytes, ready);
    if (messages.at(-1)?.type !== 'Z') this.#client = undefined;
    return messages;
  }

  #status(transcript: Transcript): string | undefined {
    return transcript.at(-1)?.at(-1)?.body.toString('latin1');
  }

  end(): void {
    this.#client?.end();
    this.#client = undefined;
  }
}

/** What a conversation may leave behind. */
const tidy = ['CLOSE ALL; DEALLOCATE ALL; UNLISTEN *'];

/** How one conversation went. */
export interface Outcome {
  /** What reached the client and must not have; empty is what a test wants. */
  readonly findings: readonly string[];
  /** PostgreSQL itself took the query. */
  readonly valid: boolean;
  /** PostgreSQL's own answers differ between the worlds: the query tells of protected values. */
  readonly telling: boolean;
  /** The product refused some statement of it that PostgreSQL would have taken. */
  readonly refused: boolean;
  /** Rows reached the client. */
  readonly delivered: boolean;
  readonly reordered: boolean;
}

/** SQLSTATE of what a policy refuses. PostgreSQL itself refuses a superuser nothing by it. */
const insufficientPrivilege = '42501';

export class MaskingLab {
  readonly postgres: TestPostgres;
  readonly chaperone: TestChaperone;
  readonly canaries = new Canaries();
  readonly pairs = new KeyedPairs();
  readonly #log: Buffer[];
  readonly #origin: Origin;
  readonly #governed: readonly [Session, Session];
  readonly #direct: readonly [Session, Session];

  private constructor(
    postgres: TestPostgres,
    chaperone: TestChaperone,
    log: Buffer[],
    origin: Origin,
  ) {
    this.postgres = postgres;
    this.chaperone = chaperone;
    this.#log = log;
    this.#origin = origin;
    const governed = (world: World) =>
      new Session(async () =>
        RawClient.login(await chaperone.connection(databases(world).governed)),
      );
    const direct = (world: World) =>
      new Session(() =>
        RawClient.direct({
          host: postgres.host,
          port: postgres.port,
          user: postgres.superuser,
          password: postgres.password,
          database: databases(world).direct,
        }),
      );
    this.#governed = [governed(0), governed(1)];
    this.#direct = [direct(0), direct(1)];
  }

  static async start(version: PostgresVersion): Promise<MaskingLab> {
    const postgres = await startPostgres({ version, settings: { autovacuum: 'off' } });
    await createWorlds(postgres.query);
    const { rows } = await postgres.query<{ next: number }>(
      'SELECT max(oid)::bigint::int + 1 AS next FROM (SELECT oid FROM pg_class UNION ALL SELECT oid FROM pg_type) o',
      undefined,
      databases(1).direct,
    );
    const destination = new PassThrough();
    const log: Buffer[] = [];
    destination.on('data', (chunk: Buffer) => log.push(Buffer.from(chunk)));
    const clock = systemClock();
    const chaperone = await TestChaperone.start({
      postgres,
      resources: maskingResources(),
      logger: createLogger({ program: 'test', level: 'debug', clock, destination }),
    });
    const lab = new MaskingLab(postgres, chaperone, log, { firstNewOid: rows[0]!.next });
    await lab.#learn();
    return lab;
  }

  /**
   * What the product wrote or shows besides: log, metrics, and the spool, which has every event as it was recorded.
   * With `all` every other file of it and the record as it is replayed, which takes its time.
   */
  async written(all: boolean): Promise<readonly (readonly [string, Buffer])[]> {
    const { directory, standalone } = this.chaperone;
    await acknowledged(this.chaperone);
    const metrics = await (await fetch(`${standalone.opsUrl}/metrics`)).text();
    const state = join(directory, '.chaperone');
    return [
      ['log', Buffer.concat(this.#log)],
      ['metrics', Buffer.from(metrics)],
      ...filesBelow(all ? state : join(state, 'spool')),
      ...(all ? [['replay', Buffer.from(await this.#replay())] as const] : []),
    ];
  }

  async #replay(): Promise<string> {
    const { directory } = this.chaperone;
    const client = new RecordClient(locateRecord({ directory }));
    const replays: string[] = [];
    try {
      for await (const session of client.sessions({}, Number.POSITIVE_INFINITY)) {
        const out = new PassThrough();
        const replay = text(out);
        await replaySession(client, session.id, { directory, output: 'table', rows: 1000 }, out);
        out.end();
        replays.push(await replay);
      }
    } finally {
      client.close();
    }
    return replays.join('\n');
  }

  async stop(): Promise<void> {
    for (const session of [...this.#governed, ...this.#direct]) session.end();
    await this.chaperone.stop();
    await this.postgres.stop();
  }

  /** Asks all four, and says what of it must not have been. `ungoverned`: PostgreSQL itself is judged. */
  async judge(conversation: Conversation, ungoverned = false): Promise<Outcome> {
    const { steps, sql } = conversation;
    const [governed, direct] = await Promise.all(
      [ungoverned ? this.#direct : this.#governed, ungoverned ? [] : this.#direct].map((sessions) =>
        Promise.all(sessions.map((session) => session.converse(steps))),
      ),
    );
    const [first, second] = governed as [Transcript, Transcript];
    const findings: string[] = [];
    for (const [world, transcript] of [first, second].entries()) {
      findings.push(...this.#canariesIn(transcript).map((found) => `world ${world}: ${found}`));
    }
    const statements = steps.map(({ label }) => label).join('\n');
    const comparable = comparableRelations.test(statements);
    let reordered = false;
    if (!guessableRelations.test(statements)) {
      const options = { pairs: this.pairs, keyed: comparable, unordered: comparable };
      for (const [index, step] of steps.entries()) {
        const lines = [first, second].map((one) => this.#lines(one[index] ?? []));
        const compared = compare(lines[0]!, lines[1]!, options);
        reordered ||= compared.reordered ?? false;
        if (compared.difference !== undefined) {
          findings.push(`the worlds differ after «${step.label}»:\n${compared.difference}`);
        }
      }
    }
    const refused = isRefused(first);
    return {
      findings: findings.map((found) => `${found}\nin «${sql}» as ${conversation.shape}`),
      valid: direct!.length > 0 && !direct!.flat(2).some(({ type }) => type === 'E'),
      telling: direct!.length > 0 && this.#tells(direct as [Transcript, Transcript], steps.length),
      refused,
      delivered: first.flat().some(({ type }) => type === 'D' || type === 'd'),
      reordered,
    };
  }

  #canariesIn(transcript: Transcript): string[] {
    const messages = transcript.flat();
    const found = this.canaries.find(Buffer.concat(messages.map(({ body }) => body)));
    for (const message of messages) {
      if (message.type !== 'D') continue;
      for (const field of lineOf(message, this.#origin).fields ?? []) {
        const name = field === null ? undefined : this.canaries.findCell(field);
        if (name !== undefined) found.push(name);
      }
    }
    return [...new Set(found)];
  }

  #lines(messages: readonly RawMessage[]): Line[] {
    return messages.map((message) => lineOf(message, this.#origin));
  }

  #tells([first, second]: readonly [Transcript, Transcript], steps: number): boolean {
    const none = new KeyedPairs();
    for (let index = 0; index < steps; index += 1) {
      const compared = compare(this.#lines(first[index] ?? []), this.#lines(second[index] ?? []), {
        pairs: none,
        keyed: false,
        unordered: false,
      });
      if (compared.difference !== undefined) return true;
    }
    return false;
  }

  /** Which keyed masks stand for each other: by plain selections of each column, in every format. */
  async #learn(): Promise<void> {
    const columns = Object.keys(shapes);
    const texts = ['t', 'v', 'c', 'x'].flatMap((name) =>
      ['text', 'varchar', 'bpchar'].map((type) => `${name}::${type}`),
    );
    const select = `SELECT ${[...columns, ...texts].join(', ')} FROM ledger ORDER BY id`;
    for (const messages of [
      [write.query(select)],
      [write.parse('', select), write.bind(unnamed([1])), write.execute('', 0), write.sync],
      [write.query(`COPY (${select}) TO STDOUT`)],
      [write.query(`COPY (${select}) TO STDOUT (FORMAT csv)`)],
    ]) {
      const step = { label: select, bytes: Buffer.concat(messages), ready: 1 };
      const [first, second] = await Promise.all(
        this.#governed.map((session) => session.converse([step])),
      );
      this.pairs.learn(this.#lines(first![0]!), this.#lines(second![0]!));
    }
  }
}

const unnamed = (resultFormats: (0 | 1)[]) => ({
  portal: '',
  statement: '',
  parameterFormats: [],
  parameters: [],
  resultFormats,
});

function isRefused(transcript: Transcript): boolean {
  return transcript
    .flat()
    .some(({ type, body }) => type === 'E' && errorFields(body).get('C') === insufficientPrivilege);
}

function* filesBelow(directory: string): Generator<readonly [string, Buffer]> {
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    if (statSync(path).isDirectory()) yield* filesBelow(path);
    else yield [path, readFileSync(path)];
  }
}
