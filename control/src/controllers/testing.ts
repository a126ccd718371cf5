/** For tests: stored objects that are valid, and snapshots of them. */
import { validate } from '@chaperone/core/resources/validate.ts';
import type { Stored, StoredKind } from '../store/resource-store.ts';
import { Snapshot } from './snapshot.ts';

const specs: Partial<Record<StoredKind, Record<string, unknown>>> = {
  MachineIdentity: {
    owner: { team: 't' },
    purpose: 'p',
    subjects: [{ serviceAccount: { name: 's' } }],
  },
  Target: { protocol: 'PostgreSQL', host: 'db', credentials: { secretRef: { name: 's' } } },
  AccessPolicy: { targetRefs: [{ name: 't' }], subjects: { namespaces: ['pay'] } },
  MaskingRule: {
    targetRefs: [{ name: 't' }],
    columns: ['shop.public.customers.ssn'],
    transform: { type: 'Redact' },
  },
};

interface Overrides {
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly resourceVersion?: string;
}

/**
 * A stored object named `namespace/name` (Namespaces: `name`): of ours a minimal spec with `fields` over it,
 * of the others `fields` beside metadata. What the schema refuses is kept where a test asks for it.
 */
export function stored<K extends StoredKind>(
  kind: K,
  path: string,
  fields: Readonly<Record<string, unknown>> = {},
  labels: Readonly<Record<string, string>> = {},
  overrides: Overrides = {},
): Stored<K> {
  const [namespace, name] = path.includes('/') ? path.split('/') : ['', path];
  const { annotations = {}, ...meta } = overrides;
  const spec = specs[kind];
  const body = spec === undefined ? fields : { spec: { ...spec, ...fields } };
  const object = {
    apiVersion: spec === undefined ? 'v1' : 'chaperone.dev/v1alpha1',
    kind,
    metadata: { name, ...(namespace !== '' && { namespace }), labels, annotations },
    ...body,
  };
  const valid = validate(object, 0).object ?? object;
  return {
    ...valid,
    metadata: {
      ...valid.metadata,
      namespace,
      uid: `uid-${kind}-${path}`,
      generation: 1,
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00.000Z',
      ...meta,
    },
  } as unknown as Stored<K>;
}

export function snapshotOf(...objects: readonly Stored[]): Snapshot {
  const snapshot = new Snapshot();
  snapshot.apply({
    events: objects.map((object) => ({ type: 'Added', object })),
    resourceVersion: '7',
  });
  return snapshot;
}
