import { describe, expect, test } from '@jest/globals';
import { aliasRefusal, governanceRules, hostRefusal, issuerIsBound } from './host-rules.ts';

const rules = governanceRules({
  clusterDomain: 'cluster.local',
  allowedHosts: [
    'data=db.example.com',
    'data=*.rds.example.com',
    '*=shared.example.com',
    'data=10.0.0.5',
  ],
  oidcIssuers: ['data=https://ci.example.com', '*=https://all.example.com'],
  foreignTargets: 'ByLabel',
});

describe('hostRefusal: what a Target of namespace data may name', () => {
  test.each([
    'db.data.svc',
    'db.data.svc.cluster.local',
    'db.data.svc.cluster.local.',
    'DB.data.SVC.cluster.local',
    'db-0.db.data.svc.cluster.local',
    'db.example.com',
    'a.rds.example.com',
    'a.b.rds.example.com',
    'shared.example.com',
    '10.0.0.5',
  ])('%s', (host) => expect(hostRefusal(host, 'data', rules)).toBeUndefined());

  test.each<[string, RegExp]>([
    ['db', /write it in full, as db\.data\.svc\.cluster\.local/],
    ['db.other.svc', /in the namespace of the Service/],
    ['db.other.svc.cluster.local', /in the namespace of the Service/],
    ['data.svc', /in the namespace of the Service/],
    ['data.svc.cluster.local', /in the namespace of the Service/],
    ['a.b.c.data.svc.cluster.local', /in the namespace of the Service/],
    ['1-2-3-4.data.pod.cluster.local', /in the namespace of the Service/],
    ['node.cluster.local', /in the namespace of the Service/],
    ['kubernetes.default.svc', /API server/],
    ['kubernetes.default.svc.cluster.local', /API server/],
    ['kubernetes.default', /API server/],
    ['db.data', /data=db\.data to allowedHosts/],
    ['rds.example.com', /allowedHosts/],
    ['evilrds.example.com', /allowedHosts/],
    ['db.example.com.evil.org', /allowedHosts/],
    ['10.0.0.6', /allowedHosts/],
    ['localhost', /allowedHosts|in full/],
    ['/run/postgresql', /is a UNIX socket/],
    ['/run/containerd', /is a UNIX socket/],
  ])('not %s', (host, message) => {
    expect(hostRefusal(host, 'data', rules)?.message).toMatch(message);
  });

  test('the API server is nobody’s, in its own namespace and on the list too', () => {
    const generous = governanceRules({
      clusterDomain: 'cluster.local',
      allowedHosts: [
        '*=kubernetes.default.svc',
        '*=db.other.svc.cluster.local',
        '*=kubernetes.default',
      ],
      oidcIssuers: [],
      foreignTargets: 'ByLabel',
    });
    expect(hostRefusal('kubernetes.default.svc', 'default', generous)).toBeDefined();
    expect(hostRefusal('kubernetes.default', 'default', generous)).toBeDefined();
    expect(hostRefusal('db.other.svc.cluster.local', 'data', generous)).toBeDefined();
    expect(hostRefusal('db.default.svc', 'default', generous)).toBeUndefined();
  });

  test('another namespace’s list is another namespace’s', () => {
    expect(hostRefusal('db.example.com', 'other', rules)).toBeDefined();
    expect(hostRefusal('shared.example.com', 'other', rules)).toBeUndefined();
  });
});

describe('aliasRefusal', () => {
  test.each(['db', 'db.data', 'db.data.svc', 'db.example.com', 'shared.example.com'])(
    '%s',
    (alias) => expect(aliasRefusal(alias, 'data', rules)).toBeUndefined(),
  );
  test.each([
    'localhost',
    'a.localhost',
    'kubernetes',
    'kubernetes.default',
    'kubernetes.default.svc',
    'db.other',
    'db.other.svc',
    'api.example.com',
  ])('not %s', (alias) => expect(aliasRefusal(alias, 'data', rules)).toBeDefined());

  test('the API server’s short names are nobody’s in namespace default either', () => {
    expect(aliasRefusal('kubernetes.default', 'default', rules)).toBeDefined();
    expect(aliasRefusal('db.default', 'default', rules)).toBeUndefined();
  });
});

test('issuers are bound to namespaces', () => {
  expect(issuerIsBound('https://ci.example.com', 'data', rules)).toBe(true);
  expect(issuerIsBound('https://ci.example.com', 'other', rules)).toBe(false);
  expect(issuerIsBound('https://ci.example.com/', 'data', rules)).toBe(false);
  expect(issuerIsBound('https://all.example.com', 'other', rules)).toBe(true);
});

test.each([
  [['nothing'], []],
  [['=db.example.com'], []],
  [['data='], []],
  [['data=*'], []],
  [['data=*.com'], []],
  [['Data=db'], []],
  [[], ['data=http://plain.example.com']],
])('rules of another form are refused: %j %j', (allowedHosts, oidcIssuers) => {
  const config = { clusterDomain: 'cluster.local', allowedHosts, oidcIssuers };
  expect(() => governanceRules({ ...config, foreignTargets: 'ByLabel' })).toThrow(
    /NAMESPACE=VALUE/,
  );
});
