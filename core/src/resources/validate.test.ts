import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { StructuralSchema } from './schema.ts';
import { resourceSchemas } from './schemas.ts';
import { validate } from './validate.ts';
import { resource, validationCases } from './validate-cases.ts';

const nowMs = Date.UTC(2026, 0, 1);
const errorsOf = (object: unknown): { path: string; message: string }[] =>
  validate(object, nowMs)
    .problems.filter(({ severity }) => severity === 'Error')
    .map(({ path, message }) => ({ path, message }));
const warningsOf = (object: unknown): string[] =>
  validate(object, nowMs)
    .problems.filter(({ severity }) => severity === 'Warning')
    .map(({ path }) => path);

describe('validate', () => {
  test.each(validationCases)('$name', ({ object, error }) => {
    const errors = errorsOf(object);
    if (error === undefined) {
      expect(errors).toEqual([]);
      expect(validate(object, nowMs).object).toBeDefined();
    } else {
      const [path, message] = error;
      expect(errors).toEqual([{ path, message: expect.stringContaining(message) }]);
      expect(validate(object, nowMs).object).toBeUndefined();
    }
  });

  test('every CEL rule of the CRDs is broken by some case', () => {
    const messages = new Set<string>();
    const collect = (schema: StructuralSchema): void => {
      for (const { message } of schema['x-kubernetes-validations'] ?? []) messages.add(message);
      Object.values(schema.properties ?? {}).forEach(collect);
      if (schema.items) collect(schema.items);
    };
    Object.values(resourceSchemas).forEach(({ spec }) => {
      collect(spec);
    });
    const broken = new Set(
      validationCases.flatMap(({ object }) => errorsOf(object).map(({ message }) => message)),
    );
    expect([...messages].filter((message) => !broken.has(message))).toEqual([]);
  });

  test('fills in defaults, those within defaults too', () => {
    const { object } = validate(resource('Target'), nowMs);
    expect(object).toMatchObject({
      spec: {
        port: 5432,
        tls: { mode: 'VerifyFull' },
        allowedNamespaces: { from: 'Same' },
        credentials: { secretRef: { usernameKey: 'username', passwordKey: 'password' } },
        enforcement: 'Enforce',
      },
    });
  });

  test('drops status, which is the controllers’ to write, and what an API server sets', () => {
    const input = resource('Target');
    input.status = { credentialVersion: 'x' };
    Object.assign(input.metadata as object, { uid: 'u', generation: 3, managedFields: [] });
    const { object } = validate(input, nowMs);
    expect(object).not.toHaveProperty('status');
    expect(object?.metadata).toEqual({ name: 'x', namespace: 'data' });
  });

  test.each<[string, unknown, string]>([
    ['text', 'hello', ''],
    ['a list', [], ''],
    ['nothing', null, ''],
    ['no kind', { apiVersion: 'v1' }, ''],
    ['an unknown kind', { apiVersion: 'v1', kind: 'Pod' }, 'kind'],
    ['a kind of JavaScript', { apiVersion: 'v1', kind: 'constructor' }, 'kind'],
    ['another version', { ...resource('Target'), apiVersion: 'chaperone.dev/v2' }, 'apiVersion'],
    ['no spec', { ...resource('Target'), spec: undefined }, 'spec'],
    ['an unknown field on top', { ...resource('Target'), specs: {} }, 'specs'],
    ['no metadata', { ...resource('Target'), metadata: undefined }, 'metadata.name'],
    ['a bad name', { ...resource('Target'), metadata: { name: 'A' } }, 'metadata.name'],
    ['a name with a path', { ...resource('Target'), metadata: { name: '../a' } }, 'metadata.name'],
    [
      'a bad namespace',
      { ...resource('Target'), metadata: { name: 'a', namespace: 'a.b' } },
      'metadata.namespace',
    ],
    [
      'a bad label',
      { ...resource('Target'), metadata: { name: 'a', labels: { a: 'b c' } } },
      'metadata.labels',
    ],
    [
      'a Secret that is not base64',
      { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'a' }, data: { k: 'a b' } },
      'data.k',
    ],
  ])('refuses %s', (_, object, path) => {
    expect(errorsOf(object)).toEqual([{ path, message: expect.any(String) }]);
  });

  test('never tells the value of a Secret', () => {
    const secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'a' },
      data: { password: 'hunter2!' },
      stringData: { other: ['hunter2!'] },
      extra: 'hunter2!',
    };
    expect(errorsOf(secret)).toHaveLength(3);
    expect(JSON.stringify(validate(secret, nowMs))).not.toContain('hunter2');
  });

  test('is not led astray by names that mean something to JavaScript', () => {
    const hostile = JSON.parse(
      '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},"owner":{"team":"a","__proto__":{"contact":"x"}}}',
    );
    const object = resource('MachineIdentity', (spec) => {
      for (const [name, value] of Object.entries(hostile)) {
        Object.defineProperty(spec, name, { value, enumerable: true });
      }
    });
    expect(errorsOf(object).map(({ path }) => path)).toEqual([
      'spec.owner.__proto__',
      'spec.__proto__',
      'spec.constructor',
    ]);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    const labelled = {
      ...resource('Target'),
      metadata: JSON.parse('{"name":"a","labels":{"__proto__":"x"}}'),
    };
    expect(errorsOf(labelled)).toHaveLength(1);
  });

  test('never throws', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.keys(resourceSchemas)),
        fc.jsonValue(),
        (kind, spec) => {
          validate(
            { apiVersion: 'chaperone.dev/v1alpha1', kind, metadata: { name: 'a' }, spec },
            nowMs,
          );
        },
      ),
    );
  });

  test('an object with its defaults is valid and stays as it is', () => {
    for (const { object, error } of validationCases) {
      if (error !== undefined) continue;
      const first = validate(object, nowMs).object!;
      expect(validate(first, nowMs).object).toEqual(first);
    }
  });

  describe('warns about', () => {
    test.each<[string, Record<string, unknown>, string[]]>([
      ['nothing in a plain policy', resource('AccessPolicy'), []],
      [
        'exports without limits',
        resource('AccessPolicy', (spec) => {
          (spec.rules as Record<string, unknown>[])[0]!.classes = ['Export'];
        }),
        ['spec.rules[0].limits'],
      ],
      [
        'a policy for nobody',
        resource('AccessPolicy', (spec) => {
          delete spec.subjects;
        }),
        ['spec.subjects'],
      ],
      [
        'a policy without effect',
        resource('AccessPolicy', (spec) => {
          delete spec.rules;
        }),
        ['spec.rules'],
      ],
      [
        'an identity that never expires',
        resource('MachineIdentity', (spec) => {
          delete spec.expiresAt;
        }),
        ['spec.expiresAt'],
      ],
      [
        'an identity that has expired',
        resource('MachineIdentity', (spec) => {
          spec.expiresAt = '2025-12-31T00:00:00Z';
        }),
        ['spec.expiresAt'],
      ],
      [
        'an exemption of 91 days',
        resource('MaskingRule', (spec) => {
          spec.exemptions = ['2026-04-01', '2026-04-02'].map((day) => ({
            identities: [{ name: 'a', namespace: 'b' }],
            reason: 'r',
            expiresAt: `${day}T00:00:00Z`,
          }));
        }),
        ['spec.exemptions[1].expiresAt'],
      ],
      [
        'plain text over the network',
        resource('Target', (spec) => {
          spec.tls = { mode: 'Disable' };
        }),
        ['spec.tls.mode'],
      ],
      [
        'nothing in plain text on this machine',
        resource('Target', (spec) => {
          Object.assign(spec, { tls: { mode: 'Disable' }, host: 'localhost' });
        }),
        [],
      ],
    ])('%s', (_, object, paths) => {
      expect(errorsOf(object)).toEqual([]);
      expect(warningsOf(object)).toEqual(paths);
    });
  });
});
