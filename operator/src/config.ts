/** The options of the operator's roles. */
import { configFileOption } from '@chaperone/runtime/config/program-config.ts';
import type { ConfigSchema, ConfigValues } from '@chaperone/runtime/config/schema.ts';
import { logLevels } from '@chaperone/runtime/logging/logger.ts';
import { defaultSidecarOpsPort } from './injection/names.ts';

const port = { type: 'integer', min: 0, max: 65535, placeholder: 'PORT' } as const;
const file = { type: 'string', placeholder: 'FILE' } as const;
const directory = { type: 'string', placeholder: 'DIR' } as const;

const common = {
  config: configFileOption,
  kubeconfig: {
    ...file,
    help: "Outside a cluster: the kubeconfig to use. Within, the pod's own token.",
  },
  namespace: {
    type: 'string',
    placeholder: 'NAME',
    default: 'chaperone-system',
    help: 'The namespace that Chaperone is installed in.',
  },
  instance: {
    type: 'string',
    placeholder: 'NAME',
    help: "This replica's name, for Leases and Events: the pod's. Default: the host's name.",
  },
  opsHost: {
    type: 'string',
    placeholder: 'ADDRESS',
    default: '0.0.0.0',
    help: 'Where probes and metrics answer.',
  },
  opsPort: { ...port, default: 9790, help: 'Port of /metrics, /healthz and /readyz; 0: any free.' },
  logLevel: { type: 'choice', choices: logLevels, default: 'info', help: 'From this level on.' },
  clusterDomain: {
    type: 'string',
    placeholder: 'DOMAIN',
    default: 'cluster.local',
    help: "The cluster's DNS domain.",
  },
} as const satisfies ConfigSchema;

/** Who may claim what; the same for every role that judges resources. */
const governance = {
  allowedHosts: {
    type: 'list',
    default: [],
    placeholder: 'NAMESPACE=HOST',
    help: "Hosts that Targets of a namespace may name beside that namespace's Services; HOST may begin with *. and NAMESPACE may be *.",
  },
  oidcIssuers: {
    type: 'list',
    default: [],
    placeholder: 'NAMESPACE=URL',
    help: 'OIDC issuers that identities of a namespace may name as subjects; NAMESPACE may be *.',
  },
  foreignTargets: {
    type: 'choice',
    choices: ['Accepted', 'ByLabel'],
    default: 'ByLabel',
    help: 'Whether a namespace takes Targets of others as soon as they are open to it, or only with the label chaperone.dev/foreign-targets: accept. The annotation chaperone.dev/foreign-targets-from on a namespace narrows either to the namespaces that it lists.',
  },
} as const satisfies ConfigSchema;

const injection = {
  sidecarImage: {
    type: 'string',
    placeholder: 'IMAGE',
    required: true,
    help: 'Image of the sidecar.',
  },
  sidecarImagePullPolicy: {
    type: 'choice',
    choices: ['IfNotPresent', 'Always', 'Never'],
    default: 'IfNotPresent',
    help: 'Its pull policy.',
  },
  lockdownImage: {
    type: 'string',
    placeholder: 'IMAGE',
    help: 'Image of the lockdown container. Without it, pods that ask for Lockdown are refused.',
  },
  policyApiUrl: {
    type: 'string',
    placeholder: 'URL',
    required: true,
    help: 'The policy API, as pods reach it.',
  },
  collectorUrl: {
    type: 'string',
    placeholder: 'URL',
    required: true,
    help: 'The collector, as pods reach it.',
  },
  sidecarOpsPort: {
    ...port,
    default: defaultSidecarOpsPort,
    help: "Port of the sidecar's probes and metrics.",
  },
  sidecarResources: {
    type: 'string',
    placeholder: 'JSON',
    default: '{"requests":{"cpu":"10m","memory":"128Mi"},"limits":{"memory":"256Mi"}}',
    help: "The sidecar's requests and limits, as in a container.",
  },
  spoolSizeLimit: {
    type: 'string',
    placeholder: 'SIZE',
    default: '300Mi',
    help: "sizeLimit of the spool's emptyDir.",
  },
  spoolMaxBytes: {
    type: 'string',
    placeholder: 'SIZE',
    default: '256Mi',
    help: 'Bound of the spool within it.',
  },
  excludedNamespaces: {
    type: 'list',
    default: ['kube-system', 'kube-node-lease', 'kube-public'],
    help: 'Namespaces whose pods are never injected, beside our own.',
  },
} as const satisfies ConfigSchema;

