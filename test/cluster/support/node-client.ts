/** A program of a tenant in Node: the stock image, the stock driver, and no knowledge of Chaperone. */
import type { Database } from './database.ts';
import { exec } from './pods.ts';

const program = `
const pg = require('pg');
const [sql, host, port] = process.argv.slice(1);
const client = new pg.Client({ host, port: Number(port), user: 'app', database: 'shop', connectionTimeoutMillis: 10000 });
client.on('error', () => {});
client.connect()
  .then(() => client.query({ text: sql, rowMode: 'array' }))
  .then(({ rows }) => ({ rows }), ({ code, message, hint }) => ({ code, message, hint }))
  .then((answer) => { console.log(JSON.stringify(answer)); return client.end(); });
`;

export interface NodeAnswer {
  readonly rows?: readonly (readonly unknown[])[];
  /** SQLSTATE, of a refusal too. */
  readonly code?: string;
  readonly message?: string;
  readonly hint?: string;
}

/** Runs one statement by the driver `pg` in container `app` of a workload with the Node image. */
export async function nodeQuery(
  namespace: string,
  what: string,
  { host, port }: Pick<Database, 'host' | 'port'>,
  sql: string,
): Promise<NodeAnswer> {
  const argv = ['node', '-e', program, sql, host, String(port)];
  const { code, stdout, stderr } = await exec(namespace, what, argv, { container: 'app' });
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as NodeAnswer;
}
