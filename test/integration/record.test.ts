import { randomFillSync } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { listEvents } from '@chaperone/cli/commands/events.ts';
import { replaySession } from '@chaperone/cli/commands/replay.ts';
import { listSessions } from '@chaperone/cli/commands/sessions.ts';
import { locateRecord, RecordClient } from '@chaperone/cli/record-client.ts';
import { bodies } from '@chaperone/collector/testing/events.ts';
import { createTokenFile, readByToken } from '@chaperone/collector/tokens.ts';
import { systemClock } from '@chaperone/runtime/clock.ts';
import { httpTransport } from '@chaperone/runtime/recorder/http-transport.ts';
import { createRecorder } from '@chaperone/runtime/recorder/recorder.ts';
import type { ShipTransport } from '@chaperone/runtime/recorder/transport.ts';
import type { Recorder } from '@chaperone/runtime/recorder/types.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { silent, TestCollector } from '../support/collector.ts';

const clock = systemClock();
const spools = mkdtempSync(join(tmpdir(), 'chaperone-spools-'));
afterAll(() => rmSync(spools, { recursive: true }));

function startRecorder(name: string, transport: ShipTransport): Recorder {
  return createRecorder({
    directory: join(spools, name),
    transport,
    installationKey: Buffer.alloc(32, 1),
    program: { name: 'gateway', version: '0.0.0' },
    clock,
    random: (target) => void randomFillSync(target),
    logger: silent,
  });
}

/** Resolves once the collector has acknowledged everything so far. */
function acknowledged(recorder: Recorder): Promise<void> {
  return new Promise((resolve, reject) =>
    recorder.whenDurable('Collector', (failure) => (failure ? reject(failure) : resolve())),
  );
}

function message(type: string, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const header = Buffer.alloc(5);
  header.write(type);
  header.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

function row(value: string): Buffer {
  const head = Buffer.alloc(6);
  head.writeInt16BE(1, 0);
  head.writeInt32BE(Buffer.byteLength(value), 2);
  return message('D', head, Buffer.from(value));
}

/** A whole session with a recorded result of `rows` rows; its id. */
async function recordSession(recorder: Recorder, rows: number): Promise<string> {
  const session = recorder.openSession();
  session.append(bodies.opened());
  const decision = session.append(bodies.decided(), {
    statement: 'select name\n from orders where id = $1',
    parameters: ['7', null],
  });
  for (let at = 0; at < rows; at += 1) session.appendResult(decision, row(`row ${at} \u001b[31m`));
  session.appendCompleted({ ...bodies.completed(decision), rows });
  const last = session.append(
    bodies.decided('Deny', ['shop', 'public', 'orders'], 'Delete', 'no'),
    {
      statement: 'delete from orders',
    },
  );
  session.append(bodies.closed(last + 1));
  session.close();
  await acknowledged(recorder);
  return session.id;
}

async function output(work: (stream: PassThrough) => Promise<void>): Promise<string> {
  const stream = new PassThrough();
  const written = text(stream);
  await work(stream);
  stream.end();
  return written;
}

describe.each([
  [
    'over HTTP',
    (server: TestCollector) =>
      httpTransport({ baseUrl: server.url, token: () => 'ship-one', clock }),
  ],
  ['within the process', (server: TestCollector) => server.collector.transport],
])('what a recorder writes, %s', (name, transportTo) => {
  const server = new TestCollector();
  let recorder: Recorder;
  let client: RecordClient;
  let session: string;
  beforeAll(async () => {
    await server.start();
    recorder = startRecorder(name.replaceAll(' ', '-'), transportTo(server));
    client = new RecordClient({ url: server.url, token: 'auditor' });
    session = await recordSession(recorder, 3);
  });
  afterAll(async () => {
    client.close();
    await recorder.close();
    await server.remove();
  });
  const options = {
    directory: '.',
    output: 'table',
    order: 'newest',
    limit: 50,
    rows: 10,
  } as const;

  test('sessions, as a table and as JSON', async () => {
    const table = await output((stream) => listSessions(client, options, stream));
    expect(table).toMatch(/^STARTED +SESSION +IDENTITY/);
    expect(table).toMatch(
      new RegExp(`${session}  payments/nightly-report  data/orders-db  1 +0 +1 +ended by client\n`),
    );
    const json = await output((stream) =>
      listSessions(client, { ...options, output: 'json', identity: 'nightly-report' }, stream),
    );
    expect(
      json
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).id),
    ).toEqual([session]);
    const none = await output((stream) =>
      listSessions(client, { ...options, owner: 'nobody' }, stream),
    );
    expect(none).toBe('no sessions\n');
  });

  test('events, by what they did', async () => {
    const table = await output((stream) =>
      listEvents(client, { ...options, verb: 'Delete' }, stream),
    );
    expect(table.trimEnd().split('\n')).toHaveLength(2);
    expect(table).toMatch(/OperationDecided +Deny +delete from orders\n/);
    const json = await output((stream) =>
      listEvents(client, { ...options, output: 'json', search: 'name orders' }, stream),
    );
    expect(JSON.parse(json).parts).toEqual({
      statement: { state: 'Kept', content: 'select name\n from orders where id = $1' },
      parameters: { state: 'Kept', content: '["7",null]' },
    });
    // Several pages are one answer.
    const all = await output((stream) =>
      listEvents(
        client,
        { ...options, output: 'json', session, limit: 4, order: 'oldest' },
        stream,
      ),
    );
    expect(
      all
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).event.seq),
    ).toEqual([1, 2, 3, 4]);
  });

  test('a replay with the result as the client saw it', async () => {
    const shown = await output((stream) => replaySession(client, session, options, stream));
    expect(shown).toContain('select name\\n from orders where id = $1\n');
    expect(shown).toContain('row 0 \\x1b[31m\n');
    expect(shown).toContain('row 2 \\x1b[31m\n');
    expect(shown).toContain('Deny by AccessPolicy data/no/r');
    expect(shown).not.toContain('\u001b');
    await expect(
      output((stream) =>
        replaySession(client, '00000000-0000-7000-8000-000000000000', options, stream),
      ),
    ).rejects.toMatchObject({ code: 'CHP-6007' });
  });

  test('a result of many chunks', async () => {
    const many = await recordSession(recorder, 50_000);
    const shown = await output((stream) =>
      replaySession(client, many, { ...options, rows: 100_000 }, stream),
    );
    const rows = shown.split('\n').filter((line) => /row \d+ /.test(line));
    expect(rows).toHaveLength(50_000);
    expect(rows.at(-1)).toContain('row 49999 ');
  });
});

