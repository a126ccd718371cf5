import type { TransformSpec } from '@chaperone/core/policy/types.ts';
import { renderBroken } from './render-status.ts';
import { field, wrap } from './text.ts';
import type { WhyMask, WhyReport, WhyRule, WhyTarget } from './why-report.ts';

/** The answer for people, as lines. */
export function renderWhy(report: WhyReport): string[] {
  const { targets } = report;
  const sections = [
    [...wrap(`Pod ${report.pod} (${report.workload})`, '  ', ''), ...renderPod(report)],
    ...targets.map((target) => renderTarget(target, report)),
    report.governed && targets.length === 0 ? wrap('No target is open to it.', '') : [],
    renderBroken(report.broken, undefined),
    report.notes.length === 0 ? [] : ['Note', ...report.notes.flatMap((note) => wrap(note, '  '))],
    report.unseen.length === 0
      ? []
      : ['Not seen', ...report.unseen.flatMap((text) => wrap(text, '  '))],
  ];
  return sections
    .filter((lines) => lines.length > 0)
    .flatMap((lines, at) => (at === 0 ? lines : ['', ...lines]));
}

function renderPod(report: WhyReport): string[] {
  const { governed, optedIn, isTarget, identity, serviceAccount } = report;
  const why = governed
    ? `yes, by ${report.sidecarImage}`
    : isTarget
      ? 'no: it is what a Target stands for'
      : optedIn
        ? 'no, though it is opted in'
        : 'no: neither its labels nor those of its namespace ask for it';
  const lines = field('governed', why, '  ');
  if (governed) {
    const egress =
      report.egress === 'Lockdown'
        ? 'Lockdown: targets are reached through the sidecar alone'
        : 'Open: targets may be connected to directly, without their credential';
    lines.push(...field('egress', egress, '  '));
  }
  lines.push(...field('account', `ServiceAccount ${serviceAccount}`, '  '));
  if (identity === undefined) {
    lines.push(
      ...field('identity', `none: no MachineIdentity has ServiceAccount ${serviceAccount}`, '  '),
    );
    return lines;
  }
  const contact = identity.contact === undefined ? '' : `, ${identity.contact}`;
  const groups = identity.groups.length === 0 ? '' : `; groups ${identity.groups.join(', ')}`;
  const until = identity.expiresAt === undefined ? '' : `; until ${identity.expiresAt}`;
  lines.push(
    ...field('identity', `${identity.name}${groups}`, '  '),
    ...field('owner', `${identity.team}${contact}`, '  '),
    ...field('purpose', identity.purpose, '  '),
    ...field('state', `${identity.ready}: ${identity.message}${until}`, '  '),
  );
  return lines;
}

function renderTarget(target: WhyTarget, { governed, identity }: WhyReport): string[] {
  const { backend, reached, rules, masks, session } = target;
  const lines = wrap(`Target ${target.target} (${target.enforcement})`, '  ', '');
  const add = (name: string, text: string): void => void lines.push(...field(name, text, '  '));
  add('state', `${target.ready}: ${target.message}`);
  if (backend !== undefined) add('backend', `${backend.reason}: ${backend.message}`);
  if (reached !== undefined) {
    add('reached at', `${reached.address}:${reached.port} as ${reached.names.join(', ')}`);
  } else if (governed) {
    add('reached at', 'nothing: this pod was made before the target was open to it');
  }
  if (session !== undefined) {
    const { maxDurationMs, idleTimeoutMs, recording, durability } = session;
    const parts = [`recording ${recording}`, `durability ${durability}`];
    if (maxDurationMs !== undefined) parts.push(`at most ${minutes(maxDurationMs)}`);
    if (idleTimeoutMs !== undefined) parts.push(`idle at most ${minutes(idleTimeoutMs)}`);
    add('sessions', parts.join(', '));
  }
  if (identity === undefined) {
    add('rules', 'none: without an identity every statement is refused');
    return lines;
  }
  lines.push(`  rules        ${rules.length === 0 ? 'none: ' : ''}what no rule allows is refused`);
  for (const rule of rules) lines.push(...renderRule(rule));
  if (masks.length === 0) add('masks', 'none');
  else {
    const none = target.enforcement === 'Observe' ? 'not in force: the target is in Observe' : '';
    lines.push(`  masks        ${none}`.trimEnd());
    for (const mask of masks) lines.push(...renderMask(mask));
  }
  return lines;
}

const inner = '    ';

function renderRule(rule: WhyRule): string[] {
  const { action, mode, classes, verbs, resources, columns, when, limits } = rule;
  const dry = mode === 'DryRun' ? ' (DryRun: recorded, not enforced)' : '';
  const what = [...classes, ...verbs].join(', ');
  const parts = [`${what} on ${resources.join(', ')}`];
  if (columns?.only !== undefined) parts.push(`columns ${columns.only.join(', ')} alone`);
  if (columns?.except !== undefined) parts.push(`columns but ${columns.except.join(', ')}`);
  if (when !== undefined) parts.push(`when ${when}`);
  if (limits !== undefined) {
    const { onExceed, scope, ...bounds } = limits;
    const named = Object.entries(bounds).map(([name, value]) => `${name} ${value}`);
    parts.push(`at most ${named.join(', ')} for each ${scope}, else ${onExceed}`);
  }
  return [
    ...wrap(`${action.padEnd(15)} ${rule.rule}${dry}`, inner),
    ...parts.flatMap((part) =>
      wrap(part, `${inner}                  `, `${inner}                `),
    ),
  ];
}

function renderMask(mask: WhyMask): string[] {
  const { columns, detectors, resources, usage, strictness, exemptions } = mask;
  const what = [
    ...(columns.length > 0 ? [columns.join(', ')] : []),
    ...(detectors.length > 0 ? [`${detectors.join(', ')} found in ${resources.join(', ')}`] : []),
  ];
  return [
    ...wrap(`${renderTransform(mask.transform).padEnd(15)} ${mask.rule}`, inner),
    ...what.flatMap((part) => wrap(part, `${inner}                  `, `${inner}                `)),
    ...wrap(`usage ${usage}, ${strictness}`, '', `${inner}                `),
    ...exemptions.flatMap(({ reason, ticket, expiresAt }) =>
      wrap(
        `not for this identity until ${expiresAt}: ${reason}${ticket === undefined ? '' : ` (${ticket})`}`,
        `${inner}                  `,
        `${inner}                `,
      ),
    ),
  ];
}

function renderTransform(transform: TransformSpec): string {
  const { type, ...options } = transform;
  return [type, ...Object.entries(options).map(([name, value]) => `${name} ${value}`)].join(' ');
}

function minutes(ms: number): string {
  const total = Math.round(ms / 1000);
  const parts = [
    [Math.floor(total / 3600), 'h'],
    [Math.floor((total % 3600) / 60), 'm'],
    [total % 60, 's'],
  ] as const;
  return parts.flatMap(([count, unit]) => (count > 0 ? [`${count}${unit}`] : [])).join('');
}
