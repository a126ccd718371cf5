/** Client programs that tell of each statement what became of it, and the one who keeps what they tell. */
import type { Database } from './database.ts';
import { apply } from './kubectl.ts';
import { podLogs, ready, restricted } from './pods.ts';

/** One statement of a client program, as the program saw its end. */
export interface TallyLine {
  readonly pod: string;
  /** As in `LoadOptions`. */
  readonly worker: string;
  /** Of this statement alone, and in its text: that of the order which it inserts, unless it is to be refused. */
  readonly id: number;
  /** `Ok`, a SQLSTATE, or what the driver says. */
  readonly outcome: string;
  /** Whether the program had been told to end before this statement came to its own end. */
  readonly ending: boolean;
}

export interface Tally {
  readonly url: string;
  lines(): Promise<readonly TallyLine[]>;
}

const keeper = `
require('node:http').createServer((request, answer) => {
  let text = '';
  request.setEncoding('utf8').on('data', (part) => { text += part; }).on('end', () => {
    process.stdout.write(text + '\\n', () => answer.end());
  });
}).listen(8080);
process.on('SIGTERM', () => process.exit(0));
`;

/** Starts the keeper in a namespace without sidecars: its log is the tally, whatever becomes of the clients. */
export async function startTally(namespace: string): Promise<Tally> {
  const labels = { app: 'tally' };
  const container = restricted({
    name: 'tally',
    image: 'node:24',
    command: ['node', '-e', keeper],
    readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
  });
  await apply(
    [
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'tally' },
        spec: {
          selector: { matchLabels: labels },
          template: { metadata: { labels }, spec: { containers: [container] } },
        },
      },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'tally' },
        spec: { selector: labels, ports: [{ port: 8080 }] },
      },
    ],
    namespace,
  );
  await ready('deployment/tally', namespace);
  return {
    url: `http://tally.${namespace}.svc.cluster.local:8080`,
    async lines() {
      const text = await podLogs(namespace, 'deployment/tally', 'tally');
      const lines = text.split('\n').filter((line) => line !== '');
      return lines.map((line) => JSON.parse(line) as TallyLine);
    },
  };
}

/** Every fifth statement is one that the shop's policies refuse. Each has its id in a name, since the record has no literals. */
const client = `
const { randomInt } = require('node:crypto');
const { hostname } = require('node:os');
const pg = require('pg');
const { DATABASE_HOST: host, TALLY_URL: url, WORKER: worker, CONNECTIONS, STATEMENTS, LINGER_MS } = process.env;
const first = randomInt(1, 2 ** 31) * 2 ** 20;
let count = 0;
let ending = false;
let endMs = Infinity;
process.on('SIGTERM', () => {
  if (LINGER_MS === 'none') process.exit(0);
  ending = true;
  endMs = Date.now() + Number(LINGER_MS);
});
async function tell(line) {
  const answer = await fetch(url, { method: 'POST', body: JSON.stringify({ pod: hostname(), worker, ...line }) });
  if (!answer.ok) throw new Error('the tally answered ' + answer.status);
}
const outcomeOf = (promise) => promise.then(() => 'Ok', (error) => error.code ?? error.message);
async function work() {
  const client = new pg.Client({ host, port: 5432, user: 'app', database: 'shop' });
  let open = true;
  client.on('error', () => { open = false; }).on('end', () => { open = false; });
  const connected = await outcomeOf(client.connect());
  if (connected !== 'Ok') return tell({ id: 0, outcome: connected, ending });
  while (open && Date.now() < endMs && count < Number(STATEMENTS)) {
    const id = first + count;
    count += 1;
    const sql = count % 5 === 0
      ? 'SELECT salary AS statement_' + id + ' FROM employees'
      : 'INSERT INTO orders (id, customer_id, total, placed_at) VALUES (' + id + ', 1, 1, now()) RETURNING id AS statement_' + id;
    await tell({ id, outcome: await outcomeOf(client.query(sql)), ending });
  }
  await client.end();
}
Promise.all(Array.from({ length: Number(CONNECTIONS) }, work)).then(() => process.exit(0));
`;

export interface LoadOptions {
  /** Tells this program's lines from those of others. */
  readonly worker: string;
  /** Default 1; each runs one statement after the other. */
  readonly connections?: number;
  /** Of all connections together; without it, it goes on until it is told to end. */
  readonly statements?: number;
  /** How long it goes on after it was told to end; default 0. `none`: it leaves in the middle of a statement. */
  readonly lingerMs?: number | 'none';
}

/** What a container of a tenant runs to put load on the shop and keep a tally of it; for `workloadDeployment` and such. */
export function loadClient(database: Database, tally: Tally, options: LoadOptions) {
  const { worker, connections = 1, statements = Number.POSITIVE_INFINITY, lingerMs = 0 } = options;
  return {
    image: 'node:24',
    command: ['node', '-e', client],
    env: {
      DATABASE_HOST: database.host,
      TALLY_URL: tally.url,
      WORKER: worker,
      CONNECTIONS: String(connections),
      STATEMENTS: String(statements),
      LINGER_MS: String(lingerMs),
    },
  };
}