test('a collector that is away and comes back: nothing is missing, nothing is double', async () => {
  const server = new TestCollector();
  await server.start();
  // Its port changes when it comes back; what the recorder is told is where it is now.
  let url = server.url;
  const transport: ShipTransport = {
    ship: (...call) =>
      httpTransport({ baseUrl: url, token: () => 'ship-one', clock }).ship(...call),
    putRecording: (...call) =>
      httpTransport({ baseUrl: url, token: () => 'ship-one', clock }).putRecording(...call),
    putSnapshot: (...call) =>
      httpTransport({ baseUrl: url, token: () => 'ship-one', clock }).putSnapshot(...call),
  };
  const recorder = startRecorder('away', transport);
  const first = await recordSession(recorder, 1);
  await server.stop();
  const session = recorder.openSession();
  session.append(bodies.opened());
  for (let at = 0; at < 500; at += 1) {
    session.append(bodies.decided(), { statement: `select ${at}` });
  }
  await server.start();
  url = server.url;
  await acknowledged(recorder);
  const client = new RecordClient({ url, token: 'auditor' });
  const seqs: number[] = [];
  for await (const { event } of client.sessionEvents(session.id)) seqs.push(event.seq as number);
  expect(seqs).toEqual(Array.from({ length: 501 }, (_, at) => at + 1));
  expect((await client.session(first)).acknowledged).toBe(5);
  const { sources, alerts } = await server.json('/v1/integrity');
  expect(alerts).toEqual([]);
  expect(sources.find(({ source }: { source: string }) => source === 'one')).toMatchObject({
    missing: [],
    missingRecordings: 0,
  });
  client.close();
  await recorder.close();
  await server.remove();
});

test('a socket for the machine alone, and the files of a running standalone', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'chaperone-run-'));
  const run = join(directory, '.chaperone', 'run');
  mkdirSync(run, { recursive: true });
  const token = createTokenFile(join(run, 'reader.token'));
  const socket = join(directory, 'collector.sock');
  const server = await new TestCollector({
    listen: { socket },
    authorizeRead: readByToken(token, { name: 'local', role: 'auditor' }),
  }).start();
  expect(server.url).toBe(`unix:${socket}`);
  writeFileSync(
    join(run, 'collector.json'),
    JSON.stringify({ url: server.url, tokenFile: 'reader.token' }),
  );
  const client = new RecordClient(locateRecord({ directory }));
  const sessions: unknown[] = [];
  for await (const session of client.sessions({}, 10)) sessions.push(session);
  expect(sessions).toMatchObject([{ source: 'collector', program: 'collector' }]);
  client.close();
  await server.remove();
  expect(existsSync(socket)).toBe(false);
  const gone = new RecordClient(locateRecord({ directory }));
  await expect(gone.session('x')).rejects.toMatchObject({ code: 'CHP-6009' });
  expect(() => locateRecord({ directory: '/nonexistent' })).toThrow(
    expect.objectContaining({ code: 'CHP-1004' }),
  );
  expect(() => locateRecord({ directory, url: 'http://x' })).toThrow(
    expect.objectContaining({ code: 'CHP-1003' }),
  );
  rmSync(directory, { recursive: true });
});
