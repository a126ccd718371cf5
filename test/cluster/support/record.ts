/** The record, as the collector in the cluster answers: read by a request from within its pod. */
import { releaseNamespace } from './chaperone.ts';
import { exec } from './pods.ts';

/** An event as api/events.schema.json has it. */
// biome-ignore lint/suspicious/noExplicitAny: tests read any field of any event
export type RecordedEvent = Record<string, any>;

/** Runs in the collector's container: Node is all that there is. */
const reader = `
const { readFileSync } = require('node:fs');
const { request } = require('node:https');
const token = readFileSync('/var/lib/chaperone/record/reader.token', 'utf8').trim();
const ask = (path) => new Promise((resolve, reject) => {
  const options = {
    host: '127.0.0.1', port: 8443, path, servername: 'chaperone-collector.${releaseNamespace}.svc',
    ca: readFileSync('/var/run/chaperone/tls/ca.crt'), headers: { authorization: 'Bearer ' + token },
  };
  request(options, (answer) => {
    let text = '';
    answer.setEncoding('utf8').on('data', (part) => { text += part; }).on('end', () => {
      answer.statusCode === 200 ? resolve(JSON.parse(text)) : reject(new Error(answer.statusCode + ' ' + text));
    });
  }).on('error', reject).end();
});
(async () => {
  const path = process.argv[1];
  const events = [];
  let cursor;
  do {
    const answer = await ask(cursor === undefined ? path : path + '&cursor=' + encodeURIComponent(cursor));
    if (answer.events === undefined) return process.stdout.write(JSON.stringify(answer));
    events.push(...answer.events);
    cursor = answer.next;
  } while (cursor !== undefined);
  process.stdout.write(JSON.stringify(events));
})();
`;

/** An event with its parts as readers of the record get them. */
export interface RecordedView {
  readonly event: RecordedEvent;
  readonly parts: Readonly<Record<string, { readonly state: string; readonly content?: string }>>;
}

/** All events that answer a question, oldest first: parameters as of `GET /v1/events`. */
export async function recordedEvents(
  question: Readonly<Record<string, string>> = {},
): Promise<RecordedEvent[]> {
  return (await recordedViews(question)).map(({ event }) => event);
}

/** The same with their parts: statements and parameters. */
export async function recordedViews(
  question: Readonly<Record<string, string>> = {},
): Promise<RecordedView[]> {
  return (await ask('/v1/events', { ...question, limit: '500' })) as RecordedView[];
}

/** `GET /v1/integrity`, as far as tests read it. */
export interface RecordIntegrity {
  readonly sources: readonly { readonly source: string; readonly missing: readonly object[] }[];
  readonly alerts: readonly object[];
}

/** What each source has shipped, what is missing and what contradicts. */
export async function recordIntegrity(): Promise<RecordIntegrity> {
  return (await ask('/v1/integrity', {})) as RecordIntegrity;
}

async function ask(path: string, question: Readonly<Record<string, string>>): Promise<unknown> {
  const query = `${path}?${new URLSearchParams(question)}`;
  const argv = ['/opt/chaperone/node', '-e', reader, query];
  const { code, stdout, stderr } = await exec(releaseNamespace, 'chaperone-collector-0', argv);
  if (code !== 0) throw new Error(`the collector did not answer ${query}: ${stderr}`);
  return JSON.parse(stdout);
}
