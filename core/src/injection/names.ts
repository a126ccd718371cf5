/** Names that the injector, the attestation, the lockdown, the governance and the command line agree on. */

/** Labels opt in. */
export const injectLabel = 'chaperone.dev/inject';
export const injectEnabled = 'enabled';
/** On a pod: leaves it out, where its namespace does not require injection. */
export const injectDisabled = 'disabled';
/** `true` on a namespace: its pods cannot opt out. */
export const requiredLabel = 'chaperone.dev/required';
/** `accept` on a namespace: Targets of other namespaces may be mapped into its pods. */
export const foreignTargetsLabel = 'chaperone.dev/foreign-targets';
export const foreignTargetsAccepted = 'accept';
/** Beside that label: the namespaces, with commas between, whose Targets alone are accepted. */
export const foreignTargetsFromAnnotation = 'chaperone.dev/foreign-targets-from';

/** `true` on every pod that was injected, so that selectors of others can tell; information only. */
export const governedLabel = 'chaperone.dev/governed';

/** Annotations configure. */
export const resourcesAnnotation = 'chaperone.dev/resources';
export const logLevelAnnotation = 'chaperone.dev/log-level';
/** `Open` (default) or `Lockdown`. */
export const egressAnnotation = 'chaperone.dev/egress';
export const egressLockdown = 'Lockdown';
export const egressOpen = 'Open';
/** `Env`: mounts our roots into the workload's containers and sets PGSSLROOTCERT and the like. */
export const trustAnnotation = 'chaperone.dev/trust';
export const trustEnv = 'Env';
/** `Generate` on a namespace: NetworkPolicies for its pods without a sidecar. */
export const networkPolicyAnnotation = 'chaperone.dev/network-policy';
export const networkPolicyGenerate = 'Generate';
/** What was injected, as JSON: information for people and controllers, never believed. */
export const statusAnnotation = 'chaperone.dev/status';

/** Containers and volumes of this prefix are ours alone. */
export const reservedPrefix = 'chaperone-';
export const sidecarContainer = 'chaperone-sidecar';
export const lockdownContainer = 'chaperone-lockdown';
export const tokenVolume = 'chaperone-token';
export const rootsVolume = 'chaperone-ca';
export const spoolVolume = 'chaperone-spool';

export const tokenDirectory = '/var/run/chaperone/token';
export const tokenFile = `${tokenDirectory}/token`;
export const rootsDirectory = '/var/run/chaperone/ca';
export const rootsFile = `${rootsDirectory}/ca.crt`;
export const spoolDirectory = '/var/run/chaperone/spool';

/** The only uid and gid that the sidecar has and no other container of a governed pod may have. */
export const sidecarUid = 64821;

/** Of projected ServiceAccount tokens: no container but the sidecar may have one. */
export const tokenAudience = 'chaperone.dev';
export const tokenExpirationSeconds = 600;

/** ConfigMap with our roots (key `ca.crt`), in every opted-in namespace. */
export const rootsConfigMap = 'chaperone-ca';
export const rootsKey = 'ca.crt';

/** Targets are mapped to addresses of this network, one each. */
export const loopbackNetwork = '127.0.0.0/16';

/** Where the sidecar answers probes and Prometheus, on the pod's address. */
export const defaultSidecarOpsPort = 15790;
