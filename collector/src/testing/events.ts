import { createHmac, randomBytes } from 'node:crypto';
import { encodeLine } from '@chaperone/core/events/encode.ts';
import { MicrosecondTime } from '@chaperone/core/events/time.ts';
import type { EventBody, OperationCompleted } from '@chaperone/core/events/types.ts';
import type { ShippedEvent } from '@chaperone/runtime/recorder/transport.ts';

/** For tests: a UUID whose text depends on `n` alone. */
export function uuid(n: number): string {
  return `019a0000-0000-7000-8000-${n.toString(16).padStart(12, '0')}`;
}

/** For tests: 2026-01-01, in microseconds. */
export const startUs = Date.UTC(2026, 0, 1) * 1000;

const time = new MicrosecondTime();

/** For tests: an event as a recorder ships it, one second after another. */
export function shipped(
  session: string,
  seq: number,
  body: EventBody,
  parts: Readonly<Record<string, string>> = {},
  salt: Uint8Array = randomBytes(16),
): ShippedEvent {
  const sealed = Object.entries(parts).map(([name, content]) => ({ name, salt, content }));
  const digests = sealed.map(({ name, content }) => {
    const hmac = createHmac('sha256', salt).update(content, 'utf8').digest('hex');
    return `"${name}":"${hmac}"`;
  });
  const line = encodeLine(
    {
      id: uuid(seq + 1_000_000),
      session,
      seq,
      time: time.format(startUs + seq * 1_000_000),
    },
    body,
    digests.join(','),
    '',
  );
  return {
    seq,
    line,
    parts: sealed.map((part) => ({ ...part, salt: Buffer.from(part.salt).toString('base64') })),
  };
}

/** For tests: the body of `POST /v1/sessions/{id}/events`. */
export function ndjson(events: readonly ShippedEvent[]): string {
  return events.map((event) => `${JSON.stringify(event)}\n`).join('');
}

const ref = (object: string, rule = 'r') =>
  ({ kind: 'AccessPolicy', namespace: 'data', object, rule, generation: 1 }) as const;

/** For tests: bodies with everything that is not given filled in. */
export const bodies = {
  opened: (name = 'nightly-report', owner = 'payments', target = 'orders-db'): EventBody => ({
    type: 'SessionOpened',
    identity: { uid: `uid-${name}`, namespace: 'payments', name, owner, purpose: 'a report' },
    proof: { method: 'Ticket', ticket: 't-1' },
    target: { uid: `uid-${target}`, namespace: 'data', name: target },
    database: 'shop',
    source: { address: '127.0.0.1', port: 5000 },
    policy: { version: 1, digest: 'd' },
    credential: { name: 'orders', version: '1' },
    enforcement: 'Enforce',
  }),
  decided: (
    verdict: 'Allow' | 'Deny' | 'RequireApproval' = 'Allow',
    resource: readonly string[] = ['shop', 'public', 'orders'],
    verb: 'Select' | 'Delete' = 'Select',
    object = 'reports',
  ): EventBody => ({
    type: 'OperationDecided',
    verdict,
    enforced: true,
    rules: [ref(object)],
    operations: [{ verb, class: verb === 'Select' ? 'Read' : 'Write', resource, reach: 'Named' }],
    wouldDeny: [],
    policyDigest: 'd',
    masks: [],
    exemptions: [],
    protocol: 'Simple',
  }),
  completed: (decision: number, recording?: readonly string[]): OperationCompleted => ({
    type: 'OperationCompleted',
    decision,
    outcome: 'Ok',
    rows: 1,
    bytes: 10,
    masked: [],
    durationUs: 1500,
    ...(recording && { recording }),
  }),
  closed: (lastSeq: number): EventBody => ({
    type: 'SessionClosed',
    reason: 'Client',
    statements: 1,
    refused: 0,
    rows: 1,
    bytes: 10,
    lastSeq,
  }),
  heartbeat: (sessions: Readonly<Record<string, number>>): EventBody => ({
    type: 'Heartbeat',
    program: 'gateway',
    version: '0.1.0',
    sessions,
  }),
};