export const controllersSchema = {
  ...common,
  ...governance,
  ...injection,
  leaseName: {
    type: 'string',
    placeholder: 'NAME',
    default: 'chaperone-controllers',
    help: 'Lease of the leader.',
  },
  deploymentName: {
    type: 'string',
    placeholder: 'NAME',
    default: 'chaperone-controllers',
    help: 'Our own Deployment, which owns the Secrets that are made here.',
  },
  webhookConfiguration: {
    type: 'string',
    placeholder: 'NAME',
    default: 'chaperone',
    help: 'Name of the MutatingWebhookConfiguration and the ValidatingWebhookConfiguration.',
  },
  certificates: {
    type: 'choice',
    choices: ['Internal', 'External'],
    default: 'Internal',
    help: 'Internal: issued and rotated here. External: cert-manager or the like keeps the Secrets.',
  },
  serviceNames: {
    type: 'list',
    default: [
      'webhook=chaperone-webhook',
      'policy-api=chaperone-policy-api',
      'collector=chaperone-collector',
    ],
    placeholder: 'PROGRAM=NAME',
    help: 'Names of the Services that certificates are made for.',
  },
} as const satisfies ConfigSchema;

export const webhookSchema = {
  ...common,
  ...governance,
  ...injection,
  maxTargetsPerNamespace: {
    type: 'integer',
    min: 1,
    max: 10_000,
    default: 100,
    placeholder: 'COUNT',
    help: 'Targets that a namespace may have; one more is refused.',
  },
  listenPort: { ...port, default: 9443, help: 'Port of the admission webhooks, HTTPS.' },
  tlsDirectory: {
    ...directory,
    default: '/var/run/chaperone/tls',
    help: 'Holds tls.crt and tls.key. Read again when they change.',
  },
} as const satisfies ConfigSchema;

export const policyApiSchema = {
  ...common,
  ...governance,
  sidecarImage: injection.sidecarImage,
  policyApiUrl: {
    type: 'string',
    placeholder: 'URL',
    help: 'The policy API, as the webhook gives it to sidecars: one that has another is refused. Default: not compared.',
  },
  collectorUrl: {
    type: 'string',
    placeholder: 'URL',
    help: 'The collector, as the webhook gives it to sidecars: one that ships elsewhere is refused. Default: not compared.',
  },
  leaseName: {
    type: 'string',
    placeholder: 'NAME',
    default: 'chaperone-policy-api',
    help: 'Lease of the replica that writes the status of Targets and MaskingRules.',
  },
  listenPort: { ...port, default: 8443, help: 'Port of the policy API, HTTPS.' },
  tlsDirectory: webhookSchema.tlsDirectory,
  issuerDirectory: {
    ...directory,
    default: '/var/run/chaperone/issuer',
    help: "The intermediate that signs sidecars' certificates: tls.crt and tls.key.",
  },
  signingKeysDirectory: {
    ...directory,
    default: '/var/run/chaperone/signing-keys',
    help: 'Keys that tokens are signed with: current.json and, while they are rotated, previous.json and next.json.',
  },
  installationKeyFile: {
    ...file,
    default: '/var/run/chaperone/installation-key/key',
    help: 'Key that masking keys and record digests are derived from.',
  },
  targetNamespaces: {
    type: 'list',
    default: [],
    help: 'Namespaces whose Secrets and ConfigMaps Targets and MaskingRules may use; we are allowed to read there.',
  },
  maxPolicyAge: {
    type: 'duration',
    default: '1h',
    minMs: 60_000,
    // A signing key is published for four weeks after it signed last, and tokens live a day longer than this.
    maxMs: 14 * 24 * 60 * 60 * 1000,
    help: 'How long sidecars enforce a snapshot without word from here.',
  },
  relayDirectory: {
    ...directory,
    help: 'Takes events of programs that end while the collector is away, and keeps them here; best in memory (tmpfs). Needs the URL of the collector. Default: none are taken.',
  },
  relayMaxBytes: {
    type: 'bytes',
    minBytes: 1024 * 1024,
    default: '32Mi',
    help: 'Bound of what is kept there; an eighth of it for one pod, half of it for one namespace.',
  },
  gatewayServiceAccounts: {
    type: 'list',
    default: [],
    placeholder: 'NAMESPACE/NAME',
    help: 'ServiceAccounts that gateways run under.',
  },
  gatewayNames: {
    type: 'list',
    default: [],
    placeholder: 'HOST',
    help: 'Host names that gateways are reached under, for their certificates.',
  },
  verifySourceAddress: {
    type: 'boolean',
    default: true,
    help: "Refuse an attestation that does not come from the pod's own address.",
  },
} as const satisfies ConfigSchema;

export type CommonConfig = ConfigValues<typeof common>;
export type ControllersConfig = ConfigValues<typeof controllersSchema>;
export type WebhookConfig = ConfigValues<typeof webhookSchema>;
export type PolicyApiConfig = ConfigValues<typeof policyApiSchema>;
