import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type JsonPatchOperation, jsonPatch } from './json-patch.ts';
import { sidecarUid, statusAnnotation } from './names.ts';
import type { CheckedPod } from './pod.ts';
import { renderPod } from './render.ts';
import { contextOf, payments, podOf, target } from './testing.ts';
import { verifyPod } from './verify.ts';

/** RFC 6902, as far as our patches go. */
function applyPatch(value: unknown, patch: readonly JsonPatchOperation[]): unknown {
  const root = { value: structuredClone(value) } as Record<string, unknown>;
  for (const operation of patch) {
    const keys = `/value${operation.path}`.split('/').slice(1);
    const names = keys.map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
    const last = names.pop()!;
    let parent = root as Record<string, unknown> | unknown[];
    for (const name of names) parent = (parent as Record<string, typeof parent>)[name]!;
    if (Array.isArray(parent)) {
      const at = Number(last);
      expect(at).toBeLessThan(parent.length + (operation.op === 'add' ? 1 : 0));
      if (operation.op === 'add') parent.splice(at, 0, operation.value);
      else if (operation.op === 'remove') parent.splice(at, 1);
      else parent[at] = operation.value;
    } else {
      expect(Object.hasOwn(parent, last)).toBe(operation.op !== 'add');
      if (operation.op === 'remove') delete parent[last];
      else parent[last] = operation.value;
    }
  }
  return root.value;
}

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

test('a patch leads from one value to the other', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (from, to) => {
      const [a, b] = [plain(from), plain(to)];
      expect(applyPatch(a, jsonPatch(a, b))).toEqual(b);
      expect(jsonPatch(b, b)).toEqual([]);
    }),
  );
});

const name = fc.constantFrom('app', 'migrate', 'mesh', 'data', 'cache', 'logs');
const hostNames = fc.constantFrom(
  'orders-db.data.svc',
  'orders-db.data.svc.cluster.local',
  'ledger.data',
  'legacy.example.com',
  'db',
);

const container = (named: string) =>
  fc.record(
    {
      name: fc.constant(named),
      image: fc.constant('app:1'),
      env: fc.array(
        fc.record({ name: fc.constantFrom('A', 'PGSSLROOTCERT'), value: fc.string() }),
        {
          maxLength: 2,
        },
      ),
      volumeMounts: fc.array(fc.record({ name, mountPath: fc.constantFrom('/a', '/b') }), {
        maxLength: 2,
      }),
      securityContext: fc.record(
        {
          runAsUser: fc.constantFrom(0, 1000),
          allowPrivilegeEscalation: fc.boolean(),
          capabilities: fc.constant({ drop: ['ALL'] }),
        },
        { requiredKeys: [] },
      ),
    },
    { requiredKeys: ['name', 'image'] },
  );

const containers = (minLength: number) =>
  fc
    .uniqueArray(name, { minLength, maxLength: 3 })
    .chain((names) => fc.tuple(...names.map((named) => container(named))));

/** Left from an earlier rendering, or forged: both are to come out the same. */
const remains = fc.constantFrom(
  { name: 'chaperone-sidecar', image: 'evil:1', command: ['sh'] },
  { name: 'chaperone-lockdown', image: 'evil:1' },
  { name: 'chaperone-sidecar', image: 'evil:1', resources: { limits: { cpu: '2' } } },
);

const pods = fc
  .record({
    containers: containers(1),
    initContainers: fc.option(
      fc.tuple(containers(0), fc.array(remains, { maxLength: 1 })).map(([a, b]) => [...a, ...b]),
      { nil: undefined },
    ),
    volumes: fc.option(
      fc
        .uniqueArray(fc.constantFrom('data', 'chaperone-ca', 'cache', 'chaperone-token'))
        .map((names) => names.map((named) => ({ name: named, emptyDir: {} }))),
      { nil: undefined },
    ),
    hostAliases: fc.option(
      fc.array(
        fc.record({
          ip: fc.constantFrom('10.0.0.1', '127.0.0.1', '127.0.1.1', '127.0.214.8'),
          hostnames: fc.uniqueArray(hostNames, { minLength: 1, maxLength: 2 }),
        }),
        { maxLength: 3 },
      ),
      { nil: undefined },
    ),
    securityContext: fc.option(
      fc.record({ runAsUser: fc.constantFrom(0, 1000) }, { requiredKeys: [] }),
      { nil: undefined },
    ),
    annotations: fc.constantFrom(
      undefined,
      {},
      { 'chaperone.dev/egress': 'Lockdown' },
      { 'chaperone.dev/trust': 'Env', [statusAnnotation]: 'forged' },
    ),
  })
  .map(({ annotations, ...spec }) => plain(podOf(spec, { annotations })) as CheckedPod);

const targets = fc.subarray([
  target('data/orders-db', { aliases: ['db'] }),
  target('data/ledger', { port: 443 }, '2026-01-02T00:00:00Z'),
  target('data/orders-ro', { host: 'orders-db.data.svc', port: 5433 }, '2026-01-03T00:00:00Z'),
  target('data/address', { host: '10.0.0.9' }, '2026-01-04T00:00:00Z'),
]);

