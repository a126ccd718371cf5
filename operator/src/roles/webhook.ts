/**
 * Admission. Every replica serves; there is no leader.
 *
 * What it may do at the API server:
 *
 * | resource | verbs | scope |
 * |---|---|---|
 * | chaperone.dev machineidentities, targets, accesspolicies, maskingrules | get list watch | cluster |
 * | namespaces, services | get list watch | cluster |
 * | events.k8s.io events | create patch | cluster |
 */
import type { WebhookConfig } from '../config.ts';
import { startWebhook } from '../webhook/start.ts';
import type { Program } from './program.ts';

/** Resolves when the caches are synced; it listens before, and refuses until then. Throws ChaperoneError. */
export async function startWebhookRole(
  program: Program,
  config: WebhookConfig,
): Promise<{ close(): Promise<void> }> {
  const server = await startWebhook(config, program);
  await program.manager.start();
  return server;
}
