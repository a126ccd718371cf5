import { randomFillSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EventBody } from '@chaperone/core/events/types.ts';
import { systemClock } from '@chaperone/runtime/clock.ts';
import { recorderMetrics } from '@chaperone/runtime/metrics/catalogue.ts';
import { MemoryReceiver } from '@chaperone/runtime/recorder/memory-receiver.ts';
import { createRecorder } from '@chaperone/runtime/recorder/recorder.ts';
import { describe, expect, test } from '@jest/globals';

/** The JSON Schema validator that fastify, a dependency of the collector, brings along. */
const require = createRequire(createRequire(import.meta.url).resolve('fastify'));
const { Ajv2020 } = require('ajv/dist/2020') as {
  Ajv2020: new (options: object) => { compile(schema: object): (value: unknown) => boolean };
};
const schema = JSON.parse(readFileSync('api/events.schema.json', 'utf8'));
const ajv = new Ajv2020({ strict: true, keywords: ['x-typescript'] });
const valid = ajv.compile(schema);

const rule = {
  kind: 'AccessPolicy',
  namespace: 'shop',
  object: 'reports',
  rule: 'read',
  generation: 3,
} as const;
const program = { program: 'sidecar', version: '0.1.0' };
const bodies: readonly EventBody[] = [
  {
    type: 'SessionOpened',
    identity: { uid: 'u', namespace: 'shop', name: 'report', owner: 'team', purpose: 'reports' },
    proof: { method: 'Ticket', ticket: 't' },
    target: { uid: 'v', namespace: 'shop', name: 'orders' },
    database: 'shop',
    source: { address: '127.0.0.1', port: 5 },
    client: 'psql',
    tls: { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' },
    policy: { version: 1, digest: 'd' },
    credential: { name: 'c', version: '1' },
    enforcement: 'Enforce',
  },
  {
    type: 'OperationDecided',
    verdict: 'Allow',
    enforced: true,
    rules: [rule],
    operations: [
      {
        verb: 'Select',
        class: 'Read',
        resource: ['shop', 'public', 'orders'],
        columns: ['id'],
        reach: 'Named',
      },
    ],
    fingerprint: '0'.repeat(32),
    wouldDeny: [],
    policyDigest: 'd',
    masks: [rule],
    exemptions: [{ rule, ticket: 'T-1' }],
    protocol: 'Extended',
  },
  {
    type: 'OperationCompleted',
    decision: 2,
    outcome: 'Error',
    sqlstate: '42P01',
    rows: 0,
    bytes: 0,
    masked: [{ rule: 'shop/pii', cells: 3 }],
    durationUs: 12,
    recording: ['a'.repeat(64)],
  },
  { type: 'LimitReached', decision: 2, rule, limit: 'rowsPerStatement', allowed: 10 },
  { type: 'ProtocolViolation', side: 'Client', code: 'CHP-5001', message: 'a length of 3' },
  { type: 'CredentialLeased', credential: { name: 'c', version: '1' } },
  { type: 'PolicyApplied', policy: { version: 2, digest: 'd' } },
  { type: 'RecordGap', from: 3, to: 4, reason: 'the spool could not be written' },
  {
    type: 'RecordRead',
    reader: 'alice',
    role: 'auditor',
    route: '/v1/events',
    query: { limit: '5' },
    results: 5,
  },
  { type: 'RecordPurged', class: 'Statements', before: '2026-01-01T00:00:00Z', count: 5 },
  {
    type: 'LegalHoldChanged',
    heldSession: '019a0000-0000-7000-8000-000000000000',
    hold: true,
    reader: 'alice',
    reason: 'case 7',
  },
  { type: 'ProgramStarted', ...program },
  { type: 'ProgramStopped', ...program },
  { type: 'Heartbeat', ...program, sessions: { a: 1 } },
  { type: 'SpoolState', ...program, detail: 'full' },
  { type: 'PolicyRejected', ...program, detail: 'no' },
  {
    type: 'SessionClosed',
    reason: 'Client',
    statements: 1,
    refused: 0,
    rows: 5,
    bytes: 9,
    lastSeq: 17,
  },
];

async function recordedLines(): Promise<Record<string, unknown>[]> {
  const directory = mkdtempSync(join(tmpdir(), 'schema-'));
  const receiver = new MemoryReceiver();
  const log = () => {};
  const recorder = createRecorder({
    directory,
    installationKey: Buffer.alloc(32),
    program: { name: 'test', version: '0' },
    clock: systemClock(),
    random: randomFillSync,
    logger: { info: log, warn: log, error: log },
    transport: receiver,
  });
  const session = recorder.openSession();
  for (const body of bodies) session.append(body, { statement: 'select 1', parameters: [null] });
  session.append({ ...bodies[4], message: 'x'.repeat(200_000) } as EventBody, {
    statement: 'x'.repeat(2_000_000),
  });
  await recorder.close();
  rmSync(directory, { recursive: true });
  expect(receiver.sessions.size).toBe(2);
  return [...receiver.sessions.keys()].flatMap((id) => receiver.lines(id));
}

const lines = await recordedLines();

test('every line that a recorder writes is valid', () => {
  for (const line of lines) expect([line, valid(line)]).toEqual([line, true]);
});

test('the example bodies are all there are, and each is counted under its type', () => {
  const types = bodies.map(({ type }) => type).sort();
  expect([...recorderMetrics.recorded.labels.type].sort()).toEqual(types);
  const defined = Object.values<{ properties: { type?: { const?: string; enum?: string[] } } }>(
    schema.$defs,
  ).flatMap(({ properties: { type } }) => type?.enum ?? type?.const ?? []);
  expect(defined.sort()).toEqual(types);
});

describe('a line is not valid', () => {
  const line = lines.find(({ type }) => type === 'OperationDecided')!;
  test.each([
    ['with a key that is not known', { ...line, extra: 1 }],
    ['with a verdict that is not known', { ...line, verdict: 'Maybe' }],
    ['without its session', { ...line, session: undefined }],
    ['of a later version', { ...line, eventVersion: 2 }],
    ['with a local time', { ...line, time: '2026-01-01T00:00:00.000000+01:00' }],
    ['with a part that is not known', { ...line, parts: { results: 'a'.repeat(64) } }],
    ['with a key too much in an operation', { ...line, operations: [{ verb: 'Select', x: 1 }] }],
  ])('%s', (_name, changed) => {
    expect(valid(line)).toBe(true);
    expect(valid(JSON.parse(JSON.stringify(changed)))).toBe(false);
  });
});

test('every field of the schema is described', () => {
  const check = (path: string, node: Record<string, unknown>): void => {
    for (const [name, property] of Object.entries(
      (node.properties ?? {}) as Record<string, Record<string, unknown>>,
    )) {
      expect([`${path}.${name}`, typeof property.description]).toEqual([
        `${path}.${name}`,
        'string',
      ]);
      check(`${path}.${name}`, property);
      if (property.items !== undefined) {
        check(`${path}.${name}[]`, property.items as Record<string, unknown>);
      }
    }
  };
  check('', schema);
  for (const [name, definition] of Object.entries<Record<string, unknown>>(schema.$defs)) {
    expect(typeof definition.description).toBe('string');
    check(name, definition);
  }
});
