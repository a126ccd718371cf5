import type { ObjectMeta } from './object.ts';
import { error, type Problem } from './problem.ts';
import type { StructuralSchema } from './schema.ts';
import { applySchema, isPlainObject } from './structural.ts';

const dnsLabel = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const dnsSubdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const labelName = /^[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?$/;
const maxAnnotationsLength = 262_144;

/** What is read; the rest of ObjectMeta is the store's to set and is dropped. */
const metadataSchema: StructuralSchema = {
  type: 'object',
  required: ['name'],
  properties: {
    name: { type: 'string', minLength: 1, maxLength: 253 },
    namespace: { type: 'string', maxLength: 63 },
    labels: { type: 'object', additionalProperties: { type: 'string' } },
    annotations: { type: 'object', additionalProperties: { type: 'string' } },
  },
};
/** Set by the API server: an object printed by kubectl carries them. */
const serverFields = new Set([
  'creationTimestamp',
  'deletionGracePeriodSeconds',
  'deletionTimestamp',
  'finalizers',
  'generateName',
  'generation',
  'managedFields',
  'ownerReferences',
  'resourceVersion',
  'selfLink',
  'uid',
]);

/**
 * Checks names, labels and annotations as the API server does. An object without a namespace is in
 * `default`; `namespaced: false` gives the empty namespace.
 */
export function validateMetadata(
  value: unknown,
  namespaced: boolean,
): { metadata?: ObjectMeta; problems: Problem[] } {
  const given = isPlainObject(value)
    ? Object.fromEntries(Object.entries(value).filter(([name]) => !serverFields.has(name)))
    : value;
  const { value: structured, problems: structural } = applySchema(
    given ?? {},
    metadataSchema,
    'metadata',
  );
  if (structural.length > 0) return { problems: [...structural] };
  const meta = structured as Partial<ObjectMeta> & { name: string };
  const namespace = namespaced ? (meta.namespace ?? 'default') : '';
  const problems: Problem[] = [];
  if (!dnsSubdomain.test(meta.name)) {
    problems.push(
      error(
        'metadata.name',
        'must consist of lower-case letters, digits, "-" and ".", and start and end with a letter or digit',
      ),
    );
  }
  if (namespaced && !dnsLabel.test(namespace)) {
    problems.push(
      error(
        'metadata.namespace',
        'must consist of lower-case letters, digits and "-", and start and end with a letter or digit',
      ),
    );
  }
  if (!namespaced && meta.namespace !== undefined) {
    problems.push(error('metadata.namespace', 'this kind has no namespace'));
  }
  for (const [key, labelValue] of Object.entries(meta.labels ?? {})) {
    if (!isLabelKey(key)) problems.push(error('metadata.labels', `${quoted(key)} is no label key`));
    if (!isLabelValue(labelValue)) {
      problems.push(error('metadata.labels', `the value of ${quoted(key)} is no label value`));
    }
  }
  let annotationsLength = 0;
  for (const [key, text] of Object.entries(meta.annotations ?? {})) {
    annotationsLength += key.length + text.length;
    if (!isLabelKey(key.toLowerCase())) {
      problems.push(error('metadata.annotations', `${quoted(key)} is no annotation key`));
    }
  }
  if (annotationsLength > maxAnnotationsLength) {
    problems.push(
      error('metadata.annotations', `has more than ${maxAnnotationsLength} characters`),
    );
  }
  const metadata: ObjectMeta = {
    name: meta.name,
    namespace,
    ...(meta.labels && { labels: meta.labels }),
    ...(meta.annotations && { annotations: meta.annotations }),
  };
  return { metadata, problems };
}

const quoted = (key: string): string => JSON.stringify(key.slice(0, 80));

/** `name` or `prefix/name`. */
export function isLabelKey(key: string): boolean {
  const slash = key.indexOf('/');
  const name = key.slice(slash + 1);
  if (name.length > 63 || !labelName.test(name)) return false;
  const prefix = key.slice(0, Math.max(slash, 0));
  return slash < 0 || (prefix.length <= 253 && dnsSubdomain.test(prefix));
}

export function isLabelValue(value: string): boolean {
  return value === '' || (value.length <= 63 && labelName.test(value));
}
