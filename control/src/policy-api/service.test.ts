import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { newAuthority, readIssuer } from '../certificates/issue.ts';
import { type TestDirectory, testDirectory } from '../store/testing.ts';
import { PolicyState } from './policy-state.ts';
import { PolicyService } from './service.ts';
import { plainAttestor } from './testing.ts';
import type { TokenBearer, Tokens } from './tokens.ts';

const identity = (namespace: string): string => `
apiVersion: chaperone.dev/v1alpha1
kind: MachineIdentity
metadata: { name: report, namespace: ${namespace} }
spec:
  owner: { team: ${namespace} }
  purpose: Reports
  subjects: [ { serviceAccount: { name: report } } ]
`;
const target = (namespace: string, name: string, aliases: readonly string[] = []): string => `
apiVersion: chaperone.dev/v1alpha1
kind: Target
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  protocol: PostgreSQL
  host: ${name}.${namespace}.svc
  aliases: ${JSON.stringify(aliases)}
  credentials: { secretRef: { name: x } }
  allowedNamespaces: { from: All }
`;
const nowMs = Date.UTC(2026, 0, 1);

describe('what one tenant makes does not keep others out', () => {
  let directory: TestDirectory;
  let state: PolicyState;

  beforeEach(() => {
    const many = Array.from({ length: 80 }, (_, at) =>
      target(
        'a-tenant',
        `t${at}`,
        Array.from({ length: 16 }, (_, alias) => `n${at}-${alias}`),
      ),
    );
    directory = testDirectory({
      'identities.yaml': [identity('payments'), identity('a-tenant')].join('---'),
      'targets.yaml': [...many, target('payments', 'own'), target('data', 'orders')].join('---'),
    });
  });

  afterEach(async () => {
    state.close();
    await directory.close();
  });

  async function service(): Promise<PolicyService> {
    state = new PolicyState({
      store: await directory.open(),
      installationKey: Buffer.alloc(32),
      nowMs: () => nowMs,
      onError: (error) => {
        throw error;
      },
    });
    const root = await newAuthority({ commonName: 'test', nowMs, validMs: 86_400_000 });
    const issuer = await readIssuer(root.certificate, root.privateKey);
    return new PolicyService({
      state,
      attestor: plainAttestor,
      tokens: {} as Tokens,
      installationKey: Buffer.alloc(32),
      issuer: async () => issuer,
      clusterDomain: 'cluster.local',
      gatewayNames: ['gateway.example.com'],
      reservedNames: [],
      maxPolicyAgeMs: 60_000,
      nowMs: () => nowMs,
    });
  }

  test('an identity of the same name, where a token tells them apart', async () => {
    const api = await service();
    const orders = state.targets().find(({ metadata }) => metadata.name === 'orders')!;
    const check = (user: string, secret: string) =>
      api.authenticate({ user, secret, targetUid: orders.metadata.uid }, 'gateway-0');
    for (const namespace of ['payments', 'a-tenant']) {
      const { uid } = state.identityOf(namespace, 'report')!.metadata;
      for (const user of ['report', `${namespace}/report`]) {
        expect((await check(user, `sa.${namespace}.report`)).identityUid).toBe(uid);
      }
    }
    for (const user of ['payments/report', 'other', '']) {
      await expect(check(user, 'sa.a-tenant.report')).rejects.toMatchObject({ code: 'CHP-2001' });
    }
  });

  test('more names of Targets than a certificate takes', async () => {
    const api = await service();
    const { publicKey } = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    const names = async (role: TokenBearer['role'], namespace: string): Promise<string[]> => {
      const bearer = { role, namespace, serviceAccount: 's', pod: 'p', sub: 'u', expiresMs: 0 };
      const { certificateChain } = await api.certificate(bearer, publicKey);
      return new X509Certificate(certificateChain).subjectAltName!.split(', ');
    };
    const gateway = await names('Gateway', 'chaperone-system');
    expect(gateway[0]).toBe('DNS:gateway.example.com');
    expect(gateway).toHaveLength(1000);
    const pod = await names('Pod', 'payments');
    expect(pod[0]).toBe('DNS:own.payments.svc');
    expect(pod).toHaveLength(1000);
  });
});
