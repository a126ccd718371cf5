/**
 * Who may claim which host: a Target's names are Services of its own namespace, or hosts that the
 * administrator allowed for that namespace. Without rules (a directory, where one person wrote everything)
 * each name is allowed.
 */
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';

/** What the administrator settled, beside the resources. */
export interface GovernanceRules {
  /** The cluster's DNS domain, such as `cluster.local`. */
  readonly clusterDomain: string;
  /** By namespace, `*` for every one: hosts in lower case; `*.example.com` is every name below example.com. */
  readonly allowedHosts: ReadonlyMap<string, readonly string[]>;
  /** By namespace, `*` for every one: issuers exactly as in the `iss` claim. */
  readonly oidcIssuers: ReadonlyMap<string, readonly string[]>;
  /** Whether a namespace takes Targets of others by itself, or only with the label that accepts them. */
  readonly foreignTargets: 'Accepted' | 'ByLabel';
}

/** Why a name may not be claimed, as a PascalCase reason and a sentence that says what to do. */
export interface HostRefusal {
  readonly reason: 'HostNotAllowed';
  readonly message: string;
}

/** Why a Target of `namespace` may not name `host` as its backend; undefined where it may. */
export function hostRefusal(
  host: string,
  namespace: string,
  rules: GovernanceRules,
): HostRefusal | undefined {
  // It would be one of the file system of whoever connects: in a pod perhaps its container runtime's.
  if (host.startsWith('/')) {
    return refuse(
      `spec.host ${host} is a UNIX socket: in a cluster a Target names a host, such as its Service`,
    );
  }
  const name = normalised(host);
  const refusal = nameRefusal(name, namespace, rules);
  if (refusal === undefined || refusal !== 'unknown') return refusal;
  const advice = name.includes('.') ? '' : `write it in full, as ${serviceName(name)}; else `;
  return refuse(
    `spec.host ${host} is no Service of namespace ${namespace} and not allowed for it: ` +
      `${advice}have an administrator add ${namespace}=${name} to allowedHosts`,
  );

  function serviceName(label: string): string {
    return `${label}.${namespace}.svc.${rules.clusterDomain}`;
  }
}

/**
 * Why workloads may not use `alias` for a Target of `namespace`; undefined where they may. A name without a
 * dot is the workload's own way of saying it: whoever maps it sees to it that it hides no Service.
 */
export function aliasRefusal(
  alias: string,
  namespace: string,
  rules: GovernanceRules,
): HostRefusal | undefined {
  const name = normalised(alias);
  if (name === 'localhost' || name.endsWith('.localhost')) {
    return refuse(`spec.aliases ${alias} is the caller's own machine: choose another name`);
  }
  if (name === 'kubernetes') return refuse(apiServerMessage(alias));
  if (!name.includes('.')) return undefined;
  // `db.data` is how pods of other namespaces call Service db of namespace data.
  const [service, space, ...rest] = name.split('.');
  if (rest.length === 0 && space === namespace && service !== '') {
    return isApiServer(`${name}.svc`, rules) ? refuse(apiServerMessage(alias)) : undefined;
  }
  const refusal = nameRefusal(name, namespace, rules);
  if (refusal === undefined || refusal !== 'unknown') return refusal;
  return refuse(
    `spec.aliases ${alias} is no Service of namespace ${namespace} and not allowed for it: ` +
      `remove it, or have an administrator add ${namespace}=${name} to allowedHosts`,
  );
}

/** `unknown`: neither a Service of that namespace nor on its list. */
function nameRefusal(
  name: string,
  namespace: string,
  rules: GovernanceRules,
): HostRefusal | 'unknown' | undefined {
  if (isApiServer(name, rules)) return refuse(apiServerMessage(name));
  const inside = clusterLabels(name, rules);
  if (inside !== undefined) {
    // `service.namespace`, or `pod.service.namespace` of a headless one.
    const [kind, space, ...service] = inside.reverse();
    const own = kind === 'svc' && space === namespace;
    if (own && (service.length === 1 || service.length === 2)) return undefined;
    return refuse(
      `${name} belongs to the cluster and is no Service of namespace ${namespace}: ` +
        'make the Target in the namespace of the Service',
    );
  }
  const listed = ['*', namespace].flatMap((key) => rules.allowedHosts.get(key) ?? []);
  return listed.some((pattern) => covers(pattern, name)) ? undefined : 'unknown';
}

