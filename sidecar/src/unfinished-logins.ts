import type { Clock } from '@chaperone/runtime/clock.ts';

export interface UnfinishedLoginsOptions {
  /** Of all addresses together. */
  readonly max: number;
  readonly clock: Clock;
}

interface Login {
  readonly sinceMs: number;
  readonly evict: () => void;
}

/** A caller's program is done with its login sooner; who takes longer makes room first. */
const quickMs = 1000;

/**
 * Callers who have not proven who they are. When there are too many, the address that has the most of them
 * loses its oldest: whoever opens many connections takes none from those who open few. Among themselves, those
 * of one address lose the slow ones, and where all are quick whoever comes last.
 */
export class UnfinishedLogins {
  readonly #options: UnfinishedLoginsOptions;
  /** By address, in order of coming. */
  readonly #byAddress = new Map<string, Set<Login>>();
  #size = 0;

  constructor(options: UnfinishedLoginsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#size;
  }

  /**
   * Takes one in; the result is to be called when it is finished, and may be more than once. Undefined: there
   * is no room. `evict`: ends it for another's sake; it is counted no more by then.
   */
  admit(address: string, evict: () => void): (() => void) | undefined {
    const { max, clock } = this.#options;
    const nowMs = clock.monotonicUs() / 1000;
    if (this.#size >= max && !this.#makeRoom(address, nowMs)) return undefined;
    const own = this.#byAddress.get(address) ?? new Set();
    const login: Login = { sinceMs: nowMs, evict };
    this.#byAddress.set(address, own.add(login));
    this.#size += 1;
    return () => this.#forget(address, login);
  }

  #makeRoom(address: string, nowMs: number): boolean {
    let from = address;
    let logins: ReadonlySet<Login> = this.#byAddress.get(address) ?? new Set();
    // Others only make room for whom has fewer than they, also with one more.
    let most = logins.size + 1;
    for (const [other, theirs] of this.#byAddress) {
      if (theirs.size <= most) continue;
      most = theirs.size;
      [from, logins] = [other, theirs];
    }
    const [oldest] = logins;
    if (oldest === undefined) return false;
    if (from === address && nowMs - oldest.sinceMs < quickMs) return false;
    this.#forget(from, oldest);
    oldest.evict();
    return true;
  }

  #forget(address: string, login: Login): void {
    const logins = this.#byAddress.get(address);
    if (logins?.delete(login) !== true) return;
    this.#size -= 1;
    if (logins.size === 0) this.#byAddress.delete(address);
  }
}
