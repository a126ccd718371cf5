/** The DNS names under which workloads reach a target: those that are mapped into pods and certified there. */

const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const hostName = new RegExp(`^(?=.{1,253}$)${label}(?:\\.${label})*$`);
/** A last label of digits alone makes an address of it. */
const address = /(?:^|\.)\d+$/;

/**
 * Host and aliases in lower case, each Service (`NAME.NAMESPACE.svc`, with or without `clusterDomain`; or a
 * pod of a headless one) in all the forms that the pod's resolver takes for it: without namespace only in its own. Addresses,
 * wildcards and what is no host name are left out. The host comes first, and no name twice.
 */
export function targetNames(
  host: string,
  aliases: readonly string[],
  clusterDomain: string,
  podNamespace: string,
): string[] {
  const names = [host, ...aliases].flatMap((name) => {
    const plain = name.toLowerCase().replace(/\.$/, '');
    if (!hostName.test(plain) || address.test(plain)) return [];
    return [plain, ...serviceForms(plain, clusterDomain.toLowerCase(), podNamespace)];
  });
  return [...new Set(names)];
}

/** All forms of a name that is a Service's, or a pod's of a headless one; none of another's. */
function serviceForms(name: string, clusterDomain: string, podNamespace: string): string[] {
  const ending = `.${clusterDomain}`;
  const short = name.endsWith(ending) ? name.slice(0, -ending.length) : name;
  const labels = short.split('.');
  const namespace = labels.at(-2);
  const service = labels.slice(0, -2).join('.');
  if (labels.at(-1) !== 'svc' || labels.length < 3 || labels.length > 4) return [];
  const qualified = `${service}.${namespace}`;
  return [
    `${qualified}.svc${ending}`,
    `${qualified}.svc`,
    qualified,
    ...(namespace === podNamespace ? [service] : []),
  ];
}
