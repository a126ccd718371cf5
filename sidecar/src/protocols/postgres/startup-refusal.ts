import { decide } from '@chaperone/core/policy/decide.ts';
import type { Refusal } from '@chaperone/core/policy/types.ts';
import type { Operation } from '@chaperone/core/sql/operation.ts';
import { startupSetting } from '@chaperone/core/sql/postgres/settings.ts';
import type { PolicyView } from '../../policy-views.ts';
import { emptyStatement } from './frontend/statements.ts';
import { parseOptions } from './handshake/startup-options.ts';
import type { CallerConnection } from './opening.ts';

/** What the startup message asks for is decided like any statement (attacks §8). */
export function startupRefusal(
  view: PolicyView,
  accepted: CallerConnection,
  nowMs: number,
): Refusal | undefined {
  if (view.policy.bundle.target.enforcement === 'Observe') return undefined;
  const { parameters, database } = accepted.startup;
  const operations: Operation[] = [];
  for (const [name, value] of settingsOf(parameters)) {
    const operation = startupSetting(name, value, database);
    if (operation !== null) operations.push(operation);
  }
  const replication = parameters.get('replication');
  if (
    replication !== undefined &&
    !['false', 'off', 'no', '0'].includes(replication.toLowerCase())
  ) {
    operations.push({
      verb: 'Replication',
      class: 'Admin',
      resource: [database],
      reach: 'Named',
      reason: 'replication mode',
    });
  }
  const { decision } = decide(
    view.policy,
    { ...emptyStatement, kind: 'Startup', operations },
    { nowMs, ...(accepted.address !== undefined && { sourceIP: accepted.address }) },
  );
  if (decision.verdict === 'Allow') return undefined;
  if (decision.verdict === 'Deny') return decision;
  return { ...decision, verdict: 'Deny', reason: 'ApprovalRequired' };
}

/** Settings by name, `options=-c name=value` included. */
function* settingsOf(
  parameters: ReadonlyMap<string, string>,
): Generator<readonly [string, string]> {
  for (const [name, value] of parameters) {
    if (name === 'replication') continue;
    if (name === 'options') yield* parseOptions(value);
    else yield [name, value];
  }
}
