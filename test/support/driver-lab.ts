/** The shop behind Chaperone, with the policy of an ordinary application: for drivers as they are. */
import { createSecureContext } from 'node:tls';
import { certificateAuthority } from './certificates.ts';
import { identity, masking, policy, type Resource, TestChaperone } from './chaperone.ts';
import { type PostgresVersion, startPostgres, type TestPostgres } from './postgres.ts';
import { loadShop } from './shop.ts';

const applicationRules: readonly Resource[] = [
  {
    name: 'data',
    action: 'Allow',
    classes: ['Read', 'Write', 'Export'],
    resources: ['shop.public.**'],
  },
  {
    name: 'temporary',
    action: 'Allow',
    classes: ['Read', 'Write', 'Schema', 'Export'],
    resources: ['shop.pg_temp*.**'],
  },
  { name: 'jobs', action: 'Allow', verbs: ['Listen', 'Notify'], resources: ['shop.jobs'] },
  { name: 'keep-orders', action: 'Deny', verbs: ['Delete'], resources: ['shop.public.orders'] },
];

export interface DriverLab {
  readonly postgres: TestPostgres;
  readonly chaperone: TestChaperone;
  /** PEM of the CA that the listener's certificate is of. */
  readonly ca: string;
  /** Suspends an identity of namespace payments, or ends its suspension; resolves when its sessions know. */
  suspend(identity: string, suspended: boolean): Promise<void>;
  stop(): Promise<void>;
}

/** Starts it: identities `nightly-report` and `other` of namespace payments, masks on every `ssn`. */
export async function startDriverLab(
  version: PostgresVersion,
  more: readonly Resource[] = [],
): Promise<DriverLab> {
  const authority = certificateAuthority();
  const context = createSecureContext(authority.issue(['IP:127.0.0.1', 'DNS:localhost']));
  const postgres = await startPostgres({ version });
  await loadShop(postgres, { orders: 200 });
  const chaperone = await TestChaperone.start({
    postgres,
    tls: { secureContext: () => context },
    resources: [
      policy('application', applicationRules),
      masking('ssn', {
        columns: ['shop.public.*.ssn'],
        transform: { type: 'Partial', keepLast: 4 },
      }),
      identity('other'),
      ...more,
    ],
  });
  return {
    postgres,
    chaperone,
    ca: authority.ca.cert,
    suspend: (name, suspended) => suspend(chaperone, name, suspended),
    async stop() {
      await chaperone.stop();
      await postgres.stop();
    },
  };
}

async function suspend(chaperone: TestChaperone, name: string, suspended: boolean): Promise<void> {
  const { store } = chaperone.standalone;
  await chaperone.inForce(
    () => store.patch('MachineIdentity', 'payments', name, { spec: { suspended } }),
    name,
  );
}
