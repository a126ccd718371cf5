import { describe, expect, test } from '@jest/globals';
import { brokenComponents, readComponents } from './components.ts';
import { renderStatus } from './render-status.ts';
import { statusReport } from './status-report.ts';
import { cluster, components, namespaces, nowMs, pod, raw } from './testing.ts';
import { whyReport } from './why-report.ts';

const owns = (kind: 'Deployment' | 'StatefulSet') => components[kind]!;

describe("Chaperone's own programs", () => {
  test.each([
    ['Deployment', 'webhook', 'cannot be created', 'webhook-down'],
    ['Deployment', 'policy-api', 'refuse statements', 'policy-api-down'],
    ['Deployment', 'controllers', 'statuses', 'controllers-down'],
    ['StatefulSet', 'collector', 'spools', 'collector-down'],
  ] as const)('%s %s without a ready replica, or gone', (kind, short, effect, runbook) => {
    const name = `chaperone-${short}`;
    const down = {
      ...components,
      [kind]: owns(kind).map((one) => (one.name === name ? { ...one, readyReplicas: 0 } : one)),
    };
    const what = `${kind} chaperone-system/${name}`;
    const said = (message: string): boolean =>
      message.includes(effect) && message.endsWith(`see docs/runbooks/${runbook}.md`);
    const [broken, ...others] = brokenComponents(cluster([], [], { components: down }));
    expect(others).toEqual([]);
    expect(broken).toMatchObject({ what, reason: 'NotReady' });
    expect(said(broken!.message)).toBe(true);
    expect(broken!.mend).toBe(`kubectl -n chaperone-system describe ${kind.toLowerCase()} ${name}`);

    if (short === 'controllers') return;
    const without = { ...components, [kind]: owns(kind).filter((one) => one.name !== name) };
    const [missing] = brokenComponents(cluster([], [], { components: without }));
    expect(missing).toMatchObject({ what, reason: 'Missing' });
    expect(said(missing!.message)).toBe(true);
  });

  test('the gateway is broken only where there is one', () => {
    const gateway = { namespace: 'chaperone-system', name: 'chaperone-gateway', readyReplicas: 0 };
    const given = { ...components, Deployment: [...owns('Deployment'), gateway] };
    expect(brokenComponents(cluster([]))).toEqual([]);
    expect(brokenComponents(cluster([], [], { components: given }))).toMatchObject([
      { what: 'Deployment chaperone-system/chaperone-gateway', reason: 'NotReady' },
    ]);
  });

  test('objects of the same names elsewhere stand for nothing', () => {
    const elsewhere = owns('StatefulSet').map((one) => ({ ...one, namespace: 'payments' }));
    const given = { ...components, StatefulSet: elsewhere };
    expect(brokenComponents(cluster([], [], { components: given }))).toMatchObject([
      { reason: 'Missing' },
    ]);
  });

  test('what may not be listed is not called broken', () => {
    const given = { components: {}, installation: undefined };
    expect(brokenComponents(cluster([], [], given))).toEqual([]);
  });

  test('without controllers, Chaperone is not installed', () => {
    const given = {
      components: { Deployment: [], StatefulSet: [] },
      installation: undefined,
    };
    expect(renderStatus(statusReport(cluster([], namespaces, given), nowMs)).slice(-5)).toEqual([
      'Broken: 1',
      '1. Chaperone: NotInstalled',
      '   Chaperone is not installed: its resource definitions are there, and its controllers are not: what',
      '   the statuses say is of the past, and no new pod is governed',
      '   > install the chart: docs/guide/installing.md',
    ]);
  });

  test('why tells of them, too', () => {
    const down = owns('Deployment').map((one) => ({ ...one, readyReplicas: 0 }));
    const given = cluster([pod('payments/a')], undefined, {
      components: { ...components, Deployment: down },
    });
    expect(whyReport(given, 'a', nowMs)?.broken.map(({ what }) => what)).toEqual([
      'Deployment chaperone-system/chaperone-webhook',
      'Deployment chaperone-system/chaperone-policy-api',
      'Deployment chaperone-system/chaperone-controllers',
    ]);
  });

  test('replicas are read from the status', () => {
    const given = raw('Deployment', 'chaperone-system/chaperone-webhook');
    const read = (status: object) => readComponents([{ ...given, ...status }])[0]?.readyReplicas;
    expect([read({}), read({ status: { readyReplicas: 2 } })]).toEqual([0, 2]);
  });
});
