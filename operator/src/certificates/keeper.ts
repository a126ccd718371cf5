/**
 * Keeps what our programs prove themselves with: certificates, signing keys and the installation's key, and
 * the authority that the API server trusts for our webhooks. Runs where the leader runs.
 */
import { randomBytes } from 'node:crypto';
import type { Clock, Timer } from '@chaperone/runtime/clock.ts';
import type { Logger } from '@chaperone/runtime/logging/logger.ts';
import type { governanceMetrics } from '@chaperone/runtime/metrics/catalogue.ts';
import type { MetricSet } from '@chaperone/runtime/metrics/metrics.ts';
import type { KubernetesApi } from '../kubernetes/client.ts';
import type { OwnerReference } from '../kubernetes/object.ts';
import type { Part } from '../runtime/lifecycle.ts';
import { keepCertificates } from './authority.ts';
import { patchCaBundle } from './ca-bundle.ts';
import { readCertificate } from './issue.ts';
import type { CertificateAction } from './plan.ts';
import { SecretClient } from './secret-client.ts';
import {
  collectorSecret,
  installationKeySecret,
  policyApiSecret,
  rootSecret,
  signingKeysSecret,
  webhookSecret,
  workloadIssuerSecret,
} from './secrets.ts';
import { rotateSigningKeys } from './signing-keys.ts';

/** Whatever is deleted or edited is mended within this. */
const intervalMs = 30_000;
const firstRetryMs = 1000;
const installationKeyBytes = 32;

export interface KeeperOptions {
  readonly api: KubernetesApi;
  readonly namespace: string;
  /** Whether certificates are issued here, or kept in the same Secrets by somebody else. */
  readonly certificates: 'Internal' | 'External';
  /** Secret → DNS names of the Service that shows its certificate. */
  readonly leaves: ReadonlyMap<string, readonly string[]>;
  /** What workloads' certificates may never name. */
  readonly excluded: readonly string[];
  /** Of the webhook configurations. */
  readonly webhookConfiguration: string;
  /** Of the Secrets: our own Deployment. */
  readonly owner: () => Promise<OwnerReference>;
  readonly fieldManager: string;
  /** Takes the roots that everybody is to trust, as PEM. */
  readonly onRoots: (bundle: string) => void;
  /** Whether everybody has been given these roots. */
  readonly isPublished: (bundle: string) => boolean;
  readonly onAction: (action: CertificateAction) => void;
  readonly gauges: Pick<
    MetricSet<typeof governanceMetrics>,
    'certificateExpiry' | 'keeperFailures'
  >;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class CertificateKeeper implements Part {
  readonly #options: KeeperOptions;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;
  #failures = 0;

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  start(): void {
    this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#running;
  }

  #run(): void {
    this.#running = this.#keep().then(
      () => this.#again(intervalMs, 0),
      (error: unknown) => {
        this.#options.gauges.keeperFailures.inc();
        this.#options.logger.error({ err: error }, 'certificates and keys could not be kept');
        const waitMs = Math.min(firstRetryMs * 2 ** this.#failures, intervalMs);
        this.#again(waitMs, this.#failures + 1);
      },
    );
  }

  #again(afterMs: number, failures: number): void {
    this.#failures = failures;
    if (this.#stopped) return;
    this.#timer = this.#options.clock.setTimer(afterMs, () => this.#run());
  }

  async #keep(): Promise<void> {
    const { api, namespace, fieldManager, logger, clock, onRoots, webhookConfiguration } =
      this.#options;
    const owner = await this.#options.owner();
    const secrets = new SecretClient({ api, namespace, owner, fieldManager });

    const key = await secrets.createOnce(installationKeySecret, 'key', () =>
      randomBytes(installationKeyBytes),
    );
    if (key === 'Created') logger.info({}, 'the installation has got its key');
    const texts = await rotateSigningKeys(await secrets.read(signingKeysSecret), clock.nowMs());
    if (texts !== undefined) {
      await secrets.write(signingKeysSecret, texts);
      logger.info({ keys: Object.keys(texts) }, 'signing keys changed');
    }
    const { roots, forWebhook } = await this.#certificates(secrets);
    for (const [certificate, secret] of measured) {
      const facts = readCertificate((await secrets.read(secret))?.['tls.crt']);
      this.#options.gauges.certificateExpiry.set({ certificate }, (facts?.notAfterMs ?? 0) / 1000);
    }
    if (roots !== '') onRoots(roots);
    if (forWebhook !== '') await patchCaBundle(api, webhookConfiguration, forWebhook, fieldManager);
  }

  /** Roots that everybody trusts, and those that the API server is to trust for the webhooks. */
  async #certificates(secrets: SecretClient): Promise<{ roots: string; forWebhook: string }> {
    const { certificates, leaves, excluded, isPublished, onAction, clock } = this.#options;
    if (certificates === 'External') return givenRoots(secrets);
    const bundle = await keepCertificates({
      secrets,
      leaves,
      excluded,
      isPublished,
      nowMs: () => clock.nowMs(),
      onAction,
    });
    return { roots: bundle, forWebhook: bundle };
  }
}

/** Value of the metric's label → Secret. */
const measured = [
  ['root', rootSecret],
  ['webhook', webhookSecret],
  ['policy-api', policyApiSecret],
  ['collector', collectorSecret],
  ['workload-issuer', workloadIssuerSecret],
] as const;

/** What somebody else put beside the certificates, each authority once. */
async function givenRoots(secrets: SecretClient): Promise<{ roots: string; forWebhook: string }> {
  const found = new Set<string>();
  let forWebhook = '';
  for (const name of [webhookSecret, policyApiSecret, collectorSecret, workloadIssuerSecret]) {
    const ca = (await secrets.read(name))?.['ca.crt'] ?? '';
    if (name === webhookSecret) forWebhook = ca;
    for (const pem of ca.match(certificatePattern) ?? []) found.add(`${pem}\n`);
  }
  return { roots: [...found].join(''), forWebhook };
}

const certificatePattern = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
