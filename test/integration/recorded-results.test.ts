/** What the record has of a result is what the client got, byte for byte, as a part of an event or as chunks. */
import type { RecordClient } from '@chaperone/cli/record-client.ts';
import type { EventView } from '@chaperone/collector/query/render.ts';
import { maxPartResultBytes, recordedContent } from '@chaperone/core/events/recording.ts';
import type { OperationCompleted } from '@chaperone/core/events/types.ts';
import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { masking, policy, TestChaperone } from '../support/chaperone.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { RawClient, type RawMessage } from '../support/raw-client.ts';
import { eventsOf, sessionsOf, withRecord } from '../support/record.ts';
import { loadShop } from '../support/shop.ts';

let postgres: TestPostgres;
let chaperone: TestChaperone;

beforeAll(async () => {
  postgres = await startPostgres({ version: 18 });
  await loadShop(postgres, { orders: 2000 });
  chaperone = await TestChaperone.start({
    postgres,
    resources: [
      policy(
        'reports',
        [
          {
            name: 'data',
            action: 'Allow',
            classes: ['Read', 'Write', 'Export'],
            resources: ['shop.public.**'],
            limits: { rowsPerStatement: 1500 },
          },
        ],
        { session: { recording: 'Full' } },
      ),
      masking('ssn', {
        columns: ['shop.public.*.ssn'],
        transform: { type: 'Partial', keepLast: 4 },
      }),
    ],
  });
});

afterAll(async () => {
  await chaperone?.stop();
  await postgres?.stop();
});

/** Of what a result consists. */
const resultTypes = ['T', 'D', 'd', 'C'];
const resultOf = (messages: readonly RawMessage[]): RawMessage[] =>
  messages.filter(({ type }) => resultTypes.includes(type));

/** Messages that stand whole in `bytes`, one behind the other. */
function messagesIn(bytes: Buffer): RawMessage[] {
  const messages: RawMessage[] = [];
  let at = 0;
  while (at < bytes.length) {
    const end = at + 1 + bytes.readInt32BE(at + 1);
    expect(end).toBeLessThanOrEqual(bytes.length);
    messages.push({ type: String.fromCharCode(bytes[at]!), body: bytes.subarray(at + 5, end) });
    at = end;
  }
  return messages;
}

async function contentOf(client: RecordClient, { event, parts }: EventView): Promise<Buffer> {
  const {
    session,
    seq,
    recording = [],
  } = event as unknown as OperationCompleted & {
    readonly session: string;
    readonly seq: number;
  };
  if (parts.result !== undefined) {
    expect(recording).toEqual([]);
    return Buffer.from((await client.result(session, seq))!);
  }
  const pieces: Uint8Array[] = [];
  const read = (sha256: string): Promise<Uint8Array | undefined> => client.recording(sha256);
  for await (const piece of recordedContent(recording, read)) pieces.push(piece!);
  return Buffer.concat(pieces);
}

const textOf = (bytes: number): string => `SELECT repeat('x', ${bytes}) AS t`;

test('statements of every kind', async () => {
  const client = await RawClient.login({
    host: chaperone.host,
    port: chaperone.port,
    user: 'nightly-report',
    database: 'shop',
    password: await chaperone.ticket(),
  });
  const small = resultOf(await client.exchange(write.query(textOf(1))));
  /** Of such a result, what is not the text. */
  const rest = small.reduce((sum, { body }) => sum + 5 + body.length, 0) - 1;
  const seen: RawMessage[] = [...small];
  const statements = [
    'SELECT id, ssn FROM people WHERE id = 1',
    'UPDATE products SET price = price + 1 WHERE id = 1',
    'SELECT 1 WHERE false',
    "SELECT 'a'; SELECT id, ssn FROM people WHERE id <= 3; SELECT 1/0; SELECT 'never'",
    'SELECT id, 1/(700 - id) FROM orders ORDER BY id',
    'COPY (SELECT id, ssn FROM people) TO STDOUT',
    'COPY (SELECT id, status FROM orders WHERE id <= 1400) TO STDOUT',
    'SELECT id, status FROM orders WHERE id <= 1400',
    'SELECT id, status FROM orders',
    ...[-1, 0, 1, 2].map((over) => textOf(maxPartResultBytes - rest + over)),
    textOf(600_000),
  ];
  for (const text of statements) seen.push(...resultOf(await client.exchange(write.query(text))));
  client.end();

  const [session] = await sessionsOf(chaperone, 'nightly-report');
  const events = await eventsOf(chaperone, { session: session!.id, type: 'OperationCompleted' });
  const kinds = new Set<string>();
  const recorded: RawMessage[] = [];
  const sizes: number[] = [];
  await withRecord(chaperone.directory, async (record) => {
    for (const event of events) {
      const content = await contentOf(record, event);
      if (content.length === 0) continue;
      const isPart = event.parts.result !== undefined;
      expect(isPart).toBe(content.length <= maxPartResultBytes);
      kinds.add(isPart ? 'part' : 'chunks');
      sizes.push(content.length);
      recorded.push(...resultOf(messagesIn(content)));
    }
  });
  const outcomes = new Set(events.map(({ event }) => event.outcome));
  expect([...outcomes].sort()).toEqual(['Cut', 'Error', 'Ok']);
  expect([...kinds].sort()).toEqual(['chunks', 'part']);
  for (const over of [-1, 0, 1, 2]) expect(sizes).toContain(maxPartResultBytes + over);
  const described = ({ type, body }: RawMessage): string => `${type} ${body.toString('base64')}`;
  expect(recorded.map(described)).toEqual(seen.map(described));
});
