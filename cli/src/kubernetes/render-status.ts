import type { Broken } from './breakage.ts';
import type { StatusReport } from './status-report.ts';
import { table, wrap } from './text.ts';

/** A status for people, as lines. */
export function renderStatus(report: StatusReport): string[] {
  const { namespace, workloads, notOptedIn, identities, targets, policies, masks } = report;
  const all = namespace === '*';
  const within = (name: string, of: string): string => (all ? `${of}/${name}` : name);
  const short = (key: string): string =>
    key.startsWith(`${namespace}/`) ? key.slice(namespace.length + 1) : key;
  const count = (names: readonly string[]): string => String(names.length);
  const sections = [
    // Others are easily taken for looked at where the context's namespace was meant to be another.
    all
      ? ['All namespaces']
      : wrap(`Namespace ${namespace} alone was looked at; -A looks at all namespaces`, '  ', ''),
    workloads.length === 0
      ? wrap(`No pod ${all ? '' : `of namespace ${namespace} `}is governed or asked to be.`, '')
      : table(
          ['WORKLOAD', 'PODS', 'GOVERNED', 'OUTDATED', 'IDENTITY', 'EGRESS', 'STATE'],
          workloads.map((row) => [
            within(row.workload, row.namespace),
            row.pods,
            row.governed,
            row.outdated,
            row.identity === undefined ? '-' : short(row.identity),
            row.governed === 0 ? '-' : row.egress,
            row.state,
          ]),
        ),
    notOptedIn === 0
      ? []
      : [`${notOptedIn} further ${notOptedIn === 1 ? 'pod is' : 'pods are'} not opted in.`],
    section(
      ['IDENTITY', 'READY', 'TEAM', 'PODS', 'EXPIRES'],
      identities.map((row) => [row.identity, row.ready, row.team, row.pods, row.expiresAt ?? '-']),
    ),
    section(
      ['TARGET', 'READY', 'ENFORCEMENT', 'WHERE', 'POLICIES', 'MASKS'],
      targets.map((row) => [
        row.target,
        row.ready,
        row.enforcement,
        row.where,
        row.policies,
        row.masks,
      ]),
    ),
    section(
      ['POLICY', 'READY', 'MODE', 'RULES', 'TARGETS', 'IDENTITIES'],
      policies.map((row) => [
        row.policy,
        row.ready,
        row.mode,
        row.rules,
        count(row.targets),
        count(row.identities),
      ]),
    ),
    section(
      ['MASK', 'READY', 'TRANSFORM', 'TARGETS', 'EXEMPT'],
      masks.map((row) => [
        row.rule,
        row.ready,
        row.transform,
        count(row.targets),
        row.exempt.length === 0 ? '-' : row.exempt.join(', '),
      ]),
    ),
    renderBroken(report.broken, all ? undefined : `in namespace ${namespace}`),
    report.unseen.length === 0
      ? []
      : ['Not seen', ...report.unseen.flatMap((text) => wrap(text, '  '))],
  ];
  return sections
    .filter((lines) => lines.length > 0)
    .flatMap((lines, at) => (at === 0 ? lines : ['', ...lines]));
}

function section(
  headings: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): string[] {
  return rows.length === 0 ? [] : table(headings, rows);
}

/** Numbered, each with what mends it. `where`: what was looked at, for the answer that nothing is. */
export function renderBroken(broken: readonly Broken[], where: string | undefined): string[] {
  if (broken.length === 0) {
    return wrap(`Nothing is broken${where === undefined ? '' : ` ${where}`}.`, '');
  }
  return [
    `Broken: ${broken.length}`,
    ...broken.flatMap(({ what, reason, message, mend }, at) => [
      ...wrap(`${what}: ${reason}`, '   ', `${at + 1}. `),
      ...wrap(message, '   '),
      // Commands stand on lines of their own, whole: they are there to be copied.
      ...mend.split('\n').map((line) => `   > ${wrap(line, '', '').join(' ')}`),
    ]),
  ];
}
