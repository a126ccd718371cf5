/**
 * Real conversations with PostgreSQL 18 that mutation starts from: `corpus.json`, written by
 * `node test/fuzz/support/record-corpus.ts`.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { split } from './mutations.ts';

const path = join(import.meta.dirname, '..', 'corpus.json');

/** What a client and a server said to each other after login, in base64 in the file. */
export interface Conversation {
  readonly client: Buffer;
  readonly server: Buffer;
}

export interface Corpus {
  readonly conversations: readonly Conversation[];
  /** The messages of both sides, each kind's own few. */
  readonly messages: readonly Buffer[];
  readonly startups: readonly Buffer[];
}

type Stored = readonly { readonly client: string; readonly server: string }[];

const stored = JSON.parse(readFileSync(path, 'utf8')) as Stored;
const conversations = stored.map(({ client, server }) => ({
  client: Buffer.from(client, 'base64'),
  server: Buffer.from(server, 'base64'),
}));
const all = conversations.flatMap(({ client, server }) => [...split(client), ...split(server)]);
const own = [
  write.functionCall({ functionOid: 1598, argumentFormats: [1], arguments: [], resultFormat: 1 }),
  write.functionCall({
    functionOid: 2,
    argumentFormats: [0],
    arguments: [Buffer.from('x'), null],
    resultFormat: 0,
  }),
  write.copyData(Buffer.from('1\tx\n')),
  write.copyFail('no'),
  write.copyDone,
  write.passwordMessage('a secret'),
  write.saslInitialResponse('SCRAM-SHA-256', Buffer.from('n,,n=,r=abc')),
  write.terminate,
];

export const corpus: Corpus = {
  conversations,
  messages: [...all, ...own],
  startups: [
    write.startupMessage(0, [
      ['user', 'app'],
      ['database', 'shop'],
      ['application_name', 'ü€😀'],
      ['options', '-c search_path=x'],
    ]),
    write.startupMessage(2, [
      ['user', 'app'],
      ['_pq_.option', '1'],
    ]),
    write.sslRequest(),
    write.cancelRequest(42, Buffer.alloc(4, 7)),
    write.cancelRequest(42, Buffer.alloc(32, 7)),
  ],
};
