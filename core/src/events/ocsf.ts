import type { Operation } from '../sql/operation.ts';
import type { EventBody, OperationCompleted, OperationDecided, SessionOpened } from './types.ts';

/** Version of the Open Cybersecurity Schema Framework that the objects follow. */
export const ocsfVersion = '1.9.0';

/** A metadata line, parsed. */
export type EventLine<Body extends EventBody = EventBody> = Body & {
  readonly id: string;
  readonly session: string;
  readonly seq: number;
  /** RFC 3339. */
  readonly time: string;
};

/** An OCSF event: attributes under the schema's own names. */
export type OcsfEvent = Readonly<Record<string, unknown>>;

const classes = {
  authentication: { uid: 3002, category: 3 },
  datastoreActivity: { uid: 6005, category: 6 },
} as const;
const activities = { connect: 3, query: 4, update: 2, write: 5, create: 6, delete: 7, other: 99 };
const statuses = { unknown: 0, success: 1, failure: 2 };
const actions = { allowed: 1, denied: 2 };
const dispositions = { allowed: 1, blocked: 2 };
const severities = { informational: 1, medium: 3 };

/** The activity that says most of a statement: what it changes before what it reads. */
const activityOfVerb: Partial<Record<Operation['verb'], number>> = {
  Delete: activities.delete,
  Truncate: activities.delete,
  Drop: activities.delete,
  Insert: activities.write,
  CopyIn: activities.write,
  Merge: activities.write,
  Update: activities.update,
  Alter: activities.update,
  Create: activities.create,
  Select: activities.query,
  CopyOut: activities.query,
};
const precedence = [
  activities.delete,
  activities.write,
  activities.update,
  activities.create,
  activities.other,
  activities.query,
];

function activityOf(operations: readonly Operation[]): number {
  const found = operations.map(({ verb }) => activityOfVerb[verb] ?? activities.other);
  return precedence.find((activity) => found.includes(activity)) ?? activities.other;
}

function base(
  line: EventLine,
  { uid, category }: { readonly uid: number; readonly category: number },
  activity: number,
): OcsfEvent {
  return {
    class_uid: uid,
    category_uid: category,
    activity_id: activity,
    type_uid: uid * 100 + activity,
    time: Date.parse(line.time),
    metadata: {
      version: ocsfVersion,
      uid: line.id,
      sequence: line.seq,
      correlation_uid: line.session,
      original_time: line.time,
      profiles: ['security_control'],
      product: { name: 'Chaperone', vendor_name: 'Chaperone' },
    },
  };
}

function user({ identity }: SessionOpened): OcsfEvent {
  const { uid, namespace, name, owner } = identity;
  return { uid, name: `${namespace}/${name}`, groups: [{ name: owner, type: 'owner' }] };
}

/** Who, from where and to what: the same on every event of a session. */
function parties(line: EventLine, opened: SessionOpened): OcsfEvent {
  const { target, source, database } = opened;
  return {
    actor: { user: user(opened), session: { uid: line.session } },
    src_endpoint:
      source.address === '' ? { name: 'local' } : { ip: source.address, port: source.port },
    dst_endpoint: { uid: target.uid, name: `${target.namespace}/${target.name}` },
    database: { name: database, type_id: 1 },
  };
}

function decided(line: EventLine<OperationDecided>, opened: SessionOpened): OcsfEvent {
  const { verdict, enforced, operations, rules, reason, fingerprint } = line;
  const passes = verdict === 'Allow' || !enforced;
  const rule = rules[0];
  const table = operations.find(({ resource }) => resource.length === 3)?.resource.join('.');
  return {
    ...base(line, classes.datastoreActivity, activityOf(operations)),
    ...parties(line, opened),
    severity_id: verdict === 'Allow' ? severities.informational : severities.medium,
    status_id: passes ? statuses.success : statuses.failure,
    action_id: passes ? actions.allowed : actions.denied,
    disposition_id: passes ? dispositions.allowed : dispositions.blocked,
    is_alert: verdict !== 'Allow',
    type_id: table === undefined ? 1 : 3,
    ...(reason === undefined ? {} : { status_detail: reason }),
    ...(table === undefined ? {} : { table: { name: table } }),
    ...(fingerprint === undefined ? {} : { query_info: { uid: fingerprint } }),
    ...(rule === undefined
      ? {}
      : {
          policy: {
            name: `${rule.namespace}/${rule.object}/${rule.rule}`,
            version: String(rule.generation),
          },
        }),
    unmapped: { verdict, enforced, operations, rules, would_deny: line.wouldDeny },
  };
}

function completed(line: EventLine<OperationCompleted>, opened: SessionOpened): OcsfEvent {
  const { outcome, sqlstate, rows, bytes, durationUs, decision, masked } = line;
  const status =
    outcome === 'Ok' || outcome === 'Suspended'
      ? statuses.success
      : outcome === 'Unknown'
        ? statuses.unknown
        : statuses.failure;
  return {
    ...base(line, classes.datastoreActivity, activities.other),
    activity_name: 'Complete',
    ...parties(line, opened),
    severity_id: severities.informational,
    status_id: status,
    ...(sqlstate === undefined ? {} : { status_code: sqlstate }),
    duration: Math.round(durationUs / 1000),
    type_id: 1,
    query_info: { bytes },
    unmapped: { outcome, decision, rows, masked },
  };
}

/**
 * The OCSF object of an event: SessionOpened and SessionClosed as Authentication (3002), OperationDecided
 * and OperationCompleted as Datastore Activity (6005); undefined for the others, which have no class there.
 * `opened`: the SessionOpened of the event's session.
 */
export function toOcsf(line: EventLine, opened: SessionOpened): OcsfEvent | undefined {
  switch (line.type) {
    case 'SessionOpened':
    case 'SessionClosed': {
      const logon = line.type === 'SessionOpened';
      return {
        ...base(line, classes.authentication, logon ? 1 : 2),
        ...parties(line, opened),
        user: user(opened),
        severity_id: severities.informational,
        status_id: statuses.success,
        ...(logon ? { auth_protocol: opened.proof.method } : { status_detail: line.reason }),
      };
    }
    case 'OperationDecided':
      return decided(line, opened);
    case 'OperationCompleted':
      return completed(line, opened);
    default:
      return undefined;
  }
}
