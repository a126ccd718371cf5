/** One thing that must be in order before a program takes work. */
export interface ReadinessGate {
  ready(): void;
  /** `reason`: a few words for whoever asks why; no secrets, no names that an outsider should not learn. */
  notReady(reason: string): void;
}

/** What stands behind `/readyz`: ready once every gate is. */
export class Readiness {
  readonly #reasons = new Map<string, string>();
  readonly #checks = new Map<string, () => string | undefined>();

  /** A gate that is not ready until it is said to be. */
  gate(name: string): ReadinessGate {
    this.#reasons.set(name, 'starting');
    return {
      ready: () => void this.#reasons.delete(name),
      notReady: (reason) => void this.#reasons.set(name, reason),
    };
  }

  /** A check made whenever someone asks: the reason why not, or undefined. */
  check(name: string, reasonOf: () => string | undefined): void {
    this.#checks.set(name, reasonOf);
  }

  /** Name → reason of everything that is not ready; empty when all is. */
  reasons(): Readonly<Record<string, string>> {
    const reasons = Object.fromEntries(this.#reasons);
    for (const [name, reasonOf] of this.#checks) {
      const reason = reasonOf();
      if (reason !== undefined) reasons[name] = reason;
    }
    return reasons;
  }
}
