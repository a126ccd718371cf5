import { describe, expect, test } from '@jest/globals';
import { targetNames } from './target-names.ts';

const cluster = 'cluster.local';

describe('the names of a target', () => {
  test.each<[string, string, readonly string[], string, readonly string[]]>([
    ['a host outside the cluster', 'DB.Example.com', [], 'pay', ['db.example.com']],
    [
      'a Service in full',
      'db.data.svc.cluster.local',
      [],
      'pay',
      ['db.data.svc.cluster.local', 'db.data.svc', 'db.data'],
    ],
    [
      'a Service in short',
      'db.data.svc',
      [],
      'pay',
      ['db.data.svc', 'db.data.svc.cluster.local', 'db.data'],
    ],
    [
      "a Service of the pod's own namespace",
      'db.data.svc',
      [],
      'data',
      ['db.data.svc', 'db.data.svc.cluster.local', 'db.data', 'db'],
    ],
    [
      'aliases, each once',
      'db.example.com',
      ['orders', 'ORDERS', 'db.example.com.'],
      'pay',
      ['db.example.com', 'orders'],
    ],
    [
      'a pod of a headless Service',
      'db-0.db.data.svc',
      [],
      'data',
      ['db-0.db.data.svc', 'db-0.db.data.svc.cluster.local', 'db-0.db.data', 'db-0.db'],
    ],
    ['a name that only looks like a Service', 'x.a.db.data.svc', [], 'data', ['x.a.db.data.svc']],
    ['nothing before svc', 'data.svc', [], 'data', ['data.svc']],
    ['another cluster domain', 'db.data.svc.other.net', [], 'data', ['db.data.svc.other.net']],
    ['addresses and wildcards', '10.0.0.1', ['*.example.com', '::1', 'x y', '', '1.2'], 'pay', []],
  ])('%s', (_, host, aliases, namespace, names) => {
    expect(targetNames(host, aliases, cluster, namespace)).toEqual(names);
  });

  test('the cluster domain may have any case and number of labels', () => {
    expect(targetNames('db.data.svc.K8s.corp.example', [], 'k8s.Corp.example', 'x')).toEqual([
      'db.data.svc.k8s.corp.example',
      'db.data.svc',
      'db.data',
    ]);
  });
});
