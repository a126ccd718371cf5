import type { ControlRefusal } from '@chaperone/core/control/types.ts';
import type { Clock } from '@chaperone/runtime/clock.ts';
import type { Readiness } from '@chaperone/runtime/http/readiness.ts';
import type { Logger } from '@chaperone/runtime/logging/logger.ts';
import type { SpoolRecorder } from '@chaperone/runtime/recorder/options.ts';
import type { SidecarConfig } from '../config.ts';
import type { Attested } from '../control-client/answers.ts';
import type { Attestation } from '../control-client/attestation.ts';
import type { PolicyApi } from '../control-client/policy-api.ts';
import type { ListenAddress } from '../listener.ts';
import type { ProxyMetrics } from '../metrics.ts';

/** What both modes are made of, once the program is attested. */
export interface ProgramParts {
  readonly config: SidecarConfig;
  readonly api: PolicyApi;
  readonly attestation: Attestation;
  readonly attested: Attested;
  readonly recorder: SpoolRecorder;
  readonly metrics: ProxyMetrics;
  readonly readiness: Readiness;
  readonly clock: Clock;
  /** 0 ≤ x < 1, for jitter. */
  readonly random: () => number;
  readonly logger: Logger;
}

/** A mode at work. */
export interface Serving {
  /** Where each target is listened for, by `namespace/name`. */
  targets(): ReadonlyMap<string, ListenAddress>;
  /** The policy API does not know us any more. */
  revoke(refusal: ControlRefusal): void;
  /** Takes no more connections; resolves when each session has ended. */
  drain(): Promise<void>;
  /** Ends what is left. */
  close(): void;
}
