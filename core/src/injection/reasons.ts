/** Why a pod is not injected, is refused, or lacks a target: as Events, logs and metrics name it. */

/** Why a pod stays as it is. */
export const skipReasons = [
  /** Neither it nor its namespace asks for injection. */
  'NotRequested',
  /** It asks to be left out, and its namespace permits that. */
  'OptedOut',
  /** Its namespace is never injected. */
  'ExcludedNamespace',
  /** It is one of Chaperone's own. */
  'OwnNamespace',
  /** A Target's own Service selects it: it is what is protected. */
  'IsTarget',
  /** Its network is the node's. */
  'HostNetwork',
  /** Its containers see each other's processes, so that the workload could read the sidecar's memory. */
  'SharedProcessNamespace',
  /** It shares memory segments and message queues with its node and whatever else runs there. */
  'HostIPC',
  /** It is no Linux pod. */
  'UnsupportedOS',
] as const;
export type SkipReason = (typeof skipReasons)[number];

/** Why a pod is not admitted. */
export const refusalReasons = [
  /** The namespace requires a sidecar, and the pod cannot have one. */
  'HostNetwork',
  'SharedProcessNamespace',
  'HostIPC',
  'UnsupportedOS',
  /** A container, volume or mount of its own bears one of our names. */
  'ReservedName',
  /** Another container runs as the sidecar's user or group. */
  'ReservedUser',
  /** Another volume holds a token that our programs take. */
  'ReservedAudience',
  'InvalidAnnotation',
  /** It sets net.ipv4.ip_unprivileged_port_start to what the sidecar cannot listen with. */
  'SysctlConflict',
  /** The namespace requires a sidecar, and the pod's own hostAliases lead around it. */
  'HostAliasConflict',
  /** A container could pass for the sidecar, or undo the lockdown. */
  'UnsafeForLockdown',
  'LockdownUnavailable',
  /** Verification: what was injected was changed afterwards. */
  'Altered',
] as const;
export type RefusalReason = (typeof refusalReasons)[number];

/** Why a pod that is injected does not get a target, or one of its names. */
export const unmappedReasons = [
  /** The Target's host is an address, and the hosts file maps names alone. */
  'AddressHost',
  /** The Target's host is a pattern or no host name at all. */
  'UnsupportedHost',
  /** A Service that the pod may mean has the name. */
  'ShadowsService',
  /** Another Target has the name: an older one, or one of the pod's own namespace. */
  'NameTaken',
  /** The pod's own hostAliases have the name. */
  'HostAliasConflict',
  /** The pod has name servers of its own, and the Target does not verify whom a name leads to. */
  'OwnNameServers',
  /** There are more targets than a pod can be given. */
  'TooManyTargets',
] as const;
export type UnmappedReason = (typeof unmappedReasons)[number];
