import { describe, expect, test } from '@jest/globals';
import type { Verb } from '../sql/operation.ts';
import { verbClasses } from '../sql/operation.ts';
import { type EventLine, toOcsf } from './ocsf.ts';
import type { EventBody, OperationDecided, SessionOpened } from './types.ts';

const opened: SessionOpened = {
  type: 'SessionOpened',
  identity: { uid: 'u1', namespace: 'shop', name: 'report', owner: 'team-a', purpose: 'reports' },
  proof: { method: 'Ticket', ticket: 't1' },
  target: { uid: 'v1', namespace: 'shop', name: 'orders' },
  database: 'shop',
  source: { address: '10.0.0.5', port: 4000 },
  policy: { version: 1, digest: 'd' },
  credential: { name: 'c', version: '1' },
  enforcement: 'Enforce',
};

const lineOf = <Body extends EventBody>(body: Body) =>
  ({ id: 'e1', session: 's1', seq: 5, time: '2026-01-02T03:04:05.678901Z', ...body }) as EventLine;

const decidedBy = (verbs: readonly Verb[], changes: Partial<OperationDecided> = {}) =>
  toOcsf(
    lineOf<OperationDecided>({
      type: 'OperationDecided',
      verdict: 'Allow',
      enforced: true,
      rules: [
        { kind: 'AccessPolicy', namespace: 'shop', object: 'reports', rule: 'read', generation: 3 },
      ],
      operations: verbs.map((verb) => ({
        verb,
        class: verbClasses[verb],
        resource: ['shop', 'public', 'orders'],
        reach: 'Named',
      })),
      wouldDeny: [],
      policyDigest: 'd',
      masks: [],
      exemptions: [],
      protocol: 'Simple',
      ...changes,
    }),
    opened,
  );

test('an allowed read is a Datastore Activity: Query, by whom, on what, under which policy', () => {
  expect(decidedBy(['Select'])).toMatchObject({
    class_uid: 6005,
    category_uid: 6,
    activity_id: 4,
    type_uid: 600504,
    time: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
    severity_id: 1,
    status_id: 1,
    action_id: 1,
    disposition_id: 1,
    is_alert: false,
    actor: { user: { uid: 'u1', name: 'shop/report' }, session: { uid: 's1' } },
    src_endpoint: { ip: '10.0.0.5', port: 4000 },
    dst_endpoint: { uid: 'v1', name: 'shop/orders' },
    database: { name: 'shop' },
    table: { name: 'shop.public.orders' },
    policy: { name: 'shop/reports/read', version: '3' },
    metadata: { uid: 'e1', sequence: 5, correlation_uid: 's1', profiles: ['security_control'] },
  });
});

test.each<[string, Partial<OperationDecided>, number, number, boolean]>([
  ['refused', { verdict: 'Deny' }, 2, 2, true],
  ['held', { verdict: 'RequireApproval' }, 2, 2, true],
  ['refused under Observe, so it passed', { verdict: 'Deny', enforced: false }, 1, 1, true],
])('a statement %s', (_name, changes, action, disposition, alert) => {
  expect(decidedBy(['Select'], { reason: 'DeniedByRule', ...changes })).toMatchObject({
    action_id: action,
    disposition_id: disposition,
    is_alert: alert,
    severity_id: 3,
    status_detail: 'DeniedByRule',
  });
});

test.each<[Verb[], number]>([
  [['Select', 'Delete'], 7],
  [['Select', 'Insert'], 5],
  [['Update', 'Select'], 2],
  [['Create'], 6],
  [['CopyOut'], 4],
  [['Select', 'Unknown'], 99],
  [['Unknown', 'Truncate'], 7],
  [[], 99],
])('%j is activity %i', (verbs, activity) => {
  expect(decidedBy(verbs)).toMatchObject({ activity_id: activity, type_uid: 600500 + activity });
});

describe('the other events', () => {
  test('a session is a logon and a logoff', () => {
    expect(toOcsf(lineOf(opened), opened)).toMatchObject({
      class_uid: 3002,
      type_uid: 300201,
      auth_protocol: 'Ticket',
      user: { uid: 'u1' },
    });
    const totals = { statements: 1, refused: 0, rows: 1, bytes: 1, lastSeq: 5 };
    expect(
      toOcsf(lineOf({ type: 'SessionClosed', reason: 'Suspended', ...totals }), opened),
    ).toMatchObject({ type_uid: 300202, status_detail: 'Suspended' });
  });

  test.each([
    ['Ok', 1],
    ['Suspended', 1],
    ['Error', 2],
    ['Cut', 2],
    ['Unknown', 0],
  ] as const)('an outcome %s has status %i', (outcome, status) => {
    const facts = { decision: 4, rows: 2, bytes: 30, masked: [], durationUs: 1500 };
    const line = lineOf({ type: 'OperationCompleted', outcome, sqlstate: '42P01', ...facts });
    expect(toOcsf(line, opened)).toMatchObject({
      class_uid: 6005,
      status_id: status,
      status_code: '42P01',
      duration: 2,
    });
  });

  test('what has no class there is not mapped', () => {
    expect(
      toOcsf(lineOf({ type: 'RecordGap', from: 1, to: 2, reason: 'x' }), opened),
    ).toBeUndefined();
  });
});