/** The labels before the cluster's domain, `svc` or `pod` included; undefined for names of elsewhere. */
function clusterLabels(name: string, { clusterDomain }: GovernanceRules): string[] | undefined {
  const suffix = `.${normalised(clusterDomain)}`;
  if (name.endsWith(suffix)) return name.slice(0, -suffix.length).split('.');
  return /\.(svc|pod)$/.test(name) ? name.split('.') : undefined;
}

/** Whatever stands for the API server, in whichever namespace it is asked from. */
function isApiServer(name: string, rules: GovernanceRules): boolean {
  const inside = clusterLabels(name, rules)?.join('.') ?? name;
  return /(^|\.)kubernetes\.default(\.svc)?$/.test(inside);
}

function covers(pattern: string, name: string): boolean {
  return pattern.startsWith('*.')
    ? name.length > pattern.length - 1 && name.endsWith(pattern.slice(1))
    : pattern === name;
}

/** One form for all ways in which a Target of `namespace` may write a name: Services with the cluster's domain. */
export function fullName(name: string, namespace: string, rules: GovernanceRules): string {
  const plain = normalised(name);
  const [, space, ...rest] = plain.split('.');
  const short = space === namespace && rest.length === 0;
  if (short) return `${plain}.svc.${rules.clusterDomain}`;
  return plain.endsWith('.svc') ? `${plain}.${rules.clusterDomain}` : plain;
}

function normalised(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}

const apiServerMessage = (name: string): string =>
  `${name} is the API server: no Target may stand for it`;

const refuse = (message: string): HostRefusal => ({ reason: 'HostNotAllowed', message });

/** Whether identities of that namespace may name the issuer. */
export function issuerIsBound(issuer: string, namespace: string, rules: GovernanceRules): boolean {
  return ['*', namespace].some((key) => rules.oidcIssuers.get(key)?.includes(issuer) ?? false);
}

/**
 * The rules from lists of `NAMESPACE=VALUE`, as configuration gives them. Throws ChaperoneError CHP-1002 for
 * what has another form.
 */
export function governanceRules(config: {
  readonly clusterDomain: string;
  readonly allowedHosts: readonly string[];
  readonly oidcIssuers: readonly string[];
  readonly foreignTargets: 'Accepted' | 'ByLabel';
}): GovernanceRules {
  const { clusterDomain, allowedHosts, oidcIssuers, foreignTargets } = config;
  return {
    clusterDomain: normalised(clusterDomain),
    allowedHosts: byNamespace('allowedHosts', allowedHosts, hostForm, normalised),
    oidcIssuers: byNamespace('oidcIssuers', oidcIssuers, /^https:\/\/\S+$/, (text) => text),
    foreignTargets,
  };
}

const namespaceForm = /^(\*|[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)$/;
/** A name or address; `*.` needs at least two labels after it, so that no whole top-level domain is given away. */
const hostForm =
  /^(\*\.([a-z0-9]([-a-z0-9]*[a-z0-9])?\.)+[a-z0-9][-a-z0-9]*|[a-z0-9]([-.a-z0-9]*[a-z0-9])?|[0-9a-f:]+)$/i;

function byNamespace(
  option: string,
  entries: readonly string[],
  form: RegExp,
  read: (value: string) => string,
): ReadonlyMap<string, readonly string[]> {
  const map = new Map<string, string[]>();
  for (const entry of entries) {
    const equals = entry.indexOf('=');
    const namespace = entry.slice(0, Math.max(equals, 0));
    const value = entry.slice(equals + 1);
    if (!namespaceForm.test(namespace) || !form.test(value)) {
      throw new ChaperoneError(
        'CHP-1002',
        `${option}: ${JSON.stringify(entry)} does not have the form NAMESPACE=VALUE`,
      );
    }
    map.set(namespace, [...(map.get(namespace) ?? []), read(value)]);
  }
  return map;
}