const contexts = fc.tuple(targets, fc.boolean()).map(([open, required]) =>
  contextOf({
    targets: open,
    ...(required && {
      namespace: { ...payments, labels: { ...payments.labels, 'chaperone.dev/required': 'true' } },
    }),
  }),
);

describe('over pods', () => {
  test('rendering twice is rendering once, and the patch gives exactly the rendered pod', () => {
    fc.assert(
      fc.property(pods, contexts, (pod, context) => {
        const rendered = renderPod(pod, context);
        if (rendered.outcome !== 'Injected') return;
        expect(renderPod(rendered.pod, context)).toEqual(rendered);
        expect(verifyPod(rendered.pod, context)).toEqual(rendered);
        expect(applyPatch(pod, jsonPatch(pod, rendered.pod))).toEqual(plain(rendered.pod));
      }),
      { numRuns: 1000 },
    );
  });

  test('the sidecar is the same whatever the pod brings along, and first but for the lockdown', () => {
    fc.assert(
      fc.property(pods, contexts, (pod, context) => {
        const rendered = renderPod(pod, context);
        if (rendered.outcome !== 'Injected') return;
        const init = rendered.pod.spec.initContainers!;
        const at = init.findIndex(({ name: named }) => named === 'chaperone-sidecar');
        expect(at).toBe(init[0]!.name === 'chaperone-lockdown' ? 1 : 0);
        const { image, command, securityContext } = init[at]!;
        expect({ image, command }).toEqual({
          image: context.settings.sidecarImage,
          command: undefined,
        });
        expect(securityContext?.runAsUser).toBe(sidecarUid);
        expect(init.filter(({ name: named }) => named === 'chaperone-sidecar')).toHaveLength(1);
        const token = rendered.pod.spec.volumes!.filter((one) => one.name === 'chaperone-token');
        expect(token).toEqual([expect.objectContaining({ projected: expect.anything() })]);
      }),
    );
  });

  test('no two targets listen at one place, and every name leads to one address', () => {
    fc.assert(
      fc.property(pods, contexts, (pod, context) => {
        const rendered = renderPod(pod, context);
        if (rendered.outcome !== 'Injected') return;
        const places = rendered.targets.map(({ address, port }) => `${address}:${port}`);
        expect(new Set(places).size).toBe(places.length);
        const byName = new Map<string, string>();
        for (const { address, hostNames: names } of rendered.targets) {
          for (const one of names) {
            expect(byName.get(one) ?? address).toBe(address);
            byName.set(one, address);
          }
        }
      }),
    );
  });
});

describe('verification', () => {
  const rendered = renderPod(podOf(), contextOf());
  if (rendered.outcome !== 'Injected') throw new Error('not injected');
  const { pod } = rendered;
  const [sidecar] = pod.spec.initContainers!;
  const alterations: readonly [string, Partial<CheckedPod['spec']>][] = [
    ['another image', { initContainers: [{ ...sidecar!, image: 'evil:1' }] }],
    ['a command', { initContainers: [{ ...sidecar!, command: ['sh'] }] }],
    [
      'a variable',
      {
        initContainers: [
          { ...sidecar!, env: [...sidecar!.env!, { name: 'LD_PRELOAD', value: '/x' }] },
        ],
      },
    ],
    [
      'a hook',
      { initContainers: [{ ...sidecar!, lifecycle: { preStop: { sleep: { seconds: 1 } } } }] },
    ],
    ['a container before it', { initContainers: [{ name: 'first', image: 'x' }, sidecar!] }],
    ['no sidecar', { initContainers: [] }],
    [
      'an alias that leads elsewhere',
      { hostAliases: [{ ip: '10.0.0.1', hostnames: ['orders-db.data.svc.cluster.local'] }] },
    ],
    ['no aliases', { hostAliases: [] }],
    [
      'another volume in the place of the token',
      { volumes: [{ name: 'chaperone-token', emptyDir: {} }, ...pod.spec.volumes!.slice(1)] },
    ],
  ];
  test.each(alterations)('refuses %s', (_, spec) => {
    const altered = { ...pod, spec: { ...pod.spec, ...spec } };
    expect(verifyPod(altered, contextOf())).toMatchObject({
      outcome: 'Refused',
      reason: 'Altered',
    });
  });

  test('what others add elsewhere is theirs', () => {
    const more = {
      ...pod,
      spec: {
        ...pod.spec,
        containers: [...pod.spec.containers, { name: 'proxy', image: 'mesh:1' }],
        volumes: [...pod.spec.volumes!, { name: 'mesh', emptyDir: {} }],
        hostAliases: [...pod.spec.hostAliases!, { ip: '10.0.0.7', hostnames: ['mesh.example'] }],
      },
    };
    expect(verifyPod(more, contextOf())).toMatchObject({ outcome: 'Injected' });
  });
});

test('what the pod carries of warnings is bounded', () => {
  const targets = Array.from({ length: 3000 }, (_, at) => target(`data/db-${at}`));
  const rendered = renderPod(podOf(), contextOf({ targets }));
  if (rendered.outcome !== 'Injected') throw new Error('not injected');
  expect(rendered.warnings).toHaveLength(2500);
  const status = JSON.parse(rendered.pod.metadata!.annotations![statusAnnotation]!) as object;
  expect(status).toMatchObject({ warnings: { length: 20 } });
});
