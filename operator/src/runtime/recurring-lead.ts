import { LeaderElection, type LeaderElectionOptions } from '../kubernetes/leader-election.ts';
import { type Part, PartGroup } from './lifecycle.ts';

export interface RecurringLeadOptions extends Omit<LeaderElectionOptions, 'onStarted' | 'onLost'> {
  /** What runs while this replica leads, made anew for each time. */
  readonly parts: () => readonly Part[];
}

/**
 * Leads again and again: who loses the lead stops what it did and stands for the next one. For programs that
 * serve whether or not they lead, and so must not end with the lead.
 */
export class RecurringLead implements Part {
  readonly #options: RecurringLeadOptions;
  #election: LeaderElection | undefined;
  #group: PartGroup | undefined;
  #changing: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: RecurringLeadOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#stopped) return;
    const { parts, ...options } = this.#options;
    const { logger } = options;
    const election = new LeaderElection({
      ...options,
      onStarted: () => this.#change(() => this.#lead(election, parts())),
      onLost: (reason) => {
        logger.warn({ lease: options.name, reason }, 'the lead is lost');
        this.#change(async () => {
          await this.#group?.stop();
          // Before nothing of it runs any more, this replica must not lead again.
          this.start();
        });
      },
    });
    this.#election = election;
    election.start();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#changing;
    await this.#group?.stop();
    await this.#election?.stop();
  }

  async #lead(election: LeaderElection, parts: readonly Part[]): Promise<void> {
    if (this.#stopped || !election.isLeader) return;
    const group = new PartGroup(this.#options.logger);
    for (const part of parts) group.add(part);
    this.#group = group;
    await group.start();
  }

  /** One after the other, in the order in which they were asked for. */
  #change(change: () => Promise<void>): void {
    this.#changing = this.#changing.then(change).catch((error: unknown) => {
      this.#options.logger.error({ err: error }, 'what the leader does could not be started');
    });
  }
}
