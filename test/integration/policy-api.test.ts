import {
  plainAttestor,
  type TestPolicyApi,
  testPolicyApi,
} from '@chaperone/control/policy-api/testing.ts';
import { type TestDirectory, testDirectory } from '@chaperone/control/store/testing.ts';
import type { PolicyEvent } from '@chaperone/core/control/wire.ts';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

const identity = (name: string, extra = ''): string => `
apiVersion: chaperone.dev/v1alpha1
kind: MachineIdentity
metadata: { name: ${name}, namespace: payments }
spec:
  owner: { team: payments }
  purpose: Reports
  subjects: [ { serviceAccount: { name: ${name} } } ]
${extra}
`;
const target = `
apiVersion: chaperone.dev/v1alpha1
kind: Target
metadata: { name: orders, namespace: data }
spec:
  protocol: PostgreSQL
  host: db.data.svc
  aliases: [orders]
  tls: { mode: Disable }
  credentials: { secretRef: { name: orders } }
  allowedNamespaces:
    from: Selector
    selector: { matchLabels: { kubernetes.io/metadata.name: payments } }
---
apiVersion: v1
kind: Secret
metadata: { name: orders, namespace: data, labels: { chaperone.dev/target: orders } }
stringData: { username: app, password: "s3cret value" }
`;
const policy = (rule: string): string => `
apiVersion: chaperone.dev/v1alpha1
kind: AccessPolicy
metadata: { name: reports, namespace: data }
spec:
  subjects: { namespaces: [payments] }
  targetRefs: [ { name: orders } ]
  rules:
  - { name: ${rule}, action: Allow, classes: [Read], resources: ["shop.**"] }
`;

let directory: TestDirectory;
let api: TestPolicyApi;

beforeEach(async () => {
  directory = testDirectory({
    'report.yaml': identity('report'),
    'target.yaml': target,
    'policy.yaml': policy('read'),
  });
  api = await testPolicyApi(directory.state, await directory.open());
});

afterEach(async () => {
  await api.close();
  await directory.close();
});

const parse = ({ data }: { data: string }): PolicyEvent => JSON.parse(data);

describe('the policy stream', () => {
  test('begins with everything, and tells each change', async () => {
    const token = await api.attest('pod.payments.report.u1');
    const stream = await api.stream('/v1/policy', token);
    const first = parse(await stream.next());
    expect(first.bundle?.targets[0]?.rules.map(({ ref }) => ref.rule)).toEqual(['read']);
    directory.write('policy.yaml', policy('read-more'));
    const second = parse(await stream.next());
    expect(second.bundle?.targets[0]?.rules.map(({ ref }) => ref.rule)).toEqual(['read-more']);
    stream.close();
  });
});

test('uses an attestor', () => expect(plainAttestor).toBeDefined());
