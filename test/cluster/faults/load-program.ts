/**
 * Runs in a governed pod, knowing nothing of Chaperone: `load-program.ts FILE HOST FIRST`. Some workers keep a session
 * for as long as it lasts, one opens a new one for each statement. What comes of each goes to FILE, at once; the
 * program ends when FILE.stop is there.
 */
import { appendFileSync, existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { numberedStatement, statementKinds } from './statements.ts';
import type { StatementEntry, TallyEntry } from './tally.ts';

const [file, host, first] = process.argv.slice(2) as [string, string, string];
const pauseMs = 150;
let next = Number(first);

const note = (entry: TallyEntry): void => appendFileSync(file, `${JSON.stringify(entry)}\n`);
const codeOf = (error: unknown): string => {
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? message;
};

async function connect(worker: string): Promise<pg.Client | undefined> {
  const client = new pg.Client({
    host,
    user: 'app',
    database: 'shop',
    connectionTimeoutMillis: 10_000,
    query_timeout: 30_000,
  });
  client.on('error', () => {}); // the statement says it too
  try {
    await client.connect();
    note({ connection: 'Opened', worker, at: Date.now() });
    return client;
  } catch (error) {
    note({ connection: 'Failed', worker, at: Date.now(), code: codeOf(error) });
    client.end().catch(() => {});
    return undefined;
  }
}

async function ask(client: pg.Client, worker: string): Promise<StatementEntry['outcome']> {
  const number = next++;
  const kind = statementKinds[number % statementKinds.length]!;
  const { text, values } = numberedStatement(kind, number);
  const sentAt = Date.now();
  const asked = { number, kind, worker, sentAt };
  try {
    const { rows } = await client.query(text, values && [...values]);
    const value: string | undefined = rows[0]?.[`s${number}`];
    const answer = value === undefined ? {} : { value };
    note({ ...asked, at: Date.now(), outcome: 'Done', ...answer });
    return 'Done';
  } catch (error) {
    const code = codeOf(error);
    const outcome = code === '42501' ? 'Refused' : 'Broken';
    note({ ...asked, at: Date.now(), outcome, code });
    return outcome;
  }
}

async function work(worker: string, keeps: boolean): Promise<void> {
  let client: pg.Client | undefined;
  while (!existsSync(`${file}.stop`)) {
    client ??= await connect(worker);
    if (client !== undefined) {
      const outcome = await ask(client, worker);
      if (outcome === 'Broken' || !keeps) {
        await client.end().catch(() => {});
        client = undefined;
      }
    }
    await delay(pauseMs);
  }
  await client?.end().catch(() => {});
}

await Promise.all([
  work('keeps-1', true),
  work('keeps-2', true),
  work('keeps-3', true),
  work('renews', false),
]);
note({ end: true });
process.exit();
