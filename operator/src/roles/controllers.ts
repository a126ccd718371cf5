/**
 * What one replica does for all: statuses of MachineIdentities and AccessPolicies, certificates and keys, the
 * roots in every namespace that needs them, and what governance finds. The others stand by.
 *
 * What it may do at the API server:
 *
 * | resource | verbs | scope |
 * |---|---|---|
 * | chaperone.dev machineidentities, targets, accesspolicies, maskingrules | get list watch | cluster |
 * | chaperone.dev machineidentities/status, accesspolicies/status | get patch | cluster |
 * | namespaces, pods, services | get list watch | cluster |
 * | apps replicasets; batch jobs | get | cluster |
 * | configmaps named chaperone-ca | get list watch patch delete | cluster |
 * | configmaps | create | cluster |
 * | networking.k8s.io networkpolicies | get list watch create patch delete | cluster |
 * | discovery.k8s.io endpointslices | list | cluster |
 * | admissionregistration.k8s.io mutating- and validatingwebhookconfigurations named as webhookConfiguration | get patch | cluster |
 * | events.k8s.io events | create patch | cluster |
 * | secrets named chaperone-root-ca, -webhook-tls, -policy-api-tls, -collector-tls, -workload-issuer, -signing-keys, -installation-key | get update | own namespace |
 * | secrets | create | own namespace |
 * | apps deployments named as deploymentName | get | own namespace |
 * | coordination.k8s.io leases named as leaseName | get update | own namespace |
 * | coordination.k8s.io leases | create | own namespace |
 *
 * An owner reference that blocks nothing needs no right on the owner, where OwnerReferencesPermissionEnforcement
 * is on as well.
 */
import { governanceRules } from '@chaperone/control/controllers/host-rules.ts';
import type { StoredKind } from '@chaperone/control/store/resource-store.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { governanceMetrics } from '@chaperone/runtime/metrics/catalogue.ts';
import { registerMetrics } from '@chaperone/runtime/metrics/metrics.ts';
import { CertificateKeeper } from '../certificates/keeper.ts';
import { apiServerNames } from '../certificates/own-names.ts';
import { collectorSecret, policyApiSecret, webhookSecret } from '../certificates/secrets.ts';
import type { ControllersConfig } from '../config.ts';
import { Governance } from '../controllers/governance/governance.ts';
import { networkPolicies } from '../controllers/network-policies/network-policies.ts';
import { ownerFinder } from '../controllers/owners.ts';
import { PodCache } from '../controllers/pod-cache.ts';
import { RootsController } from '../controllers/roots.ts';
import { Applier } from '../kubernetes/apply.ts';
import { resourceTypes } from '../kubernetes/resource-types.ts';
import type { Program } from './program.ts';
import { addStatuses } from './statuses.ts';

const watched: readonly StoredKind[] = [
  'MachineIdentity',
  'Target',
  'AccessPolicy',
  'MaskingRule',
  'Namespace',
];
const fieldManager = 'chaperone-controllers';

/** Resolves when the caches are synced, whoever leads. Throws ChaperoneError CHP-1002. */
export async function startControllers(
  program: Program,
  config: ControllersConfig,
): Promise<{ close(): Promise<void> }> {
  const { api, manager, clock, logger, metrics, random } = program;
  const rules = governanceRules(config);
  const leaves = leavesOf(config);
  const common = { api, clock, random, logger, metrics };

  const gauges = registerMetrics(program.registry, governanceMetrics);
  const pods = new PodCache(common);
  program.addCache(pods.reflector, [pods.reflector]);
  const { store, parts, touch } = addStatuses(program, {
    watched,
    targetNamespaces: [],
    kinds: ['MachineIdentity', 'AccessPolicy'],
    statuses: {
      rules,
      boundPods: ({ metadata, spec }) => {
        const accounts = spec.subjects.flatMap(({ serviceAccount }) => serviceAccount?.name ?? []);
        return pods.boundPods(metadata.namespace, new Set(accounts));
      },
    },
  });
  for (const part of parts()) manager.addLeading(part);
  pods.onChange(touch);

  const { namespace, deploymentName, webhookConfiguration } = config;
  const { Deployment, MutatingWebhookConfiguration } = resourceTypes;
  const own = ownerFinder(api, Deployment, namespace, deploymentName);
  const foreign = ownerFinder(api, MutatingWebhookConfiguration, '', webhookConfiguration);
  const roots = new RootsController({
    ...common,
    applier: new Applier(api, fieldManager),
    pods,
    namespace,
    owners: { own, foreign },
  });
  for (const reflector of roots.reflectors) program.addCache(reflector, [reflector]);
  manager.addLeading(roots.controller);
  manager.addLeading(
    new CertificateKeeper({
      ...common,
      namespace,
      certificates: config.certificates,
      leaves,
      excluded: [...leaves.values()].flat().concat(apiServerNames(config.clusterDomain)),
      webhookConfiguration,
      owner: own,
      fieldManager,
      onRoots: (bundle) => roots.setBundle(bundle),
      isPublished: (bundle) => roots.isPublished(bundle),
      gauges,
      onAction: ({ type, ...details }) => {
        // Under another key: the logger hides what is called secret, and this is a Secret's name.
        const object = 'secret' in details ? details.secret : undefined;
        const why = 'why' in details ? details.why : undefined;
        logger.info({ action: type, object, why }, 'certificates changed');
      },
    }),
  );
  const governance = new Governance({
    ...common,
    store,
    pods,
    events: program.events,
    rules,
    sidecarImage: config.sidecarImage,
    excludedNamespaces: [namespace, ...config.excludedNamespaces],
    gauges,
  });
  program.addCache(governance.services, [governance.services]);
  manager.addLeading(governance);
  manager.addLeading(
    networkPolicies({ ...common, store, rules, owner: foreign, events: program.events }),
  );
  await manager.start();
  return { close: async () => {} };
}

const secretsByProgram: Readonly<Record<string, string>> = {
  webhook: webhookSecret,
  'policy-api': policyApiSecret,
  collector: collectorSecret,
};

/** Secret → names of the Service that shows its certificate, from `PROGRAM=NAME`. */
function leavesOf({
  serviceNames,
  namespace,
  clusterDomain,
}: ControllersConfig): ReadonlyMap<string, readonly string[]> {
  const leaves = new Map<string, readonly string[]>();
  for (const entry of serviceNames) {
    const [program = '', service = ''] = entry.split('=');
    const secret = Object.hasOwn(secretsByProgram, program) ? secretsByProgram[program] : undefined;
    if (secret === undefined || !/^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(service)) {
      throw new ChaperoneError(
        'CHP-1002',
        `serviceNames: ${JSON.stringify(entry)} does not have the form PROGRAM=NAME, with one of ${Object.keys(secretsByProgram).join(', ')}`,
      );
    }
    const qualified = `${service}.${namespace}.svc`;
    leaves.set(secret, [
      service,
      `${service}.${namespace}`,
      qualified,
      `${qualified}.${clusterDomain}`,
      // People read the record through `kubectl port-forward`.
      ...(program === 'collector' ? ['localhost'] : []),
    ]);
  }
  return leaves;
}
